"""Anthropic replies for tests: what a provider says, what policies make of it, and whether the outcome is legal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import pytest

from lockgate.events import (
    NEW_BLOCK,
    BlockEnd,
    Event,
    MessageEnd,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
)
from lockgate.wire.anthropic import FORMAT
from lockgate.wire.codec import Frame, Reply
from lockgate.wire.sse import SseReader

type Document = dict[str, Any]
type Change = Callable[[Event], Iterable[Event]]

REQUEST = FORMAT.read_request(b'{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[],"stream":true}')
WHOLE = FORMAT.read_request(b'{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[]}')
USAGE: Document = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 2048,
    "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 1,
    "service_tier": "standard",
}
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds+/=="


# What the provider says. A reply is a list of blocks, each with the pieces that its deltas bring.


def text(*pieces: str, **more: Any) -> Document:
    return {"type": "text", "text": "".join(pieces), **more, "_deltas": [("text_delta", "text", p) for p in pieces]}


def thinking(*pieces: str) -> Document:
    deltas = [("thinking_delta", "thinking", piece) for piece in pieces]
    signed = [*deltas, ("signature_delta", "signature", SIGNATURE)]
    return {"type": "thinking", "thinking": "".join(pieces), "signature": SIGNATURE, "_deltas": signed}


def call(id: str, name: str, *pieces: str, kind: str = "tool_use", **more: Any) -> Document:
    deltas = [("input_json_delta", "partial_json", piece) for piece in ("", *pieces)]
    return {
        "type": kind,
        "id": id,
        "name": name,
        "input": json.loads("".join(pieces) or "{}"),
        **more,
        "_deltas": deltas,
    }


def other(kind: str, **values: Any) -> Document:
    return {"type": kind, **values, "_deltas": []}


def frame(document: Document) -> bytes:
    """As the service writes it, with a space after colons and commas."""
    return b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps(document, ensure_ascii=False).encode())


def message(*blocks: Document, stop: str | None = "end_turn", usage: Document = USAGE) -> Document:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{key: value for key, value in block.items() if key != "_deltas"} for block in blocks],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def frames(*blocks: Document, stop: str = "end_turn") -> list[bytes]:
    documents: list[Document] = [{"type": "message_start", "message": message(stop=None)}]
    for index, block in enumerate(blocks):
        documents += _block_documents(index, block)
        documents += [{"type": "ping"}] if index == 0 else []
    documents.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None, "x_new": 1},
            "usage": {"output_tokens": 89, "input_tokens": None},
        }
    )
    return [frame(document) for document in [*documents, {"type": "message_stop"}]]


def _block_documents(index: int, block: Document) -> Iterator[Document]:
    said = {"text": "", "thinking": "", "signature": ""} | ({"input": {}} if block["_deltas"] else {})
    start = {key: said.get(key, value) for key, value in block.items() if key != "_deltas"}
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for kind, key, piece in block["_deltas"]:
        yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}, "x_new": {"b": 2}}
    yield {"type": "content_block_stop", "index": index}


def stream(*blocks: Document, stop: str = "end_turn") -> bytes:
    return b"".join(frames(*blocks, stop=stop))


def whole(*blocks: Document, stop: str = "end_turn") -> bytes:
    return json.dumps(message(*blocks, stop=stop, usage=USAGE | {"output_tokens": 89}), indent=1).encode()


# What the proxy makes of it.


def forward(event: Event) -> Iterable[Event]:
    return (event,)


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


def passed(reply: Reply, pieces: Iterable[bytes], change: Change = forward) -> bytes:
    """What the client gets."""
    return b"".join(reply.emit(given, changed(given, change)) for given in given_of(reply, pieces))


def given_of(reply: Reply, pieces: Iterable[bytes]) -> Iterator[Frame]:
    for piece in [*pieces, b""]:
        yield from reply.receive_data(piece)


def changed(given: Frame, change: Change) -> Sequence[Event]:
    out = [event for one in given.events for event in change(one)]
    return given.events if len(out) == len(given.events) and all(map(_is, out, given.events)) else out


def _is(a: object, b: object) -> bool:
    return a is b


def streamed(hold: bool = True) -> Reply:
    return FORMAT.reply(REQUEST, streamed=True, hold_calls=hold)


def unstreamed() -> Reply:
    return FORMAT.reply(WHOLE, streamed=False, hold_calls=True)


def events_of(data: bytes, reply: Reply | None = None) -> list[Event]:
    return [event for given in given_of(reply or streamed(), [data]) for event in given.events]


def documents_of(data: bytes) -> list[Document]:
    reader = SseReader()
    blocks = [*reader.receive_data(data), *reader.receive_data(b"")]
    return [json.loads(text) for _, text in blocks if text.startswith(b"{")]


def result(data: bytes) -> Document:
    """The whole message that a legal stream spells."""
    check_legal(data)
    reply = streamed()
    for given in given_of(reply, [data]):
        reply.emit(given, given.events)
    return json.loads(reply.message() or b"null")


def said(document: Document) -> list[tuple[str, ...]]:
    """A message's blocks in short."""
    return [_said(block) for block in document["content"]]


