"""Chat Completions replies for tests, as frames of a stream, and policies that are functions of a frame's events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from lockgate.events import NEW_BLOCK, Event, MessageEnd, MessageStart, TextDelta, ToolCall
from lockgate.wire.codec import Frame, Reply
from lockgate.wire.openai_chat import FORMAT

type Out = Callable[[tuple[Event, ...]], Sequence[Event]]

REQUEST = FORMAT.read_request(b'{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"hi"}]}')
TWO = FORMAT.read_request(b'{"model":"gpt-5","stream":true,"n":2,"messages":[{"role":"user","content":"hi"}]}')
HEAD = {
    "id": "chatcmpl-CdT8",
    "object": "chat.completion.chunk",
    "created": 1763733200,
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
    "system_fingerprint": "fp_44709d6fcb",
}
USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
DONE = b"data: [DONE]\n\n"


def sse(document: Any) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


def said(delta: Any, finish: str | None = None, *, index: int = 0, **more: Any) -> bytes:
    """A frame in which one choice says `delta`."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return sse({**HEAD, "choices": [choice], "obfuscation": "x7Kq", **more})


def piece(index: int, arguments: str, *, id: str = "", name: str = "", choice: int = 0) -> bytes:
    """A frame with a piece of a call."""
    function: dict[str, Any] = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    entry = {"index": index, "id": id, "type": "function", "function": function} if id else None
    return said({"tool_calls": [entry or {"index": index, "function": function}]}, index=choice)


USAGE_FRAME = sse({**HEAD, "choices": [], "usage": USAGE, "obfuscation": ""})
START = said({"role": "assistant", "content": "", "refusal": None})
TEXT = [START, said({"content": "Käse "}), said({"content": "👩‍👩‍👧 is"}), said({"content": " good."})]
CALLS = [
    piece(0, "", id="call_a", name="read"),
    piece(0, '{"path":'),
    piece(1, "", id="call_b", name="bash"),
    piece(1, '{"command":"rm'),
    piece(0, '"a.txt"}'),
    piece(1, ' -rf /"}'),
]
FIRST_CALL = said(
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "bash", "arguments": ""}}],
        "refusal": None,
    }
)
WHOLE_CALL = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "bash", "arguments": '{"a":1}'}}

