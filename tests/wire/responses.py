"""Replies of the Responses API as a provider sends them, how they are run, and what must hold of what is sent."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import openai

from lockgate.events import (
    NEW_BLOCK,
    Event,
    MessageEnd,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
)
from lockgate.wire.codec import Reply
from lockgate.wire.openai_responses import FORMAT

type Doc = dict[str, Any]
type Change = Callable[[Event], Iterable[Event]]
"""What a policy makes of one event."""

USAGE: Doc = {
    "input_tokens": 90,
    "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 10},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 102,
}
STREAM = FORMAT.read_request(b'{"model":"gpt-5.5","stream":true,"store":false,"input":"hi"}')
SEALED = "gAAAAABo/+=sealed\\u00e9"

LS = '{"cmd": "ls /"}'

# -- what a provider sends


def message(text: str, n: int = 1, **more: Any) -> Doc:
    part: Doc = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    head: Doc = {"id": f"msg_{n}", "type": "message", "status": "completed"}
    return {**head, "content": [part], "role": "assistant", **more}


def refusal(text: str) -> Doc:
    return {**message(""), "content": [{"type": "refusal", "refusal": text}]}


def reasoning(*texts: str) -> Doc:
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"id": "rs_1", "type": "reasoning", "encrypted_content": SEALED, "summary": summary}


def call(name: str, arguments: str, n: int = 1) -> Doc:
    head: Doc = {"id": f"fc_{n}", "type": "function_call", "status": "completed", "arguments": arguments}
    return {**head, "call_id": f"call_{n}", "name": name}


def custom(name: str, input: str, n: int = 1) -> Doc:
    return {"id": f"ctc_{n}", "type": "custom_tool_call", "call_id": f"call_{n}", "input": input, "name": name}


def shell(*words: str) -> Doc:
    action: Doc = {"type": "exec", "command": list(words), "env": {}}
    return {"id": "lsh_1", "type": "local_shell_call", "status": "completed", "action": action, "call_id": "call_s"}


def search() -> Doc:
    action = {"type": "search", "query": "q"}
    return {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": action}


def pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text) or [text]


def text_frames(index: int, item: Doc, place: int, part: Doc, base: str, key: str = "text") -> list[Doc]:
    group, field = (
        ("reasoning_summary_part", "summary_index") if "summary" in base else ("content_part", "content_index")
    )
    at: Doc = {"item_id": item["id"], "output_index": index, field: place}
    extra: Doc = {"logprobs": []} if "output_text" in base else {}
    deltas = [{"type": f"{base}.delta", **at, "delta": one, **extra} for one in pieces(part[key])]
    return [
        {"type": f"response.{group}.added", **at, "part": {**part, key: ""}},
        *({**delta, "obfuscation": "x7Y"} for delta in deltas),
        {"type": f"{base}.done", **at, key: part[key], **extra},
        {"type": f"response.{group}.done", **at, "part": part},
    ]


def item_frames(index: int, item: Doc) -> list[Doc]:
    """The frames of one item, as the provider sends them."""
    begun, inner = {**item, "status": "in_progress"}, list[Doc]()
    at: Doc = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "message":
            begun["content"] = []
            for place, part in enumerate(item["content"]):
                base, key = ("refusal",) * 2 if part["type"] == "refusal" else ("output_text", "text")
                inner += text_frames(index, item, place, part, f"response.{base}", key)
        case "reasoning":
            begun["summary"] = []
            for place, part in enumerate(item["summary"]):
                inner += text_frames(index, item, place, part, "response.reasoning_summary_text")
        case "function_call" | "custom_tool_call":
            key = "arguments" if item["type"] == "function_call" else "input"
            base = f"response.{'function' if key == 'arguments' else 'custom_tool'}_call_{key}"
            begun[key] = ""
            inner = [{"type": f"{base}.delta", **at, "delta": one} for one in pieces(item[key])]
            inner.append({"type": f"{base}.done", **at, key: item[key]})
        case "web_search_call":
            inner = [{"type": "response.web_search_call.searching", **at}]
        case _:
            pass
    added: Doc = {"type": "response.output_item.added", "output_index": index, "item": begun}
    return [added, *inner, {"type": "response.output_item.done", "output_index": index, "item": item}]


def response(items: Sequence[Doc] = (), status: str = "completed", **more: Any) -> Doc:
    head: Doc = {"id": "resp_real", "object": "response", "created_at": 1, "status": status, "error": None}
    head |= {"incomplete_details": None, "model": "gpt-5.5-2026", "output": list(items), "parallel_tool_calls": True}
    tail: Doc = {"tool_choice": "auto", "tools": [], "usage": USAGE if status == "completed" else None, "x_new": [1]}
    return head | tail | more


def end(items: Sequence[Doc], status: str = "completed", **more: Any) -> Doc:
    return {"type": f"response.{status}", "response": response(items, status, **more)}


def opening() -> list[Doc]:
    return [{"type": f"response.{one}", "response": response((), "in_progress")} for one in ("created", "in_progress")]


def reply_frames(items: Sequence[Doc]) -> list[Doc]:
    middle = [frame for index, item in enumerate(items) for frame in item_frames(index, item)]
    return [*opening(), *middle, end(items)]


def encode(frames: Iterable[Doc]) -> bytes:
    """Server-sent events, numbered from 0."""
    return b"".join(
        f"event: {frame['type']}\ndata: {json.dumps({**frame, 'sequence_number': count})}\n\n".encode()
        for count, frame in enumerate(frames)
    )


# -- how it is run and read


def same(event: Event) -> Iterable[Event]:
    return (event,)


def apply(events: tuple[Event, ...], change: Change) -> Sequence[Event]:
    out = tuple(one for event in events for one in change(event))
    unchanged = len(out) == len(events) and all(new is old for new, old in zip(out, events, strict=True))
    return events if unchanged else out


def feed(reply: Reply, chunks: Iterable[bytes], change: Change = same) -> bytes:
    frames = (frame for chunk in chunks for frame in reply.receive_data(chunk))
    return b"".join(reply.emit(frame, apply(frame.events, change)) for frame in frames)


def stream(data: bytes, change: Change = same, *, hold: bool = True, size: int = 0, request: Any = STREAM) -> bytes:
    """The reply as sent, read in one chunk or in chunks of `size` bytes."""
    reply = FORMAT.reply(request, streamed=True, hold_calls=hold)
    chunks = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return feed(reply, [*chunks, b""], change)


def whole(body: bytes, change: Change = same, *, request: Any = STREAM) -> bytes:
    reply = FORMAT.reply(request, streamed=False, hold_calls=True)
    return feed(reply, [body[:9], body[9:], b""], change)


def events_of(data: bytes, *, hold: bool = True) -> list[Event]:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=hold)
    return [event for chunk in (data, b"") for frame in reply.receive_data(chunk) for event in frame.events]


def documents(data: bytes) -> list[Doc]:
    return [json.loads(block.split(b"data: ", 1)[1]) for block in data.split(b"\n\n") if b"data: " in block]


def only(data: bytes, type: str) -> list[Doc]:
    return [document for document in documents(data) if document["type"] == type]


def unnamed(data: bytes) -> bytes:
    """The bytes without what is random in them."""
    return re.sub(rb"(msg|resp)_[0-9a-f]{48}", rb"\1_new", data)


def summary(output: Sequence[Doc]) -> list[Any]:
    """What the client reads: texts and calls in order."""
    return [
        "".join(part.get("text", part.get("refusal")) for part in item["content"])
        if item["type"] == "message"
        else [part["text"] for part in item["summary"]]
        if item["type"] == "reasoning"
        else (item.get("name", item["type"]), item.get("arguments") or item.get("input") or item.get("action"))
        for item in output
    ]


def check(data: bytes) -> list[Doc]:
    """Assert the invariants of the format; give the output that the stream tells."""
    frames = documents(data)
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert frames[0]["type"] == "response.created"
    assert frames[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    items: dict[int, Doc] = {}
    said: dict[tuple[Any, ...], str] = {}
    done: dict[int, Doc] = {}
    for frame in frames:
        kind = frame["type"]
        place = tuple(frame.get(key) for key in ("output_index", "content_index", "summary_index"))
        if "item_id" in frame:
            assert frame["item_id"] == items[frame["output_index"]]["id"], kind
        if kind == "response.output_item.added":
            assert frame["output_index"] == len(items)
            items[len(items)] = frame["item"]
        elif kind == "response.output_item.done":
            assert (frame["item"]["id"], frame["item"]["type"]) == tuple(
                items[frame["output_index"]][key] for key in ("id", "type")
            )
            done[frame["output_index"]] = frame["item"]
        elif kind.endswith(".delta"):
            said[place] = said.get(place, "") + frame["delta"]
        elif kind.endswith("_part.done"):
            assert said.get(place, "") == frame["part"].get("text", frame["part"].get("refusal"))
        elif kind.endswith(".done"):
            told = next(frame[key] for key in ("text", "refusal", "arguments", "input") if key in frame)
            assert said.get(place, "") == told
    assert frames[-1]["response"]["output"] == [done[index] for index in range(len(items))]
    return frames[-1]["response"]["output"]


def judged(data: bytes) -> Any:
    """The final response as the official SDK's strictest reader sees it."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})
    )
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(api_key="k", http_client=http, max_retries=0) as client,
        client.responses.stream(model="gpt-5.5", input="hi") as events,
    ):
        return events.get_final_response()


