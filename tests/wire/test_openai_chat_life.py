"""A streamed Chat Completions reply beside its frames: usage, the whole message, keep-alives, refusals."""

from __future__ import annotations

import json

import pytest

from lockgate.events import (
    MessageEnd,
    Usage,
)
from lockgate.wire.openai_chat import FORMAT
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import DONE, HEAD, REQUEST, START, STREAMS, TEXT, USAGE_FRAME, said, sse, stream


def test_usage_after_the_finish_is_known_and_stays_last() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    sent, _ = cases.run(reply, STREAMS["calls"], cases.block_all)
    assert sent.endswith(USAGE_FRAME + DONE)
    assert reply.usage == Usage(input_tokens=20, output_tokens=30, cache_read_tokens=100)


@pytest.mark.parametrize(
    "frame",
    [
        said({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2, "prompt_cache_hit_tokens": 1}),
        sse({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}]}),
    ],
)
def test_usage_in_the_frame_of_the_finish_belongs_to_the_end(frame: bytes) -> None:
    end = cases.events_of([START, frame])[-1]
    assert isinstance(end, MessageEnd)
    assert end.usage is not None
    assert end.usage.input_tokens + end.usage.cache_read_tokens == 3


def test_the_message_is_the_completion_that_came() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    assert reply.message() is None
    cases.run(reply, STREAMS["calls"], cases.block_all)
    document = json.loads(reply.message() or b"")
    calls = document["choices"][0]["message"].pop("tool_calls")
    assert [call["function"]["arguments"] for call in calls] == ['{"path":"a.txt"}', '{"command":"rm -rf /"}']
    assert document == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Käse 👩‍👩‍👧 is good."},
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": cases.USAGE,
    }


def test_the_message_of_a_cut_stream_is_what_came() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    reply.receive_data(b"".join([*TEXT[:2], cases.CALLS[0]]))
    choice = json.loads(reply.message() or b"")["choices"][0]
    assert choice["message"]["content"] == "Käse "
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "read", "arguments": ""}
    assert choice["finish_reason"] is None


def test_unknown_members_of_the_message_are_remembered() -> None:
    link = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    frames = [START, said({"content": "x", "annotations": [link]}), said({"annotations": [link]}, "stop"), DONE]
    assert json.loads(cases.whole(frames))["choices"][0]["message"]["annotations"] == [link, link]


def test_a_keep_alive_is_an_empty_delta_of_the_same_stream() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    assert reply.keep_alive() == b""
    frames = reply.receive_data(b"".join(STREAMS["calls"]))
    assert reply.keep_alive() == b""
    sent = b""
    for frame in frames:
        sent += reply.emit(frame, cases.explain(frame.events))
        sent += reply.keep_alive()
    assert reply.keep_alive() == b""
    empty = {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    assert clients.documents(sent).count(empty) == 10
    assert clients.streamed(sent) == clients.streamed(stream(STREAMS["calls"], cases.explain))
    assert clients.accumulated(sent).choices[0].message.role == "assistant"


def test_a_keep_alive_may_be_the_first_frame_of_a_reply_that_is_held_from_the_start() -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    sent = b""
    for frame in reply.receive_data(b"".join(STREAMS["only a call"])):
        sent += reply.emit(frame, frame.events)
        sent += reply.keep_alive() if reply.holding else b""
    message = clients.accumulated(sent).choices[0].message
    assert message.role == "assistant"
    assert [call.id for call in message.tool_calls or []] == ["call_a"]


@pytest.mark.parametrize("frames", [0, 2, 7])
def test_a_refusal_is_the_last_word_wherever_the_stream_is(frames: int) -> None:
    reply = FORMAT.reply(REQUEST, streamed=True, hold_calls=True)
    sent = b""
    for data in STREAMS["calls"][:frames]:
        frame = cases.one_frame(reply, data)
        sent += reply.emit(frame, frame.events)
    sent += reply.refuse("The rule 'x' stopped this.")
    assert sent.endswith(DONE)
    assert not reply.holding
    assert b"call_a" not in sent
    with (
        clients.client_of(sent, "text/event-stream") as client,
        pytest.raises(clients.openai.APIError, match="The rule 'x' stopped this"),
    ):
        list(client.chat.completions.create(model="m", messages=[], stream=True))
