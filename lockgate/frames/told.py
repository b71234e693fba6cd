"""Kept frames as JSON text in the log, and read from it. Nothing here does I/O.

The text holds `original`, each frame's milliseconds since the request and its bytes; `final`, also how long it was
held, and, in the place of its bytes, the number of the frame that it is; and how much was not kept of both. Bytes are
text where they are UTF-8, else base64 in a list of one.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lockgate.wire.document import dumps, loads

type Side = Literal["original", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What there was no room for."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldFrame:
    """A frame as it came, `original`, or as it left, `final`. Numbers begin with 0 on both sides."""

    side: Side
    number: int
    milliseconds: float
    """Since the request."""
    held_milliseconds: float | None
    """How long it was held; None for one that did not leave as it came."""
    same_as: int | None
    """The number that it has on the other side; None where it was changed, left out or added."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """All of a reply, in the order of time."""

    items: tuple[ToldFrame, ...]
    left_out: Mapping[Side, LeftOut]


def content_of(
    original: Sequence[tuple[float, bytes]],
    final: Sequence[tuple[float, float, bytes | int]],
    left_out: tuple[Sequence[int], Sequence[int]],
) -> bytes:
    """The text. Frames and bytes that were left out are numbers of both sides."""
    return dumps(
        {
            "original": [[at, _out(data)] for at, data in original],
            "final": [[at, held, data if isinstance(data, int) else _out(data)] for at, held, data in final],
            "left_out": left_out,
        }
    )


def read(content: bytes) -> Frames:
    """The frames of a text that `content_of` gave."""
    document: Any = loads(content)
    came = [(at, _back(data)) for at, data in document["original"]]
    left: list[tuple[int, float, float, Any]] = [(number, *each) for number, each in enumerate(document["final"])]
    same = {data: (number, held) for number, _, held, data in left if isinstance(data, int)}
    items = [
        _told("original", number, at, same.get(number, (None, None)), data) for number, (at, data) in enumerate(came)
    ]
    items += [
        _told("final", number, at, (data, held), came[data][1])
        if isinstance(data, int)
        else _told("final", number, at, (None, held), _back(data))
        for number, at, held, data in left
    ]
    first, last = document["left_out"]
    return Frames(
        items=tuple(sorted(items, key=lambda each: each.milliseconds)),
        left_out={"original": _left_out(first), "final": _left_out(last)},
    )


def frame_json(frame: ToldFrame) -> dict[str, Any]:
    """For programs: `text`, and, for bytes that are no UTF-8, also `base64`."""
    values = {name: value for name, value in asdict(frame).items() if name != "data"}
    text = _out(frame.data)
    if isinstance(text, str):
        return values | {"text": text, "base64": None}
    return values | {"text": frame.data.decode("utf-8", "replace"), "base64": text[0]}


def left_out_json(frames: Frames) -> dict[Side, dict[str, int]]:
    """By side, where anything was left out."""
    return {side: asdict(each) for side, each in frames.left_out.items() if each.frames}


def _told(side: Side, number: int, at: float, same: tuple[int | None, float | None], data: bytes) -> ToldFrame:
    as_number, held = same
    return ToldFrame(
        side=side, number=number, milliseconds=at, held_milliseconds=held, same_as=as_number, data=data
    )  # fmt: skip


def _left_out(counts: Sequence[int]) -> LeftOut:
    return LeftOut(frames=counts[0], bytes=counts[1])


def _out(data: bytes) -> str | list[str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return [binascii.b2a_base64(data, newline=False).decode()]


def _back(value: str | list[str]) -> bytes:
    return value.encode() if isinstance(value, str) else binascii.a2b_base64(value[0])