# -- policies


def edit(old: str, new: str) -> Change:
    """Replace a word in texts, thinking and arguments; drop what becomes empty."""

    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, TextDelta | ThinkingDelta) and old in event.text:
            text = event.text.replace(old, new)
            return (replace(event, text=text),) if text else ()
        if isinstance(event, ToolCall) and old in event.arguments:
            return (replace(event, arguments=event.arguments.replace(old, new)),)
        return (event,)

    return change


def block(*names: str, notice: str = "no: ") -> Change:
    """Replace calls of these tools by a text, or by nothing where `notice` is empty."""

    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, ToolCall) and event.name in names:
            return (TextDelta(block=event.block, text=notice + event.name),) if notice else ()
        return (event,)

    return change


def add_at_end(*texts: str) -> Change:
    def change(event: Event) -> Iterable[Event]:
        added = [TextDelta(block=NEW_BLOCK, text=text) for text in texts]
        return (*added, event) if isinstance(event, MessageEnd) else (event,)

    return change


def warn(event: Event) -> Iterable[Event]:
    note = TextDelta(block=NEW_BLOCK, text="careful")
    return (note, event) if isinstance(event, ToolCall) else (event,)


def random_item(n: int, kind: str) -> Doc:
    match kind:
        case "message":
            return message(f"one two {n}", n)
        case "reasoning":
            return {**reasoning("why", "so"), "id": f"rs_{n}"}
        case "search":
            return {**search(), "id": f"ws_{n}"}
        case "custom":
            return custom("exec", f"go {n}", n)
        case _:
            return call("ls", LS, n)


def random_change(acts: list[str]) -> Change:
    """A policy that does something else with every event."""
    turn = itertools.cycle(acts)

    def change(event: Event) -> Iterable[Event]:
        act = next(turn)
        note = TextDelta(block=NEW_BLOCK, text="note")
        match event:
            case TextDelta() | ThinkingDelta() | ToolCall() if act == "drop":
                return ()
            case TextDelta() | ThinkingDelta() if act == "edit":
                return (replace(event, text="edited"),)
            case ToolCall() if act == "edit":
                return (replace(event, arguments="edited"),)
            case ToolCall() if act == "note":
                return (TextDelta(block=event.block, text="no"),)
            case Unknown():
                return (event,)
            case _ if act == "note":
                return (note, event)
            case _:
                return (event,)

    return change
