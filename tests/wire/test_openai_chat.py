"""Streamed Chat Completions replies: what is read, what passes, and that cutting changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.events import (
    BlockEnd,
    MessageEnd,
    MessageStart,
    TextDelta,
    ThinkingDelta,
    ToolCall,
)
from lockgate.wire.openai_chat import FORMAT
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import DONE, REQUEST, START, STREAMS, TEXT, TWO, piece, said, stream

each_stream = pytest.mark.parametrize("name", STREAMS)
each_policy = pytest.mark.parametrize("policy", cases.POLICIES)


@each_stream
@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("policy", [cases.as_it_came, cases.same_in_a_list])
def test_untouched_bytes_pass(name: str, hold: bool, policy: cases.Out) -> None:
    given = b"".join(STREAMS[name])
    for pieces in ([given], STREAMS[name], [bytes([byte]) for byte in given]):
        reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=hold)
        sent, _ = cases.run(reply, pieces, policy)
        assert sent == given
        assert not reply.changed
        assert not reply.holding
        assert reply.held_bytes == 0


@each_stream
@each_policy
def test_a_reply_cut_at_every_byte_is_the_same_reply(name: str, policy: str) -> None:
    given = b"".join(STREAMS[name])
    change = cases.POLICIES[policy]
    bytewise = [bytes([byte]) for byte in given]
    sent, events = cases.run(FORMAT.reply(REQUEST, streamed=True, hold_calls=True), bytewise, change)
    assert sent == stream([given], change)
    assert events == cases.events_of([given])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_reply_cut_anywhere_is_the_same_reply(data: st.DataObject) -> None:
    given = b"".join(cases.TWO_CHOICES)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(given)), max_size=12)))
    pieces = [given[a:b] for a, b in zip([0, *cuts], [*cuts, len(given)], strict=True) if a < b]
    change = cases.POLICIES[data.draw(st.sampled_from(sorted(cases.POLICIES)))]
    sent, _ = cases.run(FORMAT.reply(TWO, streamed=True, hold_calls=True), pieces, change)
    assert sent == stream(cases.TWO_CHOICES, change, request=TWO)


@each_stream
@each_policy
def test_streamed_and_whole_replies_give_the_same_result(name: str, policy: str) -> None:
    change = cases.POLICIES[policy]
    streamed = clients.streamed(stream(STREAMS[name], change))
    sent, _ = cases.run(FORMAT.reply(REQUEST, streamed=False, hold_calls=True), [cases.whole(STREAMS[name])], change)
    streamed[0].content = streamed[0].content.rstrip()  # an empty line may stand before text that never came
    assert streamed == clients.whole(sent)


@pytest.mark.parametrize("policy", [cases.as_it_came, *cases.POLICIES.values()])
def test_two_choices_streamed_and_whole(policy: cases.Out) -> None:
    streamed = clients.streamed(stream(cases.TWO_CHOICES, policy, request=TWO))
    reply = FORMAT.reply(TWO, streamed=False, hold_calls=True)
    sent, _ = cases.run(reply, [cases.whole(cases.TWO_CHOICES, TWO)], policy)
    assert streamed.keys() == {0, 1}
    whole = clients.whole(sent)
    if policy is cases.note:  # told before what was held of the choice's text, after all of it in a whole reply
        assert sorted(streamed[0].content.split()) == sorted(whole[0].content.split())
        streamed[0].content = whole[0].content
    assert streamed == whole


def test_events_of_text() -> None:
    assert cases.events_of(STREAMS["text"]) == [
        MessageStart(id="chatcmpl-CdT8", model="gpt-5-2025-08-07"),
        TextDelta(block=0, text="Käse "),
        TextDelta(block=0, text="👩‍👩‍👧 is"),
        TextDelta(block=0, text=" good."),
        BlockEnd(block=0),
        MessageEnd(stop_reason="stop"),
    ]


def test_events_of_interleaved_calls_come_at_the_finish_in_order_of_appearance() -> None:
    events = cases.events_of(STREAMS["calls"])
    assert events[4:] == [
        BlockEnd(block=0),
        ToolCall(block=1, id="call_a", name="read", arguments='{"path":"a.txt"}'),
        ToolCall(block=2, id="call_b", name="bash", arguments='{"command":"rm -rf /"}'),
        MessageEnd(stop_reason="tool_calls"),
    ]


def test_text_is_over_with_the_first_piece_of_a_call() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    reply.receive_data(b"".join(TEXT))
    assert cases.one_frame(reply, cases.CALLS[0]).events == (BlockEnd(block=0),)


def test_events_of_thinking_end_where_the_text_begins() -> None:
    assert cases.events_of(STREAMS["thinking"])[1:] == [
        ThinkingDelta(block=0, text="Hm"),
        ThinkingDelta(block=0, text=", cheese"),
        BlockEnd(block=0),
        TextDelta(block=1, text="Yes"),
        TextDelta(block=1, text="."),
        BlockEnd(block=1),
        MessageEnd(stop_reason="stop"),
    ]


def test_two_thoughts_in_one_frame_are_both_seen() -> None:
    same, other = said({"reasoning": "a", "reasoning_content": "a"}), said({"reasoning": "b", "reasoning_content": "c"})
    events = cases.events_of([START, same, other, said({}, "stop")])
    assert events[1:3] == [ThinkingDelta(block=0, text="a"), ThinkingDelta(block=0, text="cb")]


def test_a_refusal_is_a_text_of_its_own() -> None:
    assert cases.events_of(STREAMS["refusal"])[1:4] == [
        TextDelta(block=0, text="I can"),
        TextDelta(block=0, text="not."),
        BlockEnd(block=0),
    ]
    assert clients.streamed(stream(STREAMS["refusal"], cases.shout))[0].refusal == "I CANNOT."


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("function_call", ToolCall(block=0, id="", name="bash", arguments='{"command":"ls"}')),
        ("custom tool", ToolCall(block=0, id="c", name="bash", arguments="ls", custom=True)),
        ("only a call", ToolCall(block=0, id="call_a", name="bash", arguments='{"command":"ls"}')),
    ],
)
def test_events_of_other_calls(name: str, call: ToolCall) -> None:
    assert [event for event in cases.events_of(STREAMS[name]) if isinstance(event, ToolCall)] == [call]


def test_each_choice_has_its_own_blocks_and_the_message_ends_once() -> None:
    events = cases.events_of(cases.TWO_CHOICES, request=TWO)
    assert [(event.block, event.text) for event in events if isinstance(event, TextDelta)] == [
        (0, "one"),
        (1, "two"),
        (0, " more"),
        (0, " still"),
    ]
    assert [event for event in events if isinstance(event, ToolCall)] == [
        ToolCall(block=2, id="call_1", name="bash", arguments='{"command":"ls"}')
    ]
    assert [event for event in events if isinstance(event, MessageEnd)] == [MessageEnd(stop_reason="stop")]
    assert isinstance(events[-1], MessageEnd)


def test_a_choice_that_begins_after_another_finished_belongs_to_the_message() -> None:
    one_by_one = [START, said({"content": "a"}, "stop"), said({"content": "b"}, index=1), said({}, "stop", index=1)]
    events = cases.events_of([*one_by_one, DONE], request=TWO)
    assert events.index(MessageEnd(stop_reason="stop")) == len(events) - 1
    told = clients.streamed(stream([*one_by_one, DONE], cases.note, request=TWO))
    assert [told[0].content, told[1].content] == ["a", "b\n\nA note."]


@pytest.mark.parametrize("end", [[DONE], []])
def test_a_server_that_gives_fewer_choices_than_asked_for(end: list[bytes]) -> None:
    frames = [cases.FIRST_CALL, piece(0, "{}"), said({}, "tool_calls"), *end]
    assert cases.events_of(frames, request=TWO)[-1] == MessageEnd(stop_reason="tool_calls")
    assert stream(frames, request=TWO) == b"".join(frames)
    told = clients.streamed(stream(frames, cases.block_all, request=TWO))
    assert told[0] == clients.Told(content="Blocked bash.", finish="stop")
