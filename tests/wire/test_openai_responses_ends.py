"""The Responses codec where a provider disagrees with itself, fails or stops, and where Lockgate speaks itself."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from lockgate.errors import WireError
from lockgate.events import (
    MessageEnd,
    ReplyError,
    TextDelta,
    ToolCall,
    Unknown,
)
from lockgate.wire.openai_responses import FORMAT
from tests.wire.responses import (
    LS,
    STREAM,
    Change,
    Doc,
    block,
    call,
    check,
    documents,
    edit,
    encode,
    end,
    events_of,
    feed,
    item_frames,
    judged,
    message,
    only,
    opening,
    reasoning,
    reply_frames,
    response,
    same,
    stream,
    summary,
    whole,
)

# -- repeats that disagree


@pytest.mark.parametrize("where", ["delta", "done", "item", "completed", "added"])
def test_what_is_judged_is_what_every_frame_of_the_call_says(where: str) -> None:
    """A provider that says other arguments in one frame than in the call's last form does not get past the check."""
    bad, frames = '{"cmd": "rm"}', reply_frames([call("sh", LS)])
    for frame in frames:
        kind = frame["type"]
        if where == "delta" and kind.endswith("arguments.delta"):
            frame["delta"] = bad
        elif where == "done" and kind.endswith("arguments.done"):
            frame["arguments"] = bad
        elif where == "added" and kind.endswith("item.added"):
            frame["item"]["arguments"] = bad
        elif where == "item" and kind.endswith("item.done"):
            frame["item"] = call("sh", bad)
        elif where == "completed" and kind.endswith("completed"):
            frame["response"]["output"] = [call("sh", bad)]
    seen = [event.arguments for event in events_of(encode(frames)) if isinstance(event, ToolCall)]
    assert summary(check(stream(encode(frames)))) == [("sh", seen[0])]


def test_a_repeat_that_says_another_text_is_made_to_agree() -> None:
    frames = [*opening(), *item_frames(0, message("seen")), end([message("unseen")])]
    assert summary(check(stream(encode(frames)))) == ["seen"]


def test_the_part_of_a_text_that_no_delta_told_is_an_event() -> None:
    frames = [one for one in reply_frames([message("one two")]) if one.get("delta") != "two"]
    assert TextDelta(block=0, text="two") in events_of(encode(frames))
    assert summary(check(stream(encode(frames), edit("two", "2")))) == ["one 2"]


def test_a_text_that_stands_in_its_first_frame_is_an_event() -> None:
    frames = reply_frames([message("one two")])
    frames[3]["part"]["text"] = "one two"
    del frames[4:6]
    sent = stream(encode(frames), edit("two", "2"))
    assert encode(frames) == stream(encode(frames))
    assert only(sent, "response.content_part.added")[0]["part"]["text"] == "one 2"
    assert summary(documents(sent)[-1]["response"]["output"]) == ["one 2"]


def test_output_that_an_opening_frame_tells_is_left_to_its_items() -> None:
    frames = reply_frames([message("hi")])
    frames[1]["response"]["output"] = [call("rm", "{}")]
    assert b"rm" not in stream(encode(frames))


def test_a_server_that_leaves_the_last_output_empty_is_left_so() -> None:
    frames = [*opening(), *item_frames(0, message("a x")), *item_frames(1, call("rm", "{}")), end([])]
    sent = stream(encode(frames), block("rm"))
    assert documents(sent)[-1]["response"]["output"] == []
    assert summary([one["item"] for one in only(sent, "response.output_item.done")]) == ["a x", "no: rm"]


def test_a_server_whose_ids_differ_in_every_frame_is_matched_by_place() -> None:
    frames, count = reply_frames([message("a x"), call("rm", "{}"), call("ls", LS, 2)]), itertools.count()
    for frame in frames:
        for item in (frame.get("item"), *frame.get("response", {}).get("output", ())):
            if item:
                item["id"] = f"id{next(count)}"
    data = encode(json.loads(json.dumps(frames)))
    assert stream(data) == data
    assert summary(documents(stream(data, block("rm")))[-1]["response"]["output"]) == ["a x", "no: rm", ("ls", LS)]


