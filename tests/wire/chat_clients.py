"""What OpenAI's own client makes of a Chat Completions reply."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai


@dataclass
class Told:
    """One choice as the client has it."""

    content: str = ""
    refusal: str = ""
    thinking: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    finish: str = ""


def client_of(content: bytes, content_type: str, status: int = 200) -> openai.OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=content, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://provider.invalid/v1", http_client=http, max_retries=0)


def streamed(content: bytes) -> dict[int, Told]:
    """The choices of a stream, read chunk by chunk; asserts what the format promises."""
    check_stream(content)
    choices: dict[int, Told] = {}
    calls: dict[tuple[int, int], list[str]] = {}
    with client_of(content, "text/event-stream") as client:
        for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
            for choice in chunk.choices:
                told = choices.setdefault(choice.index, Told())
                told.content += choice.delta.content or ""
                told.refusal += choice.delta.refusal or ""
                told.thinking += getattr(choice.delta, "reasoning_content", None) or ""
                told.finish += choice.finish_reason or ""
                for piece in choice.delta.tool_calls or []:
                    call = calls.setdefault((choice.index, piece.index), ["", "", ""])
                    body = _body(piece)
                    call[0] += piece.id or ""
                    call[1] += body.get("name") or ""
                    call[2] += body.get("arguments") or body.get("input") or ""
                if older := choice.delta.function_call:
                    call = calls.setdefault((choice.index, -1), ["", "", ""])
                    call[1] += older.name or ""
                    call[2] += older.arguments or ""
    for (index, _), call in sorted(calls.items()):
        choices[index].calls.append((call[0], call[1], call[2]))
    return choices


def _body(call: Any) -> dict[str, Any]:
    members = call.to_dict()
    return members.get("function") or members.get("custom") or {}


def accumulated(content: bytes) -> openai.types.chat.ChatCompletion:
    """The completion that the client's own accumulator makes of a stream."""
    with client_of(content, "text/event-stream") as client:
        with client.chat.completions.stream(model="m", messages=[]) as stream:
            return stream.get_final_completion()


def whole(content: bytes) -> dict[int, Told]:
    """The choices of a whole reply."""
    choices: dict[int, Told] = {}
    with client_of(content, "application/json") as client:
        for choice in client.chat.completions.create(model="m", messages=[]).choices:
            message = choice.message
            told = Told(message.content or "", message.refusal or "", finish=choice.finish_reason or "")
            told.thinking = getattr(message, "reasoning_content", None) or ""
            for call in message.tool_calls or []:
                body = _body(call)
                told.calls.append((call.id, body["name"], body.get("arguments") or body.get("input") or ""))
            if message.function_call:
                told.calls.append(("", message.function_call.name, message.function_call.arguments))
            choices[choice.index] = told
    return choices


def documents(content: bytes) -> list[Any]:
    """The documents of a stream in order, "[DONE]" left out."""
    lines = [line[6:] for line in content.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def check_stream(content: bytes) -> None:
    """Assert one finish per choice in its own last chunk, ids and names once, indices without a gap, done last."""
    assert b"data: [DONE]" not in content or content.endswith(b"data: [DONE]\n\n")
    finished: set[int] = set()
    known: dict[int, list[int]] = {}
    for document in documents(content):
        for choice in document["choices"]:
            index = choice["index"]
            assert index not in finished
            for entry in choice["delta"].get("tool_calls") or []:
                first = entry["index"] not in known.setdefault(index, [])
                assert first == bool(entry.get("id"))
                if first:
                    known[index].append(entry["index"])
            if choice["finish_reason"]:
                finished.add(index)
    assert finished
    assert all(sorted(places) == list(range(len(places))) for places in known.values())
