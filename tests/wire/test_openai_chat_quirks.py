"""What servers that are compatible with Chat Completions make of it."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.events import (
    NEW_BLOCK,
    MessageEnd,
    MessageStart,
    TextDelta,
    ToolCall,
)
from tests.wire import chat_cases as cases
from tests.wire import chat_clients as clients
from tests.wire.chat_cases import DONE, HEAD, START, STREAMS, TEXT, said, sse, stream


def test_a_first_chunk_without_choices_as_azure_sends_it() -> None:
    filtered = sse({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []})
    frames = [filtered, *STREAMS["text"]]
    assert cases.events_of(frames)[0] == MessageStart(id="chatcmpl-CdT8", model="gpt-5-2025-08-07")
    assert stream(frames) == b"".join(frames)
    note = clients.documents(stream(frames, cases.note))[-3]
    assert note["id"] == "chatcmpl-CdT8"


def test_azure_sends_filter_results_without_a_delta() -> None:
    late = sse({**HEAD, "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"end_offset": 9}}]})
    frames = [*TEXT, said({}, "stop"), late, DONE]
    assert stream(frames, cases.note).count(late) == 1


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([frame.replace(b"data: ", b"data:") for frame in STREAMS["calls"]], id="no space"),
        pytest.param([frame.replace(b"\n", b"\r\n") for frame in STREAMS["calls"]], id="CRLF"),
        pytest.param([b"\xef\xbb\xbf" + STREAMS["calls"][0], *STREAMS["calls"][1:]], id="BOM"),
        pytest.param([b": keep\n\n" + frame for frame in STREAMS["calls"]], id="comments"),
        pytest.param([b"id: 7\nevent: message\n" + frame for frame in STREAMS["calls"]], id="other lines"),
        pytest.param(
            [frame.replace(b'"finish_reason":null', b'"finish_reason":""') for frame in STREAMS["calls"]],
            id="empty finish",
        ),
        pytest.param(
            [
                frame.replace(b'"delta":{"content"', b'"delta":{"role":"assistant","content"')
                for frame in STREAMS["calls"]
            ],
            id="role each time",
        ),
        pytest.param(
            [frame.replace(b'"delta":{"tool', b'"delta":{"content":null,"tool') for frame in STREAMS["calls"]],
            id="null content",
        ),
        pytest.param(
            [frame.replace(b'[{"index":0,"delta"', b'[{"delta"') for frame in STREAMS["calls"]], id="no choice index"
        ),
        pytest.param(
            [*STREAMS["calls"][:-2], said({"role": "assistant", "content": ""}, usage=cases.USAGE), DONE], id="late"
        ),
    ],
)
def test_frames_of_compatible_servers_are_read_and_pass(frames: list[bytes]) -> None:
    assert cases.events_of(frames) == cases.events_of(STREAMS["calls"])
    assert stream(frames) == b"".join(frames)
    changed = stream(frames, cases.block_bash)
    assert b"rm -rf" not in changed
    assert b"call_b" not in changed
    assert b"call_a" in changed
    assert b"Blocked bash." in changed


@pytest.mark.parametrize(
    ("entries", "calls"),
    [
        pytest.param(
            [{"id": "a", "function": {"name": "f", "arguments": "{"}}, {"function": {"arguments": "}"}}],
            [("a", "f", "{}")],
            id="no index",
        ),
        pytest.param(
            [{"id": i, "function": {"name": i, "arguments": "{}"}} for i in "ab"],
            [("a", "a", "{}"), ("b", "b", "{}")],
            id="whole calls without an index",
        ),
        pytest.param(
            [{"function": {"name": i, "arguments": "{}"}} for i in "ab"],
            [("", "a", "{}"), ("", "b", "{}")],
            id="neither index nor id",
        ),
        pytest.param(
            [{"index": 0, "id": i, "function": {"name": i, "arguments": "{}"}} for i in "ab"],
            [("a", "a", "{}"), ("b", "b", "{}")],
            id="every call is number 0",
        ),
        pytest.param(
            [
                {"index": 0, "id": f"id{i}", "function": {"name": n, "arguments": a}}
                for i, (n, a) in enumerate([("f", "{"), ("", "}")])
            ],
            [("id0", "f", "{}")],
            id="an id for each piece",
        ),
        pytest.param(
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": a}} for a in "{}"],
            [("a", "f", "{}")],
            id="id and name in each piece",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "read_"}},
                {"index": 0, "function": {"name": "file", "arguments": "{}"}},
            ],
            [("a", "read_file", "{}")],
            id="name in pieces",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "type": "function"},
                {"index": 0, "id": "", "function": {"name": "f", "arguments": None}},
            ],
            [("a", "f", "")],
            id="id before the name, null arguments",
        ),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_pieces_of_calls_are_put_together(
    entries: list[Any], calls: list[tuple[str, str, str]], together: bool
) -> None:
    deltas = [entries] if together else [[entry] for entry in entries]
    frames = [START, *(said({"tool_calls": delta}) for delta in deltas), said({}, "tool_calls"), DONE]
    events = [event for event in cases.events_of(frames) if isinstance(event, ToolCall)]
    assert [(event.id, event.name, event.arguments) for event in events] == calls
    assert stream(frames) == b"".join(frames)
    assert clients.streamed(stream(frames, cases.block_all))[0].calls == []


def test_content_in_parts_is_text() -> None:
    reference = {"type": "reference", "reference_ids": [1]}
    parts = [{"type": "text", "text": "one "}, reference, {"type": "text", "text": "two"}]
    frames = [START, said({"content": parts}), said({}, "stop"), DONE]
    assert cases.events_of(frames)[1] == TextDelta(block=0, text="one two")
    changed = [{"type": "text", "text": "ONE TWO"}, reference]
    assert stream(frames, cases.shout) == b"".join([START, said({"content": changed}), *frames[2:]])


def test_text_after_a_call_is_a_block_of_its_own_and_waits_with_it() -> None:
    frames = [START, said({"content": "a"}), *cases.CALLS[:1], said({"content": "b"}), said({}, "tool_calls"), DONE]
    texts = [event for event in cases.events_of(frames) if isinstance(event, TextDelta)]
    assert texts == [TextDelta(block=0, text="a"), TextDelta(block=2, text="b")]
    assert clients.streamed(stream(frames, cases.shout))[0].content == "AB"
    assert clients.streamed(stream(frames, cases.block_all))[0].content == "a\n\nBlocked read.\n\nb"


def test_an_added_text_is_not_set_apart_twice() -> None:
    change = cases.each(lambda e: (TextDelta(block=NEW_BLOCK, text="\nnote"), e) if isinstance(e, MessageEnd) else (e,))
    assert clients.streamed(stream(STREAMS["text"], change))[0].content.endswith("good.\nnote")
    two = cases.each(
        lambda e: (*[TextDelta(block=NEW_BLOCK, text=t) for t in "xy"], e) if isinstance(e, MessageEnd) else (e,)
    )
    assert clients.streamed(stream(STREAMS["text"], two))[0].content.endswith("good.\n\nx\n\ny")