def test_frames_without_numbers_stay_without() -> None:
    frames = reply_frames([call("rm", "{}")])
    data = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)
    sent = stream(data, block("rm"))
    assert stream(data) == data
    assert not any("sequence_number" in one for one in documents(sent))


# -- the reply's id


CHAINED = FORMAT.read_request(b'{"model":"m","stream":true,"previous_response_id":"resp_0","input":"hi"}')
UNCHAINED = FORMAT.read_request(b'{"model":"m","stream":true,"input":"hi"}')


@pytest.mark.parametrize(
    ("request_", "change", "streamed_renamed", "whole_renamed"),
    [
        (CHAINED, block("rm"), True, True),
        (CHAINED, block("rm", notice=""), True, True),
        (CHAINED, edit("ls", "id"), False, False),
        (CHAINED, same, False, False),
        (UNCHAINED, block("rm"), False, True),
        (STREAM, block("rm"), False, False),
    ],
)
def test_a_reply_that_loses_a_call_gets_an_unknown_id_where_the_provider_remembers(
    request_: Any, change: Change, streamed_renamed: bool, whole_renamed: bool
) -> None:
    items = [call("rm", LS), call("ls", LS, 2)]
    last = documents(stream(encode(reply_frames(items)), change, request=request_))[-1]["response"]
    body = json.loads(whole(json.dumps(response(items)).encode(), change, request=request_))
    assert (last["id"] != "resp_real", body["id"] != "resp_real") == (streamed_renamed, whole_renamed)


# -- ends


def test_an_incomplete_reply_keeps_its_reason_when_its_calls_go() -> None:
    items = [message("hi"), call("rm", "{}")]
    last = end(items, "incomplete", incomplete_details={"reason": "max_output_tokens"})
    frames = [*reply_frames(items)[:-1], last]
    assert isinstance(ending := events_of(encode(frames))[-1], MessageEnd)
    assert ending.stop_reason == "max_output_tokens"
    sent = stream(encode(frames), block("rm"))
    assert summary(check(sent)) == ["hi", "no: rm"]
    assert documents(sent)[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_call_that_never_came_whole_is_not_released() -> None:
    frames = [*opening(), *item_frames(0, message("hi")), *item_frames(1, call("rm", "{} x"))[:-2]]
    sent = stream(encode([*frames, end([message("hi")], "incomplete")]))
    assert summary(check(sent)) == ["hi"]


def test_a_call_that_only_the_last_frame_tells_whole_is_judged() -> None:
    items = [message("hi"), call("rm", "{} x")]
    frames = [*opening(), *item_frames(0, items[0]), *item_frames(1, items[1])[:-2], end(items, "incomplete")]
    assert summary(check(stream(encode(frames), block("rm")))) == ["hi", "no: rm"]


@pytest.mark.parametrize("cut", [1, 200, -1200, -3])
def test_an_end_without_closing_frames_is_an_error(cut: int) -> None:
    data = encode(reply_frames([message("hi"), call("ls", LS)]))
    body = json.dumps(response([message("hi")])).encode()
    with pytest.raises(WireError, match="closing frames"):
        stream(data[: data.index(b"event: response.completed")][:cut])
    with pytest.raises(WireError, match="not JSON"):
        whole(body[: min(cut, len(body) - 1)] if cut > 0 else body[:-3])


def test_trailing_bytes_pass() -> None:
    data = encode(reply_frames([call("ls", LS)])) + b"data: [DONE]\n\n: bye"
    assert stream(data) == data


def test_closing_frames_twice_are_refused() -> None:
    data = encode([*reply_frames([]), end([])])
    with pytest.raises(WireError, match="after the end"):
        stream(data)


FAILED = {"code": "server_error", "message": "broken"}


@pytest.mark.parametrize(
    "last",
    [
        {"type": "error", "code": "server_error", "message": "broken", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "broken"}},
        {"type": "response.failed", "response": response([message("hi"), call("ls", LS)], "failed", error=FAILED)},
    ],
    ids=["flat", "nested", "failed"],
)
def test_an_error_in_the_stream_ends_it_and_what_was_held_is_forgotten(last: Doc) -> None:
    frames = [*reply_frames([message("hi"), call("ls", LS)])[:-1], last]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    sent = feed(reply, [encode(frames), b""])
    assert events_of(encode(frames))[-1] == ReplyError(kind="server_error", message="broken")
    assert b"fc_1" not in sent
    assert [one["sequence_number"] for one in documents(sent)] == list(range(len(documents(sent))))
    assert not reply.holding


