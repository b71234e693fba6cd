"""Anthropic replies: untouched they pass byte for byte; their events, holding, refusals and answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import hypothesis
import pytest
from hypothesis import strategies as st

from lockgate.errors import WireError
from lockgate.events import (
    BlockEnd,
    MessageEnd,
    MessageStart,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
    Usage,
)
from lockgate.wire.anthropic import FORMAT
from lockgate.wire.anthropic_message import usage_of
from tests.wire.anthropic_replies import (
    EXPLAINED,
    FOUND,
    LS,
    REPLIES,
    REQUEST,
    SEARCH,
    TOUCH,
    USAGE,
    WHOLE,
    L,
    check_legal,
    check_with_sdk,
    documents_of,
    drop_text,
    events_of,
    explain,
    frame,
    frames,
    given_of,
    holds,
    joined,
    message,
    other,
    passed,
    pieces_of,
    replies,
    result,
    said,
    sdk_said,
    shout,
    sizes,
    stream,
    streamed,
    text,
    thinking,
    unstreamed,
    whole,
)

# Untouched.


@holds
@sizes
@replies
def test_an_untouched_stream_passes_byte_for_byte(name: str, size: int, hold: bool):
    blocks, stop = REPLIES[name]
    data = stream(*blocks, stop=stop)
    reply = streamed(hold)
    assert passed(reply, pieces_of(data, size)) == data
    assert not reply.changed
    assert not reply.holding
    assert reply.held_bytes == 0


@replies
def test_an_untouched_stream_with_new_lists_of_the_same_events_passes_byte_for_byte(name: str):
    blocks, stop = REPLIES[name]
    data = stream(*blocks, stop=stop)
    reply = streamed()
    assert b"".join(reply.emit(given, list(given.events)) for given in given_of(reply, [data])) == data
    assert not reply.changed


@replies
def test_an_untouched_whole_reply_passes_byte_for_byte(name: str):
    blocks, stop = REPLIES[name]
    data = whole(*blocks, stop=stop)
    reply = unstreamed()
    assert passed(reply, pieces_of(data, 7)) == data
    assert not reply.changed
    assert reply.message() == data


@replies
def test_frames_that_are_not_held_pass_at_once_one_by_one(name: str):
    blocks, stop = REPLIES[name]
    reply, waiting = streamed(hold=False), b""
    for raw in frames(*blocks, stop=stop):
        (given,) = reply.receive_data(raw)
        sent = reply.emit(given, given.events)
        starts_text = b"content_block_start" in raw and b'"type": "text"' in raw  # waits for what it says
        assert sent == (b"" if starts_text or (waiting and b'"ping"' in raw) else waiting + raw)
        waiting = b"" if sent else waiting + raw


@hypothesis.given(cuts=st.lists(st.integers(min_value=1, max_value=4000)), hold=st.booleans())
def test_an_untouched_stream_cut_anywhere_passes_byte_for_byte(cuts: list[int], hold: bool):
    data = stream(thinking("hm"), text("Grüße 👩‍💻"), LS, TOUCH, stop="tool_use").replace(b"\n", b"\r\n")
    places = [0, *sorted(cut for cut in set(cuts) if cut < len(data)), len(data)]
    pieces = [data[places[at] : places[at + 1]] for at in range(len(places) - 1)]
    assert passed(streamed(hold), pieces) == data


# Events.


def test_events_of_a_stream():
    blocks = [thinking("hm"), text("Hello", " you"), SEARCH, FOUND, LS]
    assert events_of(stream(*blocks, stop="tool_use")) == [
        MessageStart(id="msg_01XFDUDYJgAACzvnptvVoYEL", model="claude-sonnet-4-5-20250929"),
        ThinkingDelta(block=0, text="hm"),
        BlockEnd(block=0),
        TextDelta(block=1, text="Hello"),
        TextDelta(block=1, text=" you"),
        BlockEnd(block=1),
        *[Unknown()] * 6,
        ToolCall(block=4, id="toolu_01", name="Bash", arguments='{"command": "ls -la /tmp"}'),
        MessageEnd(
            stop_reason="tool_use",
            usage=Usage(input_tokens=12, output_tokens=89, cache_read_tokens=2048, cache_write_tokens=7),
        ),
    ]


@replies
def test_events_of_a_whole_reply_are_those_of_the_stream(name: str):
    blocks, stop = REPLIES[name]
    assert joined(events_of(whole(*blocks, stop=stop), unstreamed())) == joined(events_of(stream(*blocks, stop=stop)))


@sizes
@replies
def test_message_is_the_whole_reply(name: str, size: int):
    blocks, stop = REPLIES[name]
    reply = streamed()
    passed(reply, pieces_of(stream(*blocks, stop=stop), size))
    expected = message(*blocks, stop=stop, usage=USAGE | {"output_tokens": 89}) | {"x_new": 1}
    assert json.loads(reply.message() or b"") == expected


@pytest.mark.parametrize(
    ("kept", "hour"),
    [({"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}, 4), ({"ephemeral_1h_input_tokens": 9}, 7)]
    + [(wrong, 0) for wrong in ({"ephemeral_1h_input_tokens": "4"}, None, [], 4)],
    ids=str,
)
def test_what_the_cache_keeps_for_an_hour_is_a_part_of_what_it_wrote(kept: object, hour: int):
    usage = usage_of({"cache_creation_input_tokens": 7, "cache_creation": kept})
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (7, hour)


def test_usage_is_known_as_soon_as_it_came():
    reply = streamed()
    assert reply.usage is None
    seen = [reply.receive_data(raw) and reply.usage for raw in frames(text("a"))]
    first = Usage(input_tokens=12, output_tokens=1, cache_read_tokens=2048, cache_write_tokens=7)
    assert seen == [*[first] * (len(seen) - 2), *[replace(first, output_tokens=89)] * 2]
    body = unstreamed()
    assert body.usage is None
    events_of(whole(text("a")), body)
    assert body.usage == replace(first, output_tokens=89)


@pytest.mark.parametrize("usage", ["null", "[]", "5", '{"output_tokens": "x"}'])
def test_counts_of_an_odd_shape_count_nothing(usage: str):
    data = stream(text("a")).replace(json.dumps(USAGE).encode(), usage.encode())
    data = data.replace(b'{"output_tokens": 89, "input_tokens": null}', usage.encode())
    reply = streamed()
    assert passed(reply, [data]) == data
    assert reply.usage == Usage()
    assert reply.message() is not None


def test_message_of_a_cut_stream_is_what_came():
    reply = streamed()
    assert reply.message() is None
    for raw in frames(text("Hello", " you"), LS, stop="tool_use")[:9]:
        reply.receive_data(raw)
    document = json.loads(reply.message() or b"")
    assert document["content"] == [
        {"type": "text", "text": "Hello you"},
        {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": '{"command"'},
    ]
    assert document["stop_reason"] is None


def test_message_keeps_citations_and_what_unknown_deltas_bring():
    cited = {"type": "char_location", "cited_text": "x", "document_index": 0}
    first, *rest = frames(text("a"), other("compaction", content=None))
    extra = [("content_block_delta", 0, {"type": "citations_delta", "citation": cited})]
    extra += [("content_block_delta", 1, {"type": "compaction_delta", "content": "sum", "encrypted_content": "e"})]
    added = [frame({"type": kind, "index": index, "delta": delta}) for kind, index, delta in extra]
    data = b"".join([first, *rest[:2], added[0], *rest[2:5], added[1], *rest[5:]])
    reply = streamed()
    assert passed(reply, [data]) == data
    assert json.loads(reply.message() or b"")["content"] == [
        {"type": "text", "text": "a", "citations": [cited]},
        {"type": "compaction", "content": "sum", "encrypted_content": "e"},
    ]


def test_a_call_whose_arguments_stand_in_its_start_is_read_and_can_be_replaced():
    start = {"type": "content_block_start", "index": 0}
    block = {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "ls"}}
    documents = [start | {"content_block": block}, {"type": "content_block_stop", "index": 0}]
    first, *rest = frames(stop="tool_use")
    data = b"".join([first, *map(frame, documents), *rest])
    assert ToolCall(block=0, id="toolu_01", name="Bash", arguments='{"command":"ls"}') in events_of(data)
    assert said(result(passed(streamed(), [data], explain))) == [("call", "toolu_01", "Bash", EXPLAINED)]


def test_text_that_stands_in_the_start_of_a_block_is_read_and_can_be_replaced():
    data = stream(text(" you")).replace(b'"text": ""', b'"text": "Hello"')
    assert TextDelta(block=0, text="Hello") in events_of(data)
    assert passed(streamed(), [data]) == data
    assert said(result(passed(streamed(), [data], shout))) == [("text", "HELLO YOU")]
    assert said(result(passed(streamed(), [data], drop_text("Hello")))) == [("text", " you")]


def test_arguments_that_are_no_json_are_given_as_they_came_and_pass_unchanged():
    broken = {**LS, "_deltas": [("input_json_delta", "partial_json", '{"command": "l')]}
    data = stream(broken, stop="max_tokens")
    calls = [event for event in events_of(data) if isinstance(event, ToolCall)]
    assert [call.arguments for call in calls] == ['{"command": "l']
    assert passed(streamed(), [data]) == data


# Holding.


def test_text_passes_at_once_and_a_call_is_held_to_the_end():
    reply = streamed()
    sent: list[bytes] = []
    parts = frames(text("a"), LS, stop="tool_use")
    for raw in parts:
        (given,) = reply.receive_data(raw)
        sent.append(reply.emit(given, given.events))
        assert reply.holding is (raw in parts[5:-2])
        assert reply.held_bytes == sum(map(len, parts[5 : len(sent)])) * reply.holding
    first = next(i for i, part in enumerate(parts) if b"text_delta" in part)  # a text starts with its first piece
    assert sent[: first + 1] == [parts[0], *[b""] * (first - 1), b"".join(parts[1 : first + 1])]
    assert sent[first + 1 :] == [
        *parts[first + 1 : 5], *[b""] * (len(parts) - 7), b"".join(parts[5:-1]), parts[-1]
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_a_text_that_is_dropped_whole_leaves_no_empty_block(cut: int):
    data = stream(text("secret"), text("b"))
    reply = streamed()
    sent = b""
    for start in range(0, len(data), cut):
        for given in reply.receive_data(data[start : start + cut]):
            out = tuple(event for event in given.events if not (isinstance(event, TextDelta) and event.block == 0))
            sent += reply.emit(given, out if len(out) < len(given.events) else given.events)
    assert b"secret" not in sent
    assert [event.text for event in events_of(sent) if isinstance(event, TextDelta)] == ["b"]
    assert sent.count(b"content_block_start") == 2 * 1  # one block, named twice in its frame


def test_a_keep_alive_is_a_ping_between_the_first_frame_and_the_last():
    reply = streamed()
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    seen: list[bytes] = []
    sent = b""
    for raw in frames(text("a"), LS, stop="tool_use"):
        seen.append(reply.keep_alive())
        sent += seen[-1]
        (given,) = reply.receive_data(raw)
        sent += reply.emit(given, given.events)
    assert seen == [b"", *[ping] * (len(seen) - 1)]
    assert reply.keep_alive() == b""
    assert said(result(sent)) == [("text", "a"), L]
    assert unstreamed().keep_alive() == b""


def test_a_call_that_is_changed_though_it_was_not_held_is_an_error():
    with pytest.raises(WireError, match="it has to be held"):
        passed(streamed(hold=False), [stream(LS, stop="tool_use")], explain)


# Refusals and answers.


@holds
def test_a_refusal_ends_a_stream_at_any_point_and_the_official_client_raises_it(hold: bool):
    parts = frames(thinking("hm"), text("a"), LS, stop="tool_use")
    for count in range(len(parts) - 1):
        reply = streamed(hold)
        given_frames = reply.receive_data(b"".join(parts[:count])) if count else []
        sent = b"".join(reply.emit(given, given.events) for given in given_frames)
        sent += reply.refuse("Blocked by rule 'x': no.")
        assert documents_of(sent)[-1]["error"] == {"type": "permission_error", "message": "Blocked by rule 'x': no."}
        assert (reply.holding, reply.held_bytes, reply.changed, reply.keep_alive()) == (False, 0, True, b"")
        with pytest.raises(anthropic.APIStatusError, match="Blocked by rule 'x': no"):
            check_with_sdk(sent)


def test_a_refusal_of_a_whole_reply_is_an_error_body():
    assert unstreamed().refuse("no") == FORMAT.error_body("no")
    assert json.loads(FORMAT.error_body("no", kind="rate_limit_error")) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "no"},
    }


def test_the_official_client_reads_an_error_body():
    def serve(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, headers={"content-type": "application/json"}, content=FORMAT.error_body("Not so."))

    with httpx2.Client(transport=httpx2.MockTransport(serve)) as http:
        client = anthropic.Anthropic(api_key="k", http_client=http)
        with pytest.raises(anthropic.BadRequestError, match=r"Not so\."):
            client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize("request_", [REQUEST, WHOLE], ids=["streamed", "whole"])
def test_an_answer_is_a_whole_legal_reply(request_: Any):
    content_type, body = FORMAT.answer(request_, "Grüße 👩‍💻\nline two")
    given = check_with_sdk(body, content_type.partition(";")[0])
    assert sdk_said(given) == [("text", "Grüße 👩‍💻\nline two")]
    assert (given.model, given.stop_reason, given.usage.output_tokens) == ("claude-sonnet-4-5", "end_turn", 0)
    assert re.fullmatch(r"msg_[0-9a-f]{24}", given.id)
    assert FORMAT.answer(request_, "x")[1] != FORMAT.answer(request_, "x")[1]
    if request_.stream:
        check_legal(body)