def _said(block: Document) -> tuple[str, ...]:
    match block["type"]:
        case "text":
            return "text", block["text"]
        case "thinking":
            return "thinking", block["thinking"], block["signature"]
        case "tool_use":
            return "call", block["id"], block["name"], json.dumps(block["input"])
        case kind:
            return (kind,)


KINDS = {f"message_{kind}" for kind in ("start", "delta", "stop")}
KINDS |= {f"content_block_{kind}" for kind in ("start", "delta", "stop")}


def check_legal(data: bytes) -> None:
    """The invariants of the format, on what the client gets."""
    documents = [document for document in documents_of(data) if document.get("type") in KINDS]
    kinds = [document["type"] for document in documents]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert len(kinds) == len(set(kinds[:1] + kinds[-2:])) + sum(kind.startswith("content_block_") for kind in kinds)
    starts = _check_blocks([document for document in documents if document["type"].startswith("content_block_")])
    client_kinds = [kind == "tool_use" for kind in starts]
    assert client_kinds == sorted(client_kinds), "something follows a tool call"
    reason = documents[-2]["delta"]["stop_reason"]
    assert (reason == "tool_use") is any(client_kinds) or reason not in ("tool_use", "end_turn")


def _check_blocks(documents: list[Document]) -> list[str]:
    kinds: list[str] = []
    current: int | None = None
    for document in documents:
        if document["type"] == "content_block_start":
            assert current is None
            assert document["index"] == len(kinds)
            kinds.append(document["content_block"]["type"])
            current = document["index"]
        assert document["index"] == current
        if document["type"] == "content_block_stop":
            current = None
    assert current is None
    return kinds


def check_with_sdk(body: bytes, content_type: str = "text/event-stream") -> anthropic.types.Message:
    """The message as the official client reads it."""

    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": content_type}, content=body)

    transport = httpx2.MockTransport(serve)
    with httpx2.Client(transport=transport) as http, anthropic.Anthropic(api_key="k", http_client=http) as client:
        asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        if content_type == "application/json":
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as reply:
            return reply.get_final_message()


def sdk_said(given: anthropic.types.Message) -> list[tuple[str, ...]]:
    return said(given.to_dict())


# Replies, as the service gives them.