STREAMS: dict[str, list[bytes]] = {
    "text": [*TEXT, said({}, "stop"), USAGE_FRAME, DONE],
    "text cut short": [*TEXT, said({}, "length"), DONE],
    "no done": [*TEXT, said({}, "stop")],
    "finish with content": [START, said({"content": "all"}), said({"content": " at once"}, "stop"), DONE],
    "thinking": [
        said({"role": "assistant", "content": None, "reasoning_content": "Hm"}),
        said({"content": None, "reasoning_content": ", cheese"}),
        said({"content": "Yes", "reasoning_content": None}),
        said({"content": "."}, "stop"),
        DONE,
    ],
    "refusal": [START, said({"refusal": "I can"}), said({"refusal": "not."}), said({}, "stop"), DONE],
    "calls": [*TEXT, *CALLS, said({}, "tool_calls"), USAGE_FRAME, DONE],
    "only a call": [FIRST_CALL, piece(0, '{"command"'), piece(0, ':"ls"}'), said({}, "tool_calls"), USAGE_FRAME, DONE],
    "all in one": [said({"role": "assistant", "content": "Now:", "tool_calls": [WHOLE_CALL]}, "tool_calls"), DONE],
    "function_call": [
        said({"role": "assistant", "content": None, "function_call": {"name": "bash", "arguments": ""}}),
        said({"function_call": {"arguments": '{"command":'}}),
        said({"function_call": {"arguments": '"ls"}'}}),
        said({}, "function_call"),
        DONE,
    ],
    "custom tool": [
        START,
        said({"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "bash", "input": "l"}}]}),
        said({"tool_calls": [{"index": 0, "custom": {"input": "s"}}]}),
        said({}, "tool_calls"),
        DONE,
    ],
}
TWO_CHOICES = [
    START,
    said({"role": "assistant", "content": ""}, index=1),
    said({"content": "one"}),
    said({"content": "two"}, index=1),
    piece(0, "", id="call_1", name="bash", choice=1),
    said({"content": " more"}),
    piece(0, '{"command":"ls"}', choice=1),
    said({}, "tool_calls", index=1),
    said({"content": " still"}),
    said({}, "stop"),
    USAGE_FRAME,
    DONE,
]


def as_it_came(given: tuple[Event, ...]) -> Sequence[Event]:
    return given


def same_in_a_list(given: tuple[Event, ...]) -> Sequence[Event]:
    return list(given)


def each(change: Callable[[Event], Iterable[Event]]) -> Out:
    return lambda given: [event for one in given for event in change(one)]


def _shout(event: Event) -> Iterable[Event]:
    return (replace(event, text=event.text.upper()),) if isinstance(event, TextDelta) else (event,)


def _no_text(event: Event) -> Iterable[Event]:
    return () if isinstance(event, TextDelta) else (event,)


def _note(event: Event) -> Iterable[Event]:
    note = TextDelta(block=NEW_BLOCK, text="A note.")
    return (note, event) if isinstance(event, MessageEnd) else (event,)


def _preface(event: Event) -> Iterable[Event]:
    return (event, TextDelta(block=NEW_BLOCK, text="First:")) if isinstance(event, MessageStart) else (event,)


def _explain(event: Event) -> Iterable[Event]:
    return (replace(event, arguments='{"command":"exit 1"}'),) if _is_bash(event) else (event,)


def _is_bash(event: Event) -> bool:
    return isinstance(event, ToolCall) and event.name == "bash"


def _drop_bash(event: Event) -> Iterable[Event]:
    return () if _is_bash(event) else (event,)


def _block(name: str | None) -> Callable[[Event], Iterable[Event]]:
    def change(event: Event) -> Iterable[Event]:
        if isinstance(event, ToolCall) and name in (None, event.name):
            return (TextDelta(block=event.block, text=f"Blocked {event.name}."),)
        return (event,)

    return change


shout = each(_shout)
no_text = each(_no_text)
note = each(_note)
preface = each(_preface)
explain = each(_explain)
drop_bash = each(_drop_bash)
block_bash = each(_block("bash"))
block_read = each(_block("read"))
block_all = each(_block(None))
POLICIES: dict[str, Out] = {
    "shout": shout,
    "no text": no_text,
    "note": note,
    "preface": preface,
    "explain": explain,
    "drop bash": drop_bash,
    "block bash": block_bash,
    "block read": block_read,
    "block all": block_all,
}


def run(reply: Reply, pieces: Iterable[bytes], policy: Out = as_it_came) -> tuple[bytes, list[Event]]:
    """What the client gets, and every event that was read."""
    sent, events = b"", list[Event]()
    for data in [*pieces, b""]:
        for frame in reply.receive_data(data):
            events += frame.events
            sent += reply.emit(frame, policy(frame.events))
    return sent, events


def stream(frames: Sequence[bytes], policy: Out = as_it_came, *, hold: bool = True, request: Any = REQUEST) -> bytes:
    sent, _ = run(FORMAT.reply(request, streamed=True, hold_calls=hold), [b"".join(frames)], policy)
    return sent


def events_of(frames: Sequence[bytes], *, request: Any = REQUEST) -> list[Event]:
    _, events = run(FORMAT.reply(request, streamed=True, hold_calls=True), [b"".join(frames)])
    return events


def whole(frames: Sequence[bytes], request: Any = REQUEST) -> bytes:
    """The reply that a stream amounts to."""
    reply = FORMAT.reply(request, streamed=True, hold_calls=False)
    run(reply, frames)
    message = reply.message()
    assert message is not None
    return message


def one_frame(reply: Reply, data: bytes) -> Frame:
    (frame,) = reply.receive_data(data)
    return frame
