"""Streamed Chat Completions replies that go wrong: each is ended or refused, nothing passes unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.errors import WireError
from lockgate.events import (
    ReplyError,
    ToolCall,
    Unknown,
)
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import DONE, HEAD, START, TEXT, TWO, piece, said, sse, stream


@pytest.mark.parametrize(
    ("document", "kind", "message"),
    [
        ({"error": {"message": "too busy", "type": "server_error", "code": None}}, "server_error", "too busy"),
        ({"error": {"message": "too busy", "code": 502}}, "502", "too busy"),
        ({"error": "too busy"}, "error", "too busy"),
        ({"object": "error", "message": "too busy", "type": "Overloaded"}, "Overloaded", "too busy"),
        (
            {**HEAD, "error": {"message": "too busy", "code": 1}, "choices": [{"index": 0, "delta": {"content": ""}}]},
            "1",
            "too busy",
        ),
    ],
)
def test_an_error_in_the_stream_passes_and_ends_it(document: Any, kind: str, message: str) -> None:
    frames = [*TEXT, sse(document), DONE]
    assert cases.events_of(frames)[-1] == ReplyError(kind=kind, message=message)
    assert stream(frames) == b"".join(frames)


def test_an_error_while_calls_are_held_is_all_that_goes_out() -> None:
    error = sse({"error": {"message": "too busy", "type": "server_error"}})
    assert stream([*TEXT, *cases.CALLS, error]) == b"".join([*TEXT, error])


@pytest.mark.parametrize("after", [said({"content": "x"}), cases.CALLS[0]])
def test_nothing_is_said_after_an_error(after: bytes) -> None:
    with pytest.raises(WireError, match="after its end"):
        stream([*TEXT, sse({"error": {"message": "too busy"}}), after])


@pytest.mark.parametrize("end", [[], [DONE]])
@pytest.mark.parametrize("frames", [TEXT, [*TEXT, *cases.CALLS]])
def test_an_end_without_a_finish_is_an_error(frames: list[bytes], end: list[bytes]) -> None:
    with pytest.raises(WireError, match="without its closing frames"):
        stream([*frames, *end])


def test_an_empty_stream_is_an_error() -> None:
    with pytest.raises(WireError, match="without its closing frames"):
        stream([b": hello\n\n"])


def test_one_unfinished_choice_of_two_is_an_error() -> None:
    with pytest.raises(WireError, match="without its closing frames"):
        stream([START, said({"content": "x"}, index=1), said({}, "stop")], request=TWO)


@pytest.mark.parametrize(
    "document",
    [
        {"choices": {}},
        {"choices": [1]},
        {"choices": [{"index": "0", "delta": {}}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 0, "delta": {"content": "b"}}]},
        {"choices": [{"index": 0, "delta": [1]}]},
        {"choices": [{"index": 0, "delta": {"content": 3}}]},
        {"choices": [{"index": 0, "delta": {"content": [{"text": 3}]}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": 3}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": 3}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": {}}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": "0"}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": 3}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "a"}, "custom": {"name": "b"}}]}}]},
        {"choices": [{"index": 0, "delta": {"function_call": "x"}}]},
        {"error": {"message": "x"}, "choices": [{"index": 0, "delta": {"content": "unseen"}}]},
        {"choices": [], "usage": 3},
    ],
)
@pytest.mark.parametrize("before", [[], TEXT])
def test_a_frame_of_the_wrong_shape_is_not_forwarded(document: Any, before: list[bytes]) -> None:
    with pytest.raises(WireError):
        stream([*before, sse(document)])


@pytest.mark.parametrize("late", [said({"content": "x"}), cases.CALLS[0], said({"content": "x"}, index=1)])
def test_nothing_is_said_after_the_end(late: bytes) -> None:
    with pytest.raises(WireError, match="after"):
        stream([*TEXT, said({}, "stop"), late])


@pytest.mark.parametrize(
    "bad", [b'data: {"choices":"\xff"}\n\n', b'data: {"choices":' + b"[" * 999 + b"]" * 999 + b"}\n\n"]
)
def test_a_frame_that_only_some_parsers_read_is_not_forwarded(bad: bytes) -> None:
    with pytest.raises(WireError):
        stream([*TEXT, bad])


def test_arguments_that_are_not_json_are_unchanged() -> None:
    frames = [cases.FIRST_CALL, piece(0, '{"command": "ls'), said({}, "tool_calls"), DONE]
    assert ToolCall(block=0, id="call_a", name="bash", arguments='{"command": "ls') in cases.events_of(frames)
    assert stream(frames) == b"".join(frames)


def test_half_a_character_in_each_of_two_frames_survives() -> None:
    halves = [said({"content": "X"}).replace(b"X", half) for half in (b"a\\ud83d", b"\\ude00b")]
    frames = [START, *halves, said({}, "stop"), DONE]
    assert stream(frames) == b"".join(frames)
    shouted = clients.documents(stream(frames, cases.shout))[1:3]
    assert "".join(document["choices"][0]["delta"]["content"] for document in shouted) == "A\ud83d\ude00B"
    assert json.loads(cases.whole(frames))["choices"][0]["message"]["content"] == "a😀b"


@pytest.mark.parametrize("raw", [b"data: {nonsense\n\n", b"data: 7\n\n", b'data: {"type":"ping"}\n\n'])
def test_unknown_frames_pass_in_their_place(raw: bytes) -> None:
    frames = [*TEXT, raw, *cases.CALLS, raw, said({}, "tool_calls"), raw, DONE]
    assert cases.events_of(frames).count(Unknown()) == 3
    assert stream(frames) == b"".join(frames)
    assert stream(frames, cases.explain).count(raw) == 3