LS = call("toolu_01", "Bash", '{"command"', ': "ls -la /tmp"', "}")
TOUCH = call("toolu_02", "Bash", '{"command": "touch', ' marker"}', caller={"type": "direct"})
SEARCH = call("srvtoolu_01", "web_search", '{"query": "cats"}', kind="server_tool_use")
RESULT = {"type": "web_search_result", "title": "t", "url": "https://x", "encrypted_content": "e", "page_age": None}
FOUND = other("web_search_tool_result", tool_use_id="srvtoolu_01", content=[RESULT])
REPLIES: dict[str, tuple[list[Document], str]] = {
    "text": ([text("Hello", " wor", "ld 👩‍💻")], "end_turn"),
    "empty text": ([text()], "end_turn"),
    "nothing": ([], "end_turn"),
    "two texts": ([text("one"), text("two", " three")], "stop_sequence"),
    "thinking": ([thinking("Let", " me see"), text("Done")], "end_turn"),
    "thinking without words": ([thinking(), other("redacted_thinking", data="xyz"), text("Done")], "end_turn"),
    "call": ([LS], "tool_use"),
    "call without arguments": ([call("toolu_09", "now")], "tool_use"),
    "text and call": ([text("I will ", "look."), LS], "tool_use"),
    "two calls": ([thinking("hm"), text("I will."), LS, TOUCH], "tool_use"),
    "the provider's own tool": ([text("Searching"), SEARCH, FOUND, text("Found", " it.")], "end_turn"),
    "own tool between calls": ([LS, SEARCH, FOUND, TOUCH], "tool_use"),
    "cut by a limit": ([text("I wil")], "max_tokens"),
    "refusal": ([], "refusal"),
    "pause": ([SEARCH], "pause_turn"),
}
replies = pytest.mark.parametrize("name", REPLIES)
sizes = pytest.mark.parametrize("size", [0, 1, 7], ids=["in one piece", "byte by byte", "by seven bytes"])
holds = pytest.mark.parametrize("hold", [True, False], ids=["held", "not held"])


EXPLAINED = '{"command": "echo blocked >&2; exit 1"}'


def shout(event: Event) -> Iterable[Event]:
    return (replace(event, text=event.text.upper()),) if isinstance(event, TextDelta) else (event,)


def explain(event: Event) -> Iterable[Event]:
    return (replace(event, arguments=EXPLAINED),) if isinstance(event, ToolCall) else (event,)


def drop_text(*texts: str) -> Change:
    return lambda event: () if isinstance(event, TextDelta) and (not texts or event.text in texts) else (event,)


def cut(part: str) -> Change:
    return lambda event: (
        (replace(event, text=event.text.replace(part, "")),) if isinstance(event, TextDelta) else (event,)
    )


def block_calls(*ids: str, notice: str = "Blocked: {}") -> Change:
    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, ToolCall) and (not ids or event.id in ids):
            return (TextDelta(block=event.block, text=notice.format(event.id)),) if notice else ()
        return (event,)

    return change


def add_at_end(*texts: str) -> Change:
    def change(event: Event) -> Iterable[Event]:
        added = (TextDelta(block=NEW_BLOCK, text=text) for text in texts)
        return (*added, event) if isinstance(event, MessageEnd) else (event,)

    return change


def both(*changes: Change) -> Change:
    def change(event: Event) -> Iterable[Event]:
        events: list[Event] = [event]
        for one in changes:
            events = [out for given in events for out in one(given)]
        return events

    return change


def hold_back() -> Change:
    """Text waits for the end of its block, as an engine with a window makes it wait."""
    waiting: list[str] = []

    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, TextDelta):
            waiting.append(event.text)
            return ()
        if isinstance(event, BlockEnd) and waiting:
            joined_text = "".join(waiting)
            waiting.clear()
            return (TextDelta(block=event.block, text=joined_text), event)
        return (event,)

    return change


def one_late() -> Change:
    """Each text goes out with the frame after it, the same object or in two pieces, by turns."""
    waiting: list[TextDelta] = []

    def change(event: Event) -> Iterable[Event]:
        out: list[Event] = list(waiting)
        waiting.clear()
        if isinstance(event, TextDelta):
            waiting.append(event)
            return [replace(one, text=part) for one in out for part in (one.text[:1], one.text[1:])]
        return [*out, event]

    return change


BOTH = [thinking("hm"), text("I ", "will."), LS, TOUCH]
L, T = (
    ("call", "toolu_01", "Bash", '{"command": "ls -la /tmp"}'),
    ("call", "toolu_02", "Bash", '{"command": "touch marker"}'),
)
TH = ("thinking", "hm", SIGNATURE)


def joined(events: Iterable[Event]) -> list[Event]:
    """Events with texts of one block joined and arguments without white space, so that streamed and whole compare."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, ToolCall):
            event = replace(event, arguments=json.dumps(json.loads(event.arguments)))
        if out and isinstance(event, TextDelta | ThinkingDelta) and isinstance(out[-1], type(event)):
            event = replace(event, text=out.pop().text + event.text)
        if not isinstance(event, Unknown):
            out.append(event)
    return out
