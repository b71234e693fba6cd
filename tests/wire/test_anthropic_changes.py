"""Anthropic replies that policies changed: legal, and the same streamed in any cut and whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from lockgate.events import (
    NEW_BLOCK,
    Event,
    MessageEnd,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
)
from tests.wire.anthropic_replies import (
    BOTH,
    EXPLAINED,
    FOUND,
    LS,
    SEARCH,
    SIGNATURE,
    TH,
    TOUCH,
    USAGE,
    Change,
    Document,
    L,
    T,
    add_at_end,
    block_calls,
    both,
    check_legal,
    check_with_sdk,
    cut,
    documents_of,
    drop_text,
    explain,
    frames,
    hold_back,
    message,
    one_late,
    passed,
    pieces_of,
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

CASES: dict[str, tuple[list[Document], str, Callable[[], Change], list[tuple[str, ...]], str]] = {
    "text is replaced": (BOTH, "tool_use", lambda: shout, [TH, ("text", "I WILL."), L, T], "tool_use"),
    "text is held back": (BOTH, "tool_use", hold_back, [TH, ("text", "I will."), L, T], "tool_use"),
    "text is one frame late": (BOTH, "tool_use", one_late, [TH, ("text", "I will."), L, T], "tool_use"),
    "some text is dropped": (BOTH, "tool_use", lambda: cut("I "), [TH, ("text", "will."), L, T], "tool_use"),
    "the first call is blocked": (
        BOTH,
        "tool_use",
        lambda: block_calls("toolu_01"),
        [TH, ("text", "I will."), ("text", "Blocked: toolu_01"), T],
        "tool_use",
    ),
    "the second call is blocked": (
        BOTH,
        "tool_use",
        lambda: block_calls("toolu_02"),
        [TH, ("text", "I will."), ("text", "Blocked: toolu_02"), L],
        "tool_use",
    ),
    "all calls are blocked": (
        BOTH,
        "tool_use",
        lambda: block_calls(),
        [TH, ("text", "I will."), ("text", "Blocked: toolu_01"), ("text", "Blocked: toolu_02")],
        "end_turn",
    ),
    "a call is dropped": (
        BOTH,
        "tool_use",
        lambda: block_calls("toolu_01", notice=""),
        [TH, ("text", "I will."), T],
        "tool_use",
    ),
    "the only call is dropped": ([LS], "tool_use", lambda: block_calls(notice=""), [], "end_turn"),
    "the only call is blocked": ([LS], "tool_use", lambda: block_calls(), [("text", "Blocked: toolu_01")], "end_turn"),
    "calls are explained": (
        BOTH,
        "tool_use",
        lambda: explain,
        [TH, ("text", "I will."), (*L[:3], EXPLAINED), (*T[:3], EXPLAINED)],
        "tool_use",
    ),
    "a call is blocked, the other explained": (
        BOTH,
        "tool_use",
        lambda: both(block_calls("toolu_01"), explain),
        [TH, ("text", "I will."), ("text", "Blocked: toolu_01"), (*T[:3], EXPLAINED)],
        "tool_use",
    ),
    "a call is blocked at a limit": (
        [LS],
        "max_tokens",
        lambda: block_calls(),
        [("text", "Blocked: toolu_01")],
        "max_tokens",
    ),
    "a call is blocked and the turn pauses": (
        [LS, SEARCH],
        "pause_turn",
        lambda: block_calls(notice=""),
        [("server_tool_use",)],
        "pause_turn",
    ),
    "text is added at the end": (
        [text("Hi")],
        "end_turn",
        lambda: add_at_end("bye", "now"),
        [("text", "Hi"), ("text", "bye"), ("text", "now")],
        "end_turn",
    ),
    "text is added to nothing": ([], "end_turn", lambda: add_at_end("bye"), [("text", "bye")], "end_turn"),
    "text is added before calls": (
        BOTH,
        "tool_use",
        lambda: add_at_end("note"),
        [TH, ("text", "I will."), ("text", "note"), L, T],
        "tool_use",
    ),
    "text is added and a call blocked": (
        BOTH,
        "tool_use",
        lambda: both(block_calls("toolu_01"), add_at_end("note")),
        [TH, ("text", "I will."), ("text", "Blocked: toolu_01"), ("text", "note"), T],
        "tool_use",
    ),
    "text after a call goes before it": (
        [LS, text("after")],
        "tool_use",
        lambda: shout,
        [("text", "AFTER"), L],
        "tool_use",
    ),
    "the provider's tool stays among the calls": (
        [LS, SEARCH, FOUND, TOUCH],
        "tool_use",
        lambda: block_calls("toolu_01"),
        [("server_tool_use",), ("web_search_tool_result",), ("text", "Blocked: toolu_01"), T],
        "tool_use",
    ),
    "thinking is replaced, not its signature": (
        [thinking("a", "b"), text("c")],
        "end_turn",
        lambda: (
            lambda event: (replace(event, text=event.text.upper()),) if isinstance(event, ThinkingDelta) else (event,)
        ),
        [("thinking", "AB", SIGNATURE), ("text", "c")],
        "end_turn",
    ),
    "frames of unknown kinds are dropped": (
        [text("a"), SEARCH, FOUND, text("b"), LS],
        "tool_use",
        lambda: lambda event: () if isinstance(event, Unknown) else (event,),
        [("text", "a"), ("text", "b"), L],
        "tool_use",
    ),
    "a second text is dropped whole": (
        [text("A"), text("b"), LS],
        "tool_use",
        lambda: both(shout, drop_text("B"), lambda e: (replace(e, text="x"),) if isinstance(e, TextDelta) else (e,)),
        [("text", "x"), L],
        "tool_use",
    ),
    "a call is added": (
        [text("a")],
        "end_turn",
        lambda: (
            lambda event: (
                (ToolCall(block=NEW_BLOCK, id="toolu_n", name="Bash", arguments="{}"), event)
                if isinstance(event, MessageEnd)
                else (event,)
            )
        ),
        [("text", "a"), ("call", "toolu_n", "Bash", "{}")],
        "tool_use",
    ),
    "a call has another name and id": (
        [LS],
        "tool_use",
        lambda: lambda event: (replace(event, name="sh", id="toolu_x"),) if isinstance(event, ToolCall) else (event,),
        [("call", "toolu_x", "sh", L[3])],
        "tool_use",
    ),
}
cases = pytest.mark.parametrize("name", CASES)


@sizes
@cases
def test_a_changed_stream_is_legal_and_says_what_was_let_go(name: str, size: int):
    blocks, stop, change, expected, reason = CASES[name]
    reply = streamed()
    document = result(passed(reply, pieces_of(stream(*blocks, stop=stop), size), change()))
    assert said(document) == expected
    assert document["stop_reason"] == reason
    assert document["usage"] == USAGE | {"output_tokens": 89}
    assert reply.changed
    assert not reply.holding
    assert reply.held_bytes == 0


@cases
def test_a_changed_stream_is_the_same_in_any_cut(name: str):
    blocks, stop, change, _, _ = CASES[name]
    data = stream(*blocks, stop=stop)
    assert passed(streamed(), pieces_of(data, 1), change()) == passed(streamed(), [data], change())


@cases
def test_a_changed_whole_reply_says_the_same(name: str):
    blocks, stop, change, expected, reason = CASES[name]
    reply = unstreamed()
    sent = passed(reply, pieces_of(whole(*blocks, stop=stop), 100), change())
    document = json.loads(sent)
    assert said(document) == expected
    assert document["stop_reason"] == reason
    assert {**document, "content": [], "stop_reason": ""} == {
        **json.loads(whole(*blocks, stop=stop)),
        "content": [],
        "stop_reason": "",
    }


@cases
def test_the_official_client_reads_a_changed_reply(name: str):
    blocks, stop, change, expected, reason = CASES[name]
    in_stream = check_with_sdk(passed(streamed(), [stream(*blocks, stop=stop)], change()))
    at_once = check_with_sdk(passed(unstreamed(), [whole(*blocks, stop=stop)], change()), "application/json")
    assert sdk_said(in_stream) == sdk_said(at_once) == expected
    assert in_stream.stop_reason == at_once.stop_reason == reason


@cases
def test_message_of_a_changed_reply_is_what_came(name: str):
    blocks, stop, change, _, _ = CASES[name]
    reply = streamed()
    passed(reply, [stream(*blocks, stop=stop)], change())
    assert json.loads(reply.message() or b"")["content"] == message(*blocks)["content"]


def test_a_changed_delta_keeps_its_unknown_fields_and_the_order_of_its_keys():
    sent = passed(streamed(), [stream(text("a"))], shout)
    assert b'"index":0,"delta":{"type":"text_delta","text":"A"},"x_new":{"b":2}}' in sent


def test_frames_before_a_change_pass_byte_for_byte():
    parts = frames(text("a", "b"), text("c"))

    def change(event: Event) -> Iterable[Event]:
        return (replace(event, text="X"),) if isinstance(event, TextDelta) and event.text == "b" else (event,)

    sent = passed(streamed(), [b"".join(parts)], change)
    assert sent.startswith(b"".join(parts[:3]))
    assert sent.endswith(b"".join(parts[4:]))


def test_the_frames_of_a_surviving_call_change_only_in_their_index():
    data = stream(text("a"), LS, TOUCH, stop="tool_use")
    sent = documents_of(passed(streamed(), [data], block_calls("toolu_01", notice="")))
    original = [document for document in documents_of(data) if document.get("index") == 2]
    assert [document for document in sent if document.get("index") == 1] == [one | {"index": 1} for one in original]


def test_a_changed_call_is_one_delta_and_keeps_its_other_fields():
    sent = documents_of(passed(streamed(), [stream(TOUCH, stop="tool_use")], explain))
    start, delta, stop = [document for document in sent if "index" in document]
    assert start["content_block"] == {
        "type": "tool_use",
        "id": "toolu_02",
        "name": "Bash",
        "input": {},
        "caller": {"type": "direct"},
    }
    assert delta["delta"] == {"type": "input_json_delta", "partial_json": EXPLAINED}
    assert delta["x_new"] == {"b": 2}
    assert stop == {"type": "content_block_stop", "index": 0}


def test_a_changed_message_delta_keeps_its_other_fields():
    sent = documents_of(passed(streamed(), [stream(LS, stop="tool_use")], block_calls()))
    assert sent[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None, "x_new": 1}
    assert sent[-2]["usage"] == {"output_tokens": 89, "input_tokens": None}


def test_text_dropped_from_the_first_frame_on_leaves_no_empty_block():
    sent = passed(streamed(), [stream(text("a"), text("b"), LS, stop="tool_use")], drop_text())
    kinds = [document["content_block"]["type"] for document in documents_of(sent) if "content_block" in document]
    assert kinds == ["tool_use"]
    check_legal(sent)