def test_an_error_frame_passes_as_it_came() -> None:
    data = encode([*opening(), {"type": "error", "code": "c", "message": "m", "param": None}])
    assert stream(data) == data


def test_a_whole_error_is_told_and_passes() -> None:
    body = b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'
    frame = FORMAT.reply(STREAM, streamed=False, hold_calls=True)
    assert whole(body) == body
    assert [one for chunk in (body, b"") for got in frame.receive_data(chunk) for one in got.events] == [
        ReplyError(kind="invalid_request_error", message="no")
    ]


def test_a_failed_whole_reply_is_told() -> None:
    reply = FORMAT.reply(STREAM, streamed=False, hold_calls=True)
    reply.receive_data(json.dumps(response([], "failed", error=FAILED)).encode())
    assert reply.receive_data(b"")[0].events[-1] == ReplyError(kind="server_error", message="broken")


# -- bad frames


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "response.output_text.delta", "output_index": 7, "content_index": 0, "item_id": "m", "delta": "x"},
        {"type": "response.output_text.delta", "output_index": "0", "content_index": 0, "delta": "x"},
        {"type": "response.output_text.delta", "output_index": [0], "content_index": 0, "delta": "x"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": 5},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "x"},
        {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "x"},
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": None},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 1, "part": []},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{"},
        {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": {}},
        {"type": "response.output_item.added", "output_index": 0, "item": message("again")},
        {"type": "response.output_item.added", "output_index": 1, "item": None},
        {"type": "response.output_item.done", "output_index": 0, "item": call("x", "{}")},
        {"type": "response.output_item.done", "output_index": 1, "item": {**call("x", "{}"), "arguments": {}}},
        {"type": "response.output_item.done", "output_index": 0, "item": {**message("x"), "content": "x"}},
        {"type": "response.completed", "response": {"output": [5]}},
        {"type": "response.completed"},
    ],
    ids=lambda frame: str(frame)[9:60],
)
def test_a_known_frame_of_a_wrong_shape_is_an_error(frame: Doc) -> None:
    with pytest.raises(WireError):
        stream(encode([*opening(), *item_frames(0, message("hi x"))[:3], frame]))


@pytest.mark.parametrize(
    "raw", [b"data: {oops\n\n", b": ping\n\n", b"data: [1]\n\n", b'data: {"type":"response.new"}\n\n']
)
def test_an_unknown_frame_passes_as_it_came(raw: bytes) -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    frames = reply.receive_data(raw)
    assert [frame.events for frame in frames] == [(Unknown(),)]
    assert reply.emit(frames[0], frames[0].events) == raw


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"output":{}}', b'{"output":[1]}', b'{"output":[],"output":[]}']
)
def test_a_whole_reply_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        whole(body)


# -- what Lockgate says itself


