"""Streamed Chat Completions replies whose texts and calls policies changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lockgate.errors import WireError
from lockgate.events import (
    NEW_BLOCK,
    BlockEnd,
    Event,
    MessageEnd,
    TextDelta,
    ThinkingDelta,
    ToolCall,
)
from lockgate.wire.openai_chat import FORMAT
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import DONE, HEAD, REQUEST, START, STREAMS, TEXT, TWO, USAGE_FRAME, piece, said, sse, stream


def test_an_edited_text_leaves_the_rest_of_the_frame_as_it_was() -> None:
    sent = stream(STREAMS["text"], cases.shout)
    assert sent == b"".join(
        [
            START,
            said({"content": "KÄSE "}),
            said({"content": "👩‍👩‍👧 IS"}),
            said({"content": " GOOD."}),
            *STREAMS["text"][4:],
        ]
    )
    completion = clients.accumulated(sent)
    assert completion.choices[0].message.content == "KÄSE 👩‍👩‍👧 IS GOOD."
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 120


def test_only_the_frame_that_changed_is_encoded_anew() -> None:
    spaced = b'data: {"id": "x", "choices": [{"index": 0, "delta": {"content": "b"}}]}\n\n'
    frames = [START, said({"content": "a"}), spaced, said({}, "stop"), DONE]
    change = cases.each(lambda e: (TextDelta(block=0, text="A"),) if e == TextDelta(block=0, text="a") else (e,))
    assert stream(frames, change) == b"".join([START, said({"content": "A"}), *frames[2:]])


def test_a_dropped_text_is_not_sent() -> None:
    assert stream(STREAMS["text"], cases.no_text) == b"".join([START, *STREAMS["text"][4:]])


def test_a_dropped_text_in_the_first_frame_leaves_the_role() -> None:
    frames = [said({"role": "assistant", "content": "secret"}), said({}, "stop"), DONE]
    assert stream(frames, cases.no_text) == b"".join([said({"role": "assistant", "content": ""}), *frames[1:]])


def test_a_changed_text_takes_its_tokens_with_it() -> None:
    tokens = {"content": [{"token": "secret", "logprob": -0.1, "bytes": None, "top_logprobs": []}], "refusal": None}
    choice = {"index": 0, "delta": {"content": "secret"}, "logprobs": tokens, "finish_reason": None}
    frames = [START, sse({**HEAD, "choices": [choice]}), said({}, "stop"), DONE]
    assert b"secret" not in stream(frames, cases.shout)
    assert stream(frames) == b"".join(frames)
    message = json.loads(cases.whole(frames))
    assert message["choices"][0]["logprobs"]["content"] == tokens["content"]
    sent, _ = cases.run(
        FORMAT.reply(REQUEST, streamed=False, hold_calls=True), [json.dumps(message).encode()], cases.shout
    )
    assert b"secret" not in sent


def test_changed_thinking_takes_what_repeats_it_with_it() -> None:
    delta = {
        "reasoning": "hm",
        "reasoning_content": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
    }
    frames = [START, said(delta), said({"content": "x"}, "stop"), DONE]
    drop = cases.each(lambda event: () if isinstance(event, ThinkingDelta) else (event,))
    assert stream(frames, drop) == b"".join([START, *frames[2:]])
    change = cases.each(lambda e: (ThinkingDelta(block=e.block, text="!"),) if isinstance(e, ThinkingDelta) else (e,))
    assert said({"reasoning": "!", "reasoning_content": "!"}) in stream(frames, change)


class HoldBack:
    """An engine that keeps a text until its block ends."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, given: tuple[Event, ...]) -> list[Event]:
        out: list[Event] = []
        for event in given:
            if isinstance(event, TextDelta):
                self.text += event.text
            elif isinstance(event, BlockEnd):
                out += [TextDelta(block=event.block, text=self.text), event]
            else:
                out.append(event)
        return out


