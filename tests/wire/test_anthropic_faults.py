"""Anthropic replies with errors in them, and replies that are odd, illegal or cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from lockgate.errors import WireError
from lockgate.events import (
    Event,
    MessageEnd,
    ReplyError,
    ThinkingDelta,
    ToolCall,
    Usage,
)
from tests.wire.anthropic_replies import (
    LS,
    TH,
    TOUCH,
    Document,
    T,
    block_calls,
    events_of,
    frame,
    frames,
    holds,
    passed,
    pieces_of,
    result,
    said,
    sizes,
    stream,
    streamed,
    text,
    thinking,
    unstreamed,
    whole,
)

# Errors in the stream, and ends.

OVERLOADED = frame(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
)


@holds
@sizes
def test_an_error_in_the_stream_passes_and_ends_it(size: int, hold: bool):
    data = b"".join(frames(text("a", "b"))[:3]) + OVERLOADED
    reply = streamed(hold)
    assert passed(reply, pieces_of(data, size)) == data
    assert reply.keep_alive() == b""
    assert events_of(data)[-1] == ReplyError(kind="overloaded_error", message="Overloaded")


def test_an_error_while_a_call_is_held_goes_out_alone():
    parts = frames(text("a"), LS, TOUCH, stop="tool_use")[:12]
    reply = streamed()
    assert passed(reply, [b"".join(parts) + OVERLOADED]) == b"".join(parts[:5]) + OVERLOADED
    assert not reply.holding
    assert reply.held_bytes == 0


def test_an_error_before_the_message_passes():
    assert passed(streamed(), [OVERLOADED]) == OVERLOADED


def test_an_error_in_a_whole_reply_passes():
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    assert events_of(body, unstreamed()) == [ReplyError(kind="overloaded_error", message="Overloaded")]
    assert passed(unstreamed(), [body], lambda event: ()) == body


def test_an_error_of_an_unusual_shape_is_still_an_error():
    assert events_of(frame({"type": "error", "error": "no"})) == [ReplyError(kind="error", message="no")]


@pytest.mark.parametrize("count", range(10))
def test_an_end_before_the_closing_frames_is_an_error(count: int):
    parts = frames(text("a"), LS, stop="tool_use")
    reply = streamed()
    reply.receive_data(b"".join(parts[: count + 1]))
    with pytest.raises(WireError, match="ended without its closing frames"):
        reply.receive_data(b"")


def test_a_last_frame_without_its_blank_line_counts():
    data = stream(text("a")).rstrip(b"\n")
    assert passed(streamed(), [data]) == data


def test_what_follows_the_end_passes_where_it_says_nothing():
    data = stream(text("a")) + b": bye\n\nevent: ping\ndata: {}\n\n\n"
    assert passed(streamed(), [data]) == data


# What is not known, and what is not legal.


@holds
@pytest.mark.parametrize(
    "odd",
    [
        b": comment\n\n",
        b"data: no json\n\n",
        b"data: [1, 2]\n\n",
        b"data: {}\n\n",
        b'event: new\ndata: {"type": "new_event", "index": 5}\n\n',
        b"id: 5\n\n",
        b"event: ping\n\n",
        b"\n",
    ],
)
def test_frames_that_are_not_known_pass_in_their_place(odd: bytes, hold: bool):
    parts = frames(text("a"), LS, TOUCH, stop="tool_use")
    data = b"".join(part + odd for part in parts)
    assert passed(streamed(hold), [data]) == data
    if hold:
        sent = passed(streamed(), [data], block_calls("toolu_01"))
        assert said(result(sent)) == [("text", "a"), ("text", "Blocked: toolu_01"), T]


def test_a_frame_that_is_not_utf8_is_an_error():
    """Clients read it with replacement characters, so that it must not pass unseen."""
    with pytest.raises(WireError, match="not UTF-8"):
        passed(streamed(), [stream(text("a")).replace(b'"a"', b'"\xff"')])


def test_a_frame_that_nests_too_deep_is_an_error():
    with pytest.raises(WireError, match="nested deeper"):
        passed(streamed(), [b'data: {"type":"ping","x":' + b"[" * 1000 + b"]" * 1000 + b"}\n\n"])


START = {"type": "message_start", "message": {"id": "m", "model": "m"}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
STOP = {"type": "content_block_stop", "index": 0}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
TOOL = {"type": "tool_use", "id": "t", "name": "n", "input": {}}


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ([TEXT], "outside a message"),
        ([DELTA], "outside a message"),
        ([END], "never started"),
        ([{"type": "message_stop"}], "never started"),
        ([START, START], "second message_start"),
        ([START | {"message": {"content": [{"type": "text"}]}}], "belongs into blocks"),
        ([START | {"message": None}], "`message` as an object"),
        ([START, DELTA], "block 0 goes on, which is not open"),
        ([START, STOP], "block 0 goes on, which is not open"),
        ([START, TEXT, STOP, DELTA], "block 0 goes on, which is not open"),
        ([START, TEXT, STOP, STOP], "block 0 goes on, which is not open"),
        ([START, TEXT, DELTA | {"index": -1}], "block -1 goes on"),
        ([START, TEXT | {"index": 1}], "block 1 starts where 0 is next"),
        ([START, TEXT, TEXT], "block 0 starts where 1 is next"),
        ([START, TEXT | {"index": "0"}], "`index` as a number"),
        ([START, TEXT | {"index": False}], "`index` as a number"),
        ([START, TEXT | {"content_block": []}], "`content_block` as an object"),
        ([START, TEXT | {"content_block": {}}], "`type` as a string"),
        ([START, TEXT | {"content_block": {"type": "text", "text": 1}}], "`text` as a string"),
        ([START, TEXT | {"content_block": TOOL | {"name": None}}], "`name` as a string"),
        ([START, TEXT | {"content_block": {"type": "tool_use", "name": "n"}}], "`id` as a string"),
        ([START, TEXT, DELTA | {"delta": "x"}], "`delta` as an object"),
        ([START, TEXT, DELTA | {"delta": {"type": "text_delta", "text": None}}], "`text` as a string"),
        ([START, TEXT, DELTA | {"delta": {"type": "thinking_delta", "thinking": "x"}}], "which is a text block"),
        ([START, TEXT | {"content_block": TOOL}, DELTA], "which is a tool_use block"),
        ([START, TEXT, DELTA | {"delta": {"type": "input_json_delta"}}], "`partial_json` as a string"),
        ([START, TEXT, END], "ends while content block 0 is open"),
        ([START, TEXT | {"content_block": TOOL}, END], "ends while content block 0 is open"),
        ([START, TEXT | {"content_block": TOOL}, {"type": "message_stop"}], "ends while content block 0 is open"),
        ([START, TEXT, STOP, END, TEXT | {"index": 1}], "outside a message"),
        ([START, END | {"delta": {"stop_reason": 5}}], "`stop_reason` as a string"),
        ([START, END | {"delta": None}], "`delta` as an object"),
    ],
)
def test_a_known_frame_of_a_wrong_shape_or_in_a_wrong_place_is_an_error(documents: list[Document], says: str):
    reply = streamed()
    with pytest.raises(WireError, match=says):
        reply.receive_data(b"".join(map(frame, documents)))


def test_thinking_of_a_block_that_is_over_never_becomes_text():
    def change(event: Event) -> Iterable[Event]:
        return (ThinkingDelta(block=0, text="hm"), event) if isinstance(event, MessageEnd) else (event,)

    sent = passed(streamed(), [stream(thinking("hm"), text("a"))], change)
    assert said(result(sent)) == [TH, ("text", "a")]


def test_an_end_without_a_reason_is_an_end():
    documents = [START, TEXT, DELTA, STOP, END | {"delta": {}}, {"type": "message_stop"}]
    data = b"".join(map(frame, documents))
    assert passed(streamed(), [data]) == data
    assert events_of(data)[-1] == MessageEnd(stop_reason="", usage=Usage())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "without a body"),
        (b"  \n", "without a body"),
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither a message nor an error"),
        (b'{"type":"message"}', "neither a message nor an error"),
        (b'{"type":"message","content":[5]}', "block 0 is no object"),
        (b'{"type":"message","content":[{"type":"text","text":5}]}', "`text` as a string"),
        (b'{"type":"message","content":[],"content":[]}', "the key 'content' is repeated"),
        (b'{"type":"message","content":[{"type":"tool_use","id":"t"}]}', "`name` as a string"),
    ],
)
def test_a_whole_reply_that_cannot_be_read_is_an_error(body: bytes, says: str):
    with pytest.raises(WireError, match=says):
        passed(unstreamed(), [body] if body else [])


def test_a_whole_reply_cannot_carry_arguments_that_are_no_json():
    def change(event: Event) -> Iterable[Event]:
        return (replace(event, arguments="{"),) if isinstance(event, ToolCall) else (event,)

    with pytest.raises(WireError, match="not JSON"):
        passed(unstreamed(), [whole(LS, stop="tool_use")], change)
