"""OpenAI Chat Completions as the scripted provider speaks it, streamed and whole; `n` choices say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.upstream.received import Received
from tests.upstream.rendering import CREATED, Frames, Resolved, arguments, deltas, has_calls, joined, resolved, sse
from tests.upstream.script import Call, InBandError, Pieces, Reply, Step, Text, Thinking, Usage

HEADERS = {
    "openai-organization": "org-scripted",
    "openai-version": "2020-10-01",
    "openai-processing-ms": "12",
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-reset-requests": "12ms",
}
DONE = b"data: [DONE]\n\n"


def headers(received: Received) -> dict[str, str]:
    return HEADERS | {"x-request-id": f"req_{received.number:04}"}


def whole(reply: Reply, received: Received) -> dict[str, Any]:
    parts = resolved(reply, received, "call")
    choice = {"message": _message(parts), "logprobs": None, "finish_reason": _stop(reply, parts)}
    return _head(received, "chat.completion") | {
        "choices": [{"index": index, **choice} for index in _choices(received)],
        "usage": _usage(reply.usage),
    }


def frames(reply: Reply, received: Received) -> Frames:
    parts = resolved(reply, received, "call")
    for index in _choices(received):
        yield _chunk(received, index, {"role": "assistant", "content": "", "refusal": None})
    for delta in _deltas(parts):
        if isinstance(delta, dict):
            yield from (_chunk(received, index, delta) for index in _choices(received))
        else:
            yield delta
    for index in _choices(received):
        yield _chunk(received, index, {}, _stop(reply, parts))
    if _wants_usage(received):
        yield sse(_head(received, "chat.completion.chunk") | {"choices": [], "usage": _usage(reply.usage)})
    yield DONE


def error(message: str, kind: str, received: Received) -> dict[str, Any]:
    """The body of a failure."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def in_band(step: InBandError, received: Received, place: int) -> bytes:
    """The event that ends a stream with a failure; `place` is the number of events before it."""
    return sse(error(step.message, step.type, received))


def _head(received: Received, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{received.number:04}",
        "object": kind,
        "created": CREATED,
        "model": received.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def _chunk(received: Received, index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    usage = {"usage": None} if _wants_usage(received) else {}
    return sse(_head(received, "chat.completion.chunk") | {"choices": [choice]} | usage)


def _choices(received: Received) -> range:
    return range(received.document.get("n") or 1)


def _wants_usage(received: Received) -> bool:
    options: dict[str, Any] = received.document.get("stream_options") or {}
    return bool(options.get("include_usage"))


def _stop(reply: Reply, parts: list[Resolved]) -> str:
    return reply.stop or ("tool_calls" if has_calls(parts) else "stop")


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def _message(parts: list[Resolved]) -> dict[str, Any]:
    text = "".join(joined(part.text) for part in parts if isinstance(part, Text))
    thoughts = "".join(joined(part.text) for part in parts if isinstance(part, Thinking))
    calls = [_whole_call(part) for part in parts if isinstance(part, Call)]
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None, "annotations": []}
    return (
        message
        | ({"reasoning_content": thoughts} if thoughts else {})  # not OpenAI's own, but others' that speak the format
        | ({"tool_calls": calls} if calls else {})
    )


def _whole_call(call: Call) -> dict[str, Any]:
    text = joined(arguments(call))
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": text}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": text}}


def _deltas(parts: list[Resolved]) -> Iterator[dict[str, Any] | Step]:
    calls = 0
    for part in parts:
        match part:
            case Thinking():
                yield from _texts("reasoning_content", part.text)
            case Text():
                yield from _texts("content", part.text)
            case Call():
                yield from _call_deltas(part, calls)
                calls += 1
            case _:
                yield part


def _texts(key: str, text: Pieces) -> Iterator[dict[str, Any] | Step]:
    for piece in deltas(text):
        yield {key: piece} if isinstance(piece, str) else piece


def _call_deltas(call: Call, index: int) -> Iterator[dict[str, Any] | Step]:
    """The name and id come first and alone; later pieces are told apart by the index."""
    kind, key = ("custom", "input") if call.custom else ("function", "arguments")
    yield {"tool_calls": [{"index": index, "id": call.id, "type": kind, kind: {"name": call.name, key: ""}}]}
    for piece in deltas(arguments(call)):
        yield {"tool_calls": [{"index": index, kind: {key: piece}}]} if isinstance(piece, str) else piece