@pytest.mark.parametrize("name", ["text", "calls", "finish with content", "all in one"])
def test_text_held_back_is_told_before_its_block_ends(name: str) -> None:
    sent = stream(STREAMS[name], HoldBack())
    assert clients.streamed(sent) == clients.streamed(b"".join(STREAMS[name]))
    if name in ("text", "calls"):
        own = clients.documents(sent)[1]
        assert own["choices"][0] == {"index": 0, "delta": {"content": "Käse 👩‍👩‍👧 is good."}, "finish_reason": None}
        assert {key: own[key] for key in HEAD} == HEAD


def test_text_held_back_goes_out_though_the_call_after_it_is_held() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    for frame in reply.receive_data(b"".join(TEXT)):
        reply.emit(frame, cases.no_text(frame.events))
    frame = cases.one_frame(reply, cases.CALLS[0])
    sent = reply.emit(frame, [TextDelta(block=0, text="rest"), *frame.events])
    assert clients.documents(sent)[0]["choices"][0]["delta"] == {"content": "rest"}
    assert reply.holding
    assert reply.held_bytes == len(frame.raw)


def test_a_note_at_the_end_is_set_apart_and_stands_before_the_finish() -> None:
    told = clients.streamed(stream(STREAMS["text"], cases.note))[0]
    assert told.content == "Käse 👩‍👩‍👧 is good.\n\nA note."
    told = clients.streamed(stream(STREAMS["finish with content"], cases.note))[0]
    assert told.content == "all at once\n\nA note."


def test_a_note_at_the_end_stands_before_the_calls() -> None:
    documents = clients.documents(stream(STREAMS["calls"], cases.note))
    deltas = [choice["delta"] for document in documents for choice in document["choices"]]
    assert deltas[4] == {"content": "\n\nA note."}
    assert "tool_calls" in deltas[5]


def test_a_preface_takes_the_role() -> None:
    sent = clients.documents(stream(STREAMS["text"], cases.preface))
    assert sent[0]["choices"][0]["delta"] == {"role": "assistant", "content": "First:\n\n"}
    assert "role" not in sent[1]["choices"][0]["delta"]
    completion = clients.accumulated(stream(STREAMS["text"], cases.preface))
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].message.content == "First:\n\nKäse 👩‍👩‍👧 is good."


def test_a_blocked_call_becomes_a_notice_and_the_turn_ends() -> None:
    sent = stream(STREAMS["only a call"], cases.block_all)
    told = clients.streamed(sent)
    assert told == {0: clients.Told(content="Blocked bash.", finish="stop")}
    completion = clients.accumulated(sent)
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].message.tool_calls is None
    assert b"call_a" not in sent
    assert sent.endswith(USAGE_FRAME + DONE)


@pytest.mark.parametrize(
    ("policy", "blocked", "left"),
    [
        (cases.block_read, "read", ("call_b", "bash", '{"command":"rm -rf /"}')),
        (cases.block_bash, "bash", ("call_a", "read", '{"path":"a.txt"}')),
    ],
)
def test_one_of_two_interleaved_calls_is_removed(policy: cases.Out, blocked: str, left: tuple[str, str, str]) -> None:
    sent = stream(STREAMS["calls"], policy)
    told = clients.streamed(sent)[0]
    assert told.content == f"Käse 👩‍👩‍👧 is good.\n\nBlocked {blocked}."
    assert told.calls == [left]
    assert told.finish == "tool_calls"
    completion = clients.accumulated(sent)
    assert [call.id for call in completion.choices[0].message.tool_calls or []] == [left[0]]


def test_a_surviving_call_keeps_its_own_frames() -> None:
    frames = cases.CALLS
    sent = stream(STREAMS["calls"], cases.block_bash)
    assert b"".join([frames[0], frames[1], frames[4], said({}, "tool_calls"), USAGE_FRAME, DONE]) in sent


def test_a_changed_call_is_told_in_one_piece_with_its_id_and_name() -> None:
    sent = stream(STREAMS["calls"], cases.explain)
    assert piece(1, '{"command":"exit 1"}', id="call_b", name="bash") in sent
    assert clients.streamed(sent)[0].calls == [
        ("call_a", "read", '{"path":"a.txt"}'),
        ("call_b", "bash", '{"command":"exit 1"}'),
    ]
    assert clients.streamed(sent)[0].finish == "tool_calls"


