"""Replies in shapes that no provider sends: a codec says so with a WireError and nothing else, and the gate blocks.

The first half puts odd values in each place of a usual reply; the second is a table of what did break once.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lockgate.addons.reply import read
from lockgate.errors import WireError
from lockgate.events import BlockEnd, Event, MessageEnd, TextDelta, Usage
from lockgate.wire import anthropic, openai_chat, openai_responses
from lockgate.wire.codec import Format, Reply
from tests.addons.gated import ANTHROPIC, OPENAI, gated
from tests.upstream.proxied import EVENT_STREAM, Tls, tls
from tests.wire import anthropic_replies, chat_cases, responses

__all__ = ["tls"]

type Json = dict[str, Any]
type Change = Callable[[tuple[Event, ...]], Sequence[Event]]

ODD: list[Any] = [[], {}, None, "x", -1, 10**30, [None], {"type": []}]
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A wire format, and how a usual reply looks in it."""

    format: Format
    host: str
    path: str
    ask: Json
    frames: list[Json]
    whole: Json

    def reply(self, *, streamed: bool, hold: bool = False) -> Reply:
        return self.format.reply(self.format.read_request(self.body(streamed)), streamed=streamed, hold_calls=hold)

    def body(self, streamed: bool) -> bytes:
        return json.dumps({**self.ask, "stream": streamed}).encode()


def _documents(frames: Iterable[bytes]) -> list[Json]:
    return [json.loads(frame.partition(b"data: ")[2]) for frame in frames]


