"""What is concealed stands in no frame: not whole, not cut over several, not as its beginning at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.frames.hiding import hidden_frames
from lockgate.wire.document import dumps, loads
from lockgate.wire.sse import block_of, data_of

SECRET = 'ghp_16C7e42F292c69"12\\é'
INSTEAD = {SECRET: "[secret]"}

type Shape = Any
"""Of a piece and of the place that it belongs to, the document of a frame."""

SHAPES: dict[str, Shape] = {
    "anthropic text": lambda piece, place: {
        "type": "content_block_delta", "index": place, "delta": {"type": "text_delta", "text": piece},
    },
    "anthropic arguments": lambda piece, place: {
        "type": "content_block_delta", "index": place, "delta": {"type": "input_json_delta", "partial_json": piece},
    },
    "chat": lambda piece, place: {"choices": [{"index": place, "delta": {"content": piece}}]},
    "chat arguments": lambda piece, place: {
        "choices": [{"index": 0, "delta": {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}}],
    },
    "responses": lambda piece, place: {
        "type": "response.output_text.delta", "sequence_number": len(piece), "output_index": place, "delta": piece,
    },
    "one that nobody knows": lambda piece, place: {"index": place, "deep": [{"er": {"odd": [piece]}}]},
}  # fmt: skip


def frame(document: Any) -> bytes:
    return block_of(dumps(document), event="piece")


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [each for part in value.values() for each in strings(part)]
    if isinstance(value, list):
        return [each for part in value for each in strings(part)]
    return [value] if isinstance(value, str) else []


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    ends = [0, *sorted({cut % (len(text) + 1) for cut in cuts} - {0}), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@given(before=st.text(max_size=9), after=st.text(max_size=9), cuts=st.lists(st.integers(0, 60)), beside=st.booleans())
def test_a_text_is_hidden_however_it_is_cut(
    shape: Shape, before: str, after: str, cuts: list[int], beside: bool
) -> None:
    text = f"{before}{SECRET}{after}"
    frames: list[bytes] = []
    for piece in pieces(text, cuts):
        frames.append(frame(shape(piece, 1)))
        if beside:
            frames.append(frame(shape("beside", 2)))
    hidden = hidden_frames(frames, INSTEAD)
    documents = [loads(data_of(each)) for each in hidden]
    mine = documents[:: 2 if beside else 1]
    blank = strings(shape("", 1))
    said = "".join("".join(each for each in strings(one) if each not in blank) for one in mine)
    assert said == text.replace(SECRET, "[secret]")
    assert all(each == frames[at] for at, each in enumerate(hidden) if beside and at % 2)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_json_in_json_is_hidden(size: int) -> None:
    arguments = json.dumps({"command": f"echo {SECRET}"})
    frames = [
        frame(SHAPES["anthropic arguments"](arguments[at : at + size], 0)) for at in range(0, len(arguments), size)
    ]
    hidden = hidden_frames(frames, INSTEAD)
    joined = "".join(loads(data_of(each))["delta"]["partial_json"] for each in hidden)
    assert json.loads(joined) == {"command": "echo [secret]"}


def test_a_beginning_at_the_end_is_hidden_too() -> None:
    """The rest of it came after what was kept."""
    hidden = hidden_frames([frame(SHAPES["chat"]("so: ghp_", 0)), frame(SHAPES["chat"]("16C7e", 0))], INSTEAD)
    assert [loads(data_of(each))["choices"][0]["delta"]["content"] for each in hidden] == ["so: [secret]", ""]


def test_two_that_overlap_are_one_gap() -> None:
    hidden = hidden_frames([frame({"text": "xabcdefgy"})], {"abcdef": "[1]", "defg": "[2]"})
    assert loads(data_of(hidden[0])) == {"text": "x[1]y"}


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {\"a\": \"ghp_16\n\n",
        b'data: {"a": "ghp_", "a": "16C7"}\n\n',
        b"data: \xff\xfe\n\n",
    ],
    ids=["no JSON", "a key twice", "no UTF-8"],
)  # fmt: skip
def test_nothing_stays_of_a_frame_that_cannot_be_read(raw: bytes) -> None:
    assert hidden_frames([raw], {}) == [raw]
    assert hidden_frames([raw], INSTEAD) == [
        b": a frame of %d bytes that cannot be read is not kept, as it may hold what is hidden\n\n" % len(raw)
    ]


def test_comments_lines_beside_the_document_and_keys_are_swept() -> None:
    key = "plain-secret-1"
    frames = [b": ret-1 plain-secret-1\n\n", b"id: plain-secret-1\ndata: {}\n\n", frame({key: 1})]
    hidden = hidden_frames(frames, {key: "[x]"})
    assert hidden == [b": ret-1 [x]\n\n", b"id: [x]\ndata: {}\n\n", frame({"[x]": 1})]


def test_what_holds_nothing_stays_byte_for_byte() -> None:
    frames = [b'\xef\xbb\xbfdata:  {"a" : "\\ud800\\u0000 b"}\r\n\r\n', b"data: [DONE]\n\n", b": ping \xff\n\n"]
    assert hidden_frames(frames, INSTEAD) == frames