def test_a_dropped_call_without_a_notice_still_gives_a_legal_reply() -> None:
    sent = stream(STREAMS["only a call"], cases.drop_bash)
    assert clients.streamed(sent) == {0: clients.Told(finish="stop")}
    assert clients.accumulated(sent).choices[0].message.role == "assistant"


@pytest.mark.parametrize("reason", ["length", "content_filter", "stop"])
def test_other_reasons_to_finish_are_kept(reason: str) -> None:
    frames = [cases.FIRST_CALL, piece(0, '{"a'), said({}, reason), DONE]
    assert clients.streamed(stream(frames, cases.block_all))[0].finish == reason


def test_a_finish_that_a_server_repeats_agrees_with_the_first() -> None:
    frames = [cases.FIRST_CALL, said({}, "tool_calls"), said({"role": "assistant", "content": ""}, "tool_calls"), DONE]
    assert stream(frames) == b"".join(frames)
    assert b'"tool_calls"' not in stream(frames, cases.block_all)


def test_an_unfinished_choice_is_held_with_the_calls_of_another() -> None:
    reply = FORMAT.reply(TWO, streamed=True, hold_calls=True)
    sent = [reply.emit(frame, frame.events) for frame in reply.receive_data(b"".join(cases.TWO_CHOICES))]
    assert sent[:4] == cases.TWO_CHOICES[:4]
    assert sent[4:9] == [b""] * 5
    assert sent[9] == b"".join(cases.TWO_CHOICES[4:10])


def test_calls_pass_at_once_where_nobody_looks_at_them() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=False)
    sent = [reply.emit(frame, frame.events) for frame in reply.receive_data(b"".join(STREAMS["calls"]))]
    assert sent == STREAMS["calls"]
    assert not reply.holding


def test_nothing_is_sent_twice_when_a_hold_ends() -> None:
    sent = stream(STREAMS["calls"], cases.explain)
    assert sent.count(b"call_a") == 1
    assert sent.count(b'"finish_reason":"tool_calls"') == 1


def test_a_text_of_an_unknown_block_is_refused() -> None:
    change = cases.each(lambda event: (TextDelta(block=9, text="x"), event))
    with pytest.raises(WireError, match="block 9"):
        stream(STREAMS["text"], change)


def test_a_call_that_the_model_did_not_make_is_refused() -> None:
    call = ToolCall(block=7, id="x", name="x", arguments="{}")
    with pytest.raises(WireError, match="block 7"):
        stream(STREAMS["calls"], cases.each(lambda event: (event, call) if isinstance(event, MessageEnd) else (event,)))


def test_a_notice_follows_the_text_of_the_frame_in_which_the_call_begins() -> None:
    first = said({"role": "assistant", "content": "Now:", "tool_calls": [cases.WHOLE_CALL]})
    frames = [first, said({}, "tool_calls"), DONE]
    told = clients.streamed(stream(frames, cases.block_all))
    assert told == {0: clients.Told(content="Now:\n\nBlocked bash.", finish="stop")}
    assert len(clients.documents(stream(frames, cases.block_all))) == 2


def test_a_changed_frame_is_one_line_of_data_however_it_came() -> None:
    frame = said({"content": "a"}).replace(b',"choices"', b'\ndata: ,"choices"')
    assert stream([START, frame, said({}, "stop"), DONE], cases.shout).count(said({"content": "A"})) == 1


def test_a_changed_call_may_have_another_id() -> None:
    change = cases.each(lambda e: (replace(e, id="mine"),) if isinstance(e, ToolCall) else (e,))
    assert clients.streamed(stream(STREAMS["only a call"], change))[0].calls == [("mine", "bash", '{"command":"ls"}')]


def test_an_added_text_that_is_empty_is_not_sent() -> None:
    change = cases.each(lambda e: (TextDelta(block=NEW_BLOCK, text=""), e) if isinstance(e, MessageEnd) else (e,))
    assert stream(STREAMS["text"], change) == b"".join(STREAMS["text"])