_BLOCKS = [anthropic_replies.text("so", " it"), anthropic_replies.thinking("hm"), anthropic_replies.LS]
_ITEMS = [
    responses.reasoning("hm"), responses.message("so it"), responses.call("exec_command", responses.LS),
    responses.custom("apply_patch", "*** Begin Patch", 2), responses.shell("ls"), responses.search(),
]  # fmt: skip
_CALL: Json = {"id": "call_a", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
_CHAT = [
    chat_cases.START, chat_cases.said({"content": "so"}), chat_cases.said({"reasoning_content": "hm"}),
    chat_cases.piece(0, "", id="call_a", name="bash"), chat_cases.piece(0, _CALL["function"]["arguments"]),
    chat_cases.said({}, "tool_calls"), chat_cases.USAGE_FRAME,
]  # fmt: skip
KINDS = {
    "anthropic": Kind(
        format=anthropic.FORMAT, host=ANTHROPIC, path="/v1/messages",
        ask={"model": "m", "max_tokens": 9, "messages": []},
        frames=_documents(anthropic_replies.frames(*_BLOCKS, stop="tool_use")),
        whole=anthropic_replies.message(*_BLOCKS, stop="tool_use"),
    ),
    "chat": Kind(
        format=openai_chat.FORMAT, host=OPENAI, path="/v1/chat/completions", ask={"model": "m", "messages": []},
        frames=_documents(_CHAT),
        whole=chat_cases.HEAD | {"object": "chat.completion", "usage": chat_cases.USAGE, "choices": [{
            "index": 0, "finish_reason": "tool_calls", "logprobs": None,
            "message": {"role": "assistant", "content": "so", "refusal": None, "tool_calls": [_CALL]},
        }]},
    ),
    "responses": Kind(
        format=openai_responses.FORMAT, host=OPENAI, path="/v1/responses", ask={"model": "m", "input": "hi"},
        frames=responses.reply_frames(_ITEMS), whole=responses.response(_ITEMS),
    ),
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


# Every place of a reply, with every odd value.


def sent(kind: Kind, frames: Iterable[Json]) -> list[bytes]:
    names = kind.path != "/v1/chat/completions"
    done = [] if names else [chat_cases.DONE]
    return [b"event: %s\n%s" % (str(f.get("type")).encode(), _data(f)) if names else _data(f) for f in frames] + done


def _data(document: Json) -> bytes:
    return b"data: %s\n\n" % json.dumps(document).encode()


def odd_ones(document: Json) -> Iterator[tuple[tuple[Any, ...], Any, Json]]:
    """The document with one value replaced, or gone, each with its place and what stands there."""
    for place in _places(document, ()):
        for odd in [*ODD, ...]:
            changed = copy.deepcopy(document)
            holder: Any = changed
            for key in place[:-1]:
                holder = holder[key]
            if odd is ...:
                del holder[place[-1]]
            else:
                holder[place[-1]] = odd
            yield place, odd, changed


def _places(node: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, dict):
        inner = node.items()
    elif isinstance(node, list):
        inner = enumerate(node)
    for key, value in inner:
        yield (*above, key)
        yield from _places(value, (*above, key))


def forward(events: tuple[Event, ...]) -> Sequence[Event]:
    return events


def shout(events: tuple[Event, ...]) -> Sequence[Event]:
    return [replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event for event in events]


def run(reply: Reply, pieces: Iterable[bytes], change: Change) -> None:
    """What the gate does with a reply; WireError is the one thing that may be raised, and only by reading."""
    try:
        for piece in [*pieces, b""]:
            for frame in reply.receive_data(piece):
                reply.emit(frame, change(frame.events))
            reply.keep_alive()
    except WireError:
        reply.refuse("it cannot be read")
    reply.message()


@kinds
@pytest.mark.parametrize(("hold", "change"), [(True, forward), (False, shout)], ids=["held", "changed"])
def test_no_odd_value_in_a_stream_raises_anything_but_a_wire_error(kind: Kind, hold: bool, change: Change) -> None:
    usual, broken = sent(kind, kind.frames), list[Any]()
    for at, document in enumerate(kind.frames):
        for place, odd, changed in odd_ones(document):
            reply = kind.reply(streamed=True, hold=hold)
            try:
                run(reply, [*usual[:at], *sent(kind, [changed])[:1], *usual[at + 1 :]], change)
            except Exception as error:
                broken.append((document.get("type"), place, odd, repr(error)))
    assert broken == []


@kinds
@pytest.mark.parametrize("change", [forward, shout])
def test_no_odd_value_in_a_whole_reply_raises_anything_but_a_wire_error(kind: Kind, change: Change) -> None:
    broken: list[Any] = []
    for place, odd, changed in odd_ones(kind.whole):
        try:
            run(kind.reply(streamed=False), [json.dumps(changed).encode()], change)
        except Exception as error:
            broken.append((place, odd, repr(error)))
    assert broken == []


# What did break once, through the gate.


def _response(kind: str, **more: Any) -> Json:
    return {"type": f"response.{kind}", **more}


_OPENING = responses.opening()
_MESSAGE = responses.message("so")
_ODD_PART = _MESSAGE | {"content": [{"type": {}}]}
_SEARCH = {"id": "ts_1", "type": "tool_search_call", "execution": "server", "arguments": {"query": "q"}}
_MESSAGE_FRAMES = responses.item_frames(0, _MESSAGE)
_STARTED = KINDS["anthropic"].frames[:3]
STREAMS: list[tuple[str, list[Json], Json]] = [
    ("responses", _OPENING, _response("output_item.added", output_index=0, item={"type": []})),
    ("responses", _OPENING, _response("output_item.added", output_index=0, item={**_MESSAGE, "id": {}})),
    ("responses", _OPENING, _response("output_item.added", output_index=0, item=_ODD_PART)),
    ("responses", [*_OPENING, _MESSAGE_FRAMES[0]],
     _response("content_part.added", output_index=0, content_index=0, part={"type": [], "text": ""})),
    ("responses", [*_OPENING, *_MESSAGE_FRAMES], responses.end([{**_MESSAGE, "id": []}])),
    ("responses", [*_OPENING, *_MESSAGE_FRAMES], responses.end([{**_MESSAGE, "type": {}}])),
    ("responses", [*_OPENING, *_MESSAGE_FRAMES], responses.end([{**responses.call("bash", "touch"), "id": "msg_1"}])),
    ("responses", [*_OPENING, *responses.item_frames(0, _SEARCH)], responses.end([{**_SEARCH, "execution": "client"}])),
    ("anthropic", _STARTED, {"type": "content_block_delta", "index": 0, "delta": {"type": []}}),
    ("anthropic", _STARTED, {"type": "content_block_delta", "index": 0, "delta": {"type": {}, "text": "so"}}),
    ("anthropic", [], {"type": "message_start", "message": []}),
    ("chat", [], {"choices": {"index": 0}}),
    ("chat", [], {"choices": [{"index": 0, "delta": {"tool_calls": "bash"}}]}),
]  # fmt: skip
WHOLES: list[tuple[str, Json]] = [
    ("responses", responses.response([{"type": {}}])),
    ("responses", responses.response([{**_MESSAGE, "id": []}])),
    ("responses", responses.response([{**_MESSAGE, "content": [{"type": []}]}])),
    ("anthropic", KINDS["anthropic"].whole | {"content": [{"type": []}]}),
    ("chat", KINDS["chat"].whole | {"choices": [{"index": 0, "message": {"tool_calls": "bash"}}]}),
]
NO_CALLS = {"name": "no-calls", "use": "tools", "with": {"default": "deny"}}
without_or_with_a_rule = pytest.mark.parametrize("rules", [(), (NO_CALLS,)], ids=["no rule", "a rule"])


@without_or_with_a_rule
@pytest.mark.parametrize(("name", "before", "odd"), STREAMS)
async def test_an_odd_stream(tls: Tls, name: str, before: list[Json], odd: Json, rules: tuple[Any, ...]) -> None:
    kind = KINDS[name]
    given, strange = (b"".join(sent(kind, documents)[: len(documents)]) for documents in (before, [odd]))
    async with gated(tls, *rules) as at:
        reply = await (await at.client(kind.host)).send(kind.body(True), path=kind.path)
        served = await at.provider.next()
        await served.start()
        if given:
            await served.send(given)
            await reply.until(given)
        with suppress(ConnectionError):  # the proxy has read enough
            await served.send(strange)
            await served.end()
        await reply.over()
        assert reply.complete
        if rules:
            assert reply.body.startswith(given)
            assert strange not in reply.body
            assert b"cannot read this reply" in reply.body
        else:
            assert reply.body == given + strange
        [row] = await at.log.ended()
    assert row.outcome == "error"


@without_or_with_a_rule
@pytest.mark.parametrize(("name", "odd"), WHOLES)
async def test_an_odd_whole_reply(tls: Tls, name: str, odd: Json, rules: tuple[Any, ...]) -> None:
    kind, body = KINDS[name], json.dumps(odd).encode()
    async with gated(tls, *rules) as at:
        reply = await (await at.client(kind.host)).send(kind.body(False), path=kind.path)
        await (await at.provider.next()).reply(body, headers=JSON)
        await reply.over()
        if rules:
            assert reply.status == 502
            assert "cannot read the provider's reply" in json.loads(reply.body)["error"]["message"]
        else:
            assert (reply.status, reply.body) == (200, body)
        [row] = await at.log.ended()
    assert row.outcome == "error"


@without_or_with_a_rule
@pytest.mark.parametrize("fault", [KeyError("sk-secret"), RecursionError(), AttributeError("sk-secret")], ids=repr)
async def test_what_a_codec_did_not_think_of_is_a_wire_error(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, fault: Exception, rules: tuple[Any, ...]
) -> None:
    kind = KINDS["anthropic"]
    place, faults = type(kind.reply(streamed=True)), [fault]
    usual = place.receive_data

    def receive_data(self: Any, data: bytes) -> Any:
        if faults:
            raise faults.pop()
        return usual(self, data)

    monkeypatch.setattr(place, "receive_data", receive_data)
    body = b"".join(sent(kind, kind.frames))
    async with gated(tls, *rules) as at:
        reply = await (await at.client(kind.host)).send(kind.body(True), path=kind.path)
        with suppress(ConnectionError):  # the proxy has read enough
            await (await at.provider.next()).reply(body, headers=EVENT_STREAM)
        await reply.over()
        assert (reply.body == body) == (not rules)
        assert (b"cannot read this reply" in reply.body) == bool(rules)
        [row] = await at.log.ended()
    assert "a shape that no reply has" in row.error
    assert b"sk-secret" not in reply.body + repr(at.log.records).encode()


def test_a_wire_error_stays_as_it_is() -> None:
    with pytest.raises(WireError, match="ended without its closing frames"):
        read(KINDS["anthropic"].reply(streamed=True), b"")


# Counts are for the log only: a reply does not fail for them.

COUNTS: list[tuple[Any, Usage | None]] = [
    ("many", None),
    ([], None),
    ({}, Usage()),
    ({"input_tokens": "many", "output_tokens": 4}, Usage(output_tokens=4)),
    ({"input_tokens": 3, "output_tokens": {}, "input_tokens_details": []}, Usage(input_tokens=3)),
    ({"input_tokens": 3, "input_tokens_details": {"cached_tokens": "1"}}, Usage(input_tokens=3)),
    ({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 1}}, Usage(input_tokens=2, cache_read_tokens=1)),
    ({"input_tokens": 1.5, "input_tokens_details": {"cached_tokens": 4}}, Usage(cache_read_tokens=4)),
]


@pytest.mark.parametrize(("usage", "counted"), COUNTS)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_count_that_is_no_number_is_zero(usage: Any, counted: Usage | None, streamed: bool) -> None:
    kind, whole = KINDS["responses"], responses.response([_MESSAGE], usage=usage)
    frames = [*_OPENING, *_MESSAGE_FRAMES, {"type": "response.completed", "response": whole}]
    reply = kind.reply(streamed=streamed)
    pieces = sent(kind, frames) if streamed else [json.dumps(whole).encode()]
    events = [event for piece in [*pieces, b""] for frame in read(reply, piece) for event in frame.events]
    assert events[-2:] == [BlockEnd(block=0), MessageEnd(stop_reason="completed", usage=counted)]
    assert reply.usage == counted
