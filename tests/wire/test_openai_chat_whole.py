"""Chat Completions replies in one piece."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.errors import WireError
from lockgate.events import NEW_BLOCK, BlockEnd, MessageEnd, MessageStart, ReplyError, TextDelta, ToolCall, Usage
from lockgate.wire import openai_chat_whole
from lockgate.wire.openai_chat import FORMAT
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import REQUEST, STREAMS, USAGE

MESSAGE = {
    "role": "assistant",
    "content": "Let me see.",
    "refusal": None,
    "annotations": [],
    "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "bash", "arguments": '{"command": "rm"}'}},
    ],
}
CHOICE = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "tool_calls"}
DOCUMENT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1763733200,
    "model": "gpt-5",
    "choices": [CHOICE],
    "usage": USAGE,
    "service_tier": "default",
    "system_fingerprint": None,
}
BODY = json.dumps(DOCUMENT, indent=2).encode()


def run(body: bytes, policy: cases.Out = cases.as_it_came) -> tuple[bytes, list[Any]]:
    return cases.run(FORMAT.reply(REQUEST, streamed=False, hold_calls=True), [body], policy)


@pytest.mark.parametrize("policy", [cases.as_it_came, cases.same_in_a_list])
def test_untouched_bytes_pass(policy: cases.Out) -> None:
    for pieces in ([BODY], [bytes([byte]) for byte in BODY]):
        reply = FORMAT.reply(REQUEST, streamed=False, hold_calls=True)
        sent, _ = cases.run(reply, pieces, policy)
        assert sent == BODY
        assert not reply.changed
        assert not reply.holding
        assert reply.message() == BODY


def test_all_events_come_in_one_frame() -> None:
    assert run(BODY)[1] == [
        MessageStart(id="chatcmpl-1", model="gpt-5"),
        TextDelta(block=0, text="Let me see."),
        BlockEnd(block=0),
        ToolCall(block=1, id="call_a", name="read", arguments='{"path": "a"}'),
        ToolCall(block=2, id="call_b", name="bash", arguments='{"command": "rm"}'),
        MessageEnd(stop_reason="tool_calls", usage=Usage(input_tokens=20, output_tokens=30, cache_read_tokens=100)),
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_reply_has_the_texts_and_calls_of_the_streamed_one(name: str) -> None:
    def told(events: list[Any]) -> tuple[dict[int, str], list[Any]]:
        texts: dict[int, str] = {}
        for event in events:
            if hasattr(event, "text"):
                texts[event.block] = texts.get(event.block, "") + event.text
        return texts, [event for event in events if isinstance(event, ToolCall | BlockEnd)]

    assert told(run(cases.whole(STREAMS[name]))[1]) == told(cases.events_of(STREAMS[name]))


@pytest.mark.parametrize(
    ("policy", "change"),
    [
        (cases.shout, {"content": "LET ME SEE."}),
        (cases.no_text, {"content": None}),
        (cases.note, {"content": "Let me see.\n\nA note."}),
        (cases.block_bash, {"content": "Let me see.\n\nBlocked bash.", "tool_calls": MESSAGE["tool_calls"][:1]}),
        (cases.block_read, {"content": "Let me see.\n\nBlocked read.", "tool_calls": MESSAGE["tool_calls"][1:]}),
        (cases.drop_bash, {"tool_calls": MESSAGE["tool_calls"][:1]}),
    ],
)
def test_only_the_changed_values_change(policy: cases.Out, change: dict[str, Any]) -> None:
    sent, _ = run(BODY, policy)
    assert json.loads(sent) == {**DOCUMENT, "choices": [{**CHOICE, "message": {**MESSAGE, **change}}]}
    assert list(json.loads(sent)) == list(DOCUMENT)
    assert clients.whole(sent)[0].finish == "tool_calls"


def test_a_changed_call_keeps_its_id() -> None:
    assert clients.whole(run(BODY, cases.explain)[0])[0].calls == [
        ("call_a", "read", '{"path": "a"}'),
        ("call_b", "bash", '{"command":"exit 1"}'),
    ]


def test_a_reply_without_a_call_left_stops() -> None:
    told = clients.whole(run(BODY, cases.block_all)[0])[0]
    assert told == clients.Told(content="Let me see.\n\nBlocked read.\n\nBlocked bash.", finish="stop")


def test_content_that_is_null_takes_a_notice() -> None:
    body = json.dumps({**DOCUMENT, "choices": [{**CHOICE, "message": {**MESSAGE, "content": None}}]}).encode()
    assert clients.whole(run(body, cases.block_bash)[0])[0].content == "Blocked bash."


def test_usage_is_known_at_the_end() -> None:
    reply = FORMAT.reply(REQUEST, streamed=False, hold_calls=True)
    assert reply.usage is None
    cases.run(reply, [BODY])
    assert reply.usage == Usage(input_tokens=20, output_tokens=30, cache_read_tokens=100)


def test_what_is_gathered_counts_as_held() -> None:
    reply = FORMAT.reply(REQUEST, streamed=False, hold_calls=True)
    reply.receive_data(BODY[:10])
    assert (reply.holding, reply.held_bytes, reply.message(), reply.keep_alive()) == (True, 10, None, b"")


def test_a_refusal_is_an_error_body() -> None:
    reply = FORMAT.reply(REQUEST, streamed=False, hold_calls=True)
    reply.receive_data(BODY)
    body = reply.refuse("No.")
    assert json.loads(body)["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert not reply.holding


def test_an_error_object_passes() -> None:
    body = b'{"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}'
    assert run(body) == (body, [ReplyError(kind="invalid_request_error", message="no such model")])


def test_choices_without_an_index_are_numbered_in_order() -> None:
    choices = [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for text in "ab"]
    sent, events = run(json.dumps({**DOCUMENT, "choices": choices}).encode(), cases.shout)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b"]
    assert [choice["message"]["content"] for choice in json.loads(sent)["choices"]] == ["A", "B"]


def test_a_reply_without_choices_has_no_place_for_a_text() -> None:
    body = json.dumps({**DOCUMENT, "choices": []}).encode()
    assert [type(event) for event in run(body)[1]] == [MessageStart, MessageEnd]
    with pytest.raises(WireError, match="no choice 0"):
        run(body, cases.each(lambda event: (event, TextDelta(block=NEW_BLOCK, text="x"))))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"id": 1}',
        b'{"choices": null}',
        b'{"choices": [], "choices": []}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}]}',
        b'{"choices": [{"index": 0, "message": {}}, {"index": 0, "message": {}}]}',
        BODY[:-20],
        b"[" * 100_000,
        b"\xff\xfe\xff",
    ],
)
def test_a_body_of_another_shape_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        run(body)


def test_a_reply_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_chat_whole, "MAX_BYTES", 100)
    with pytest.raises(WireError, match="100 bytes"):
        run(b" " * 101)