@pytest.mark.parametrize("given", [0, 2, 4, 6, 9, 12])
def test_a_refusal_is_legal_at_any_point(given: int) -> None:
    items = [message("hi there"), call("ls", LS)]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    begun = encode(reply_frames(items)[:given])
    sent = feed(reply, [begun] if begun else []) + reply.refuse("not allowed here")
    frames = documents(sent)
    assert [one["sequence_number"] for one in frames] == list(range(len(frames)))
    assert frames[0]["type"] == "response.created"
    assert {one["response"]["id"] for one in frames if "response" in one} == {frames[0]["response"]["id"]}
    assert frames[-1]["response"]["error"] == {"code": "invalid_prompt", "message": "not allowed here"}
    assert frames[-1]["response"]["status"] == "failed"
    assert b"fc_1" not in sent
    with pytest.raises(RuntimeError, match="Didn't receive"):
        judged(sent)
    assert reply.refuse("again") == b""


def test_a_refusal_repeats_nothing_that_was_read_and_not_sent() -> None:
    frames = [*opening(), end([message("unsent")], output_text="unsent")]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    got = reply.receive_data(encode(frames))
    sent = b"".join(reply.emit(frame, frame.events) for frame in got[:-1]) + reply.refuse("no")
    assert b"unsent" not in sent


def test_a_refusal_after_the_end_says_nothing() -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    feed(reply, [encode(reply_frames([]))])
    assert reply.refuse("too late") == b""
    assert reply.keep_alive() == b""


def test_keep_alives_are_numbered_with_the_stream() -> None:
    data = encode(reply_frames([message("hi"), call("ls", LS)]))
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    last = data.index(b"event: response.completed")
    assert reply.keep_alive() == b""
    sent = feed(reply, [data[:last]]) + reply.keep_alive() + reply.keep_alive() + feed(reply, [data[last:], b""])
    assert summary(check(sent)) == ["hi", ("ls", LS)]
    assert len(only(sent, "response.in_progress")) == 3
    assert summary([item.to_dict() for item in judged(sent).output]) == ["hi", ("ls", LS)]
    assert not reply.changed


def test_a_whole_reply_has_no_keep_alive_and_refuses_with_an_error() -> None:
    reply = FORMAT.reply(STREAM, streamed=False, hold_calls=True)
    assert reply.keep_alive() == b""
    assert json.loads(reply.refuse("no"))["error"] == {
        "message": "no",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_a_made_up_answer_streams_legally() -> None:
    content_type, body = FORMAT.answer(STREAM, "sorry, no")
    assert content_type.startswith("text/event-stream")
    assert summary(check(body)) == ["sorry, no"]
    assert judged(body).output_text == "sorry, no"
    assert judged(body).usage.total_tokens == 0


def test_a_made_up_answer_comes_whole_where_the_request_asks_so() -> None:
    content_type, body = FORMAT.answer(FORMAT.read_request(b'{"model":"m","input":"hi"}'), "sorry, no")
    assert content_type == "application/json"
    assert summary(json.loads(body)["output"]) == ["sorry, no"]
    assert whole(body) == body


def test_made_up_ids_are_fresh() -> None:
    first, second = (re.findall(rb"(?:msg|resp)_[0-9a-f]+", FORMAT.answer(STREAM, "x")[1]) for _ in range(2))
    assert not set(first) & set(second)


# -- the reply for the log


def test_the_message_is_the_whole_reply() -> None:
    items = [reasoning("r"), message("a b"), call("ls", LS)]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    assert reply.message() is None
    feed(reply, [encode(reply_frames(items))], block("ls"))
    assert json.loads(reply.message() or b"") == response(items)


def test_the_message_of_a_cut_stream_is_what_came() -> None:
    items = [message("a b c"), call("ls", LS)]
    frames = [*opening(), *item_frames(0, items[0])[:4], *item_frames(1, items[1])[:3]]
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    feed(reply, [encode(frames)])
    assert summary(json.loads(reply.message() or b"")["output"]) == ["a b ", ("ls", '{"cmd": "ls ')]


def test_the_message_holds_the_items_that_the_last_frame_leaves_out() -> None:
    reply = FORMAT.reply(STREAM, streamed=True, hold_calls=True)
    feed(reply, [encode([*opening(), *item_frames(0, message("hi")), end([])])])
    assert summary(json.loads(reply.message() or b"")["output"]) == ["hi"]
