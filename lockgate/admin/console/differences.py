"""Two bodies side by side, what differs marked, the rest left out. Bounded, whatever they hold. Nothing here reads."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lockgate.storage.shapes import document
from lockgate.wire.blocks import TOO_DEEP, indented

type Part = tuple[bool, str]
"""Whether it differs, and the text."""

CONTEXT = 3
COMPARED_LINES = 1_500
"""Of what lies between the first difference and the last; more is told as changed altogether."""
SHOWN_ROWS = 500
LINE_CHARACTERS = 600
BEFORE_CHARACTERS = 120
COMPARED_WORDS = 400
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A row: a line on each side; None where a side has none."""

    kind: Literal["same", "changed", "gap"]
    left: tuple[Part, ...] | None = None
    right: tuple[Part, ...] | None = None
    count: int = 0
    """Of a gap: how many lines are left out."""
    left_number: int = 0
    right_number: int = 0


def side_by_side(original: bytes | None, final: bytes | None) -> list[Pair]:
    """The rows; [] where both documents are equal."""
    before, after = _lines(original), _lines(final)
    if before == after:
        return []
    rows = list(_rows(before, after))
    if len(rows) > SHOWN_ROWS:
        rows = [*rows[:SHOWN_ROWS], Pair(kind="gap", count=len(rows) - SHOWN_ROWS)]
    return rows


def _rows(before: Sequence[str], after: Sequence[str]) -> Iterator[Pair]:
    for tag, left, left_end, right, right_end in _changes(before, after):
        if tag == "equal":
            yield from _same(before, left, left_end, right, len(before))
            continue
        for at in range(max(left_end - left, right_end - right)):
            one = before[left + at] if left + at < left_end else None
            other = after[right + at] if right + at < right_end else None
            parts = _marked(one, other)
            yield Pair(
                kind="changed", left=parts[0], right=parts[1],
                left_number=left + at + 1 if one is not None else 0,
                right_number=right + at + 1 if other is not None else 0,
            )  # fmt: skip


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """As difflib's opcodes; what is the same at both ends is not compared again."""
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    end = next((at for at in range(shorter - start) if before[-1 - at] != after[-1 - at]), shorter - start)
    if start:
        yield "equal", 0, start, 0, start
    left, right = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(left), len(right)) > COMPARED_LINES:
        yield "replace", start, start + len(left), start, start + len(right)
    else:
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right).get_opcodes():
            yield tag, start + i1, start + i2, start + j1, start + j2
    if end:
        yield "equal", len(before) - end, len(before), len(after) - end, len(after)


def _same(lines: Sequence[str], start: int, end: int, other: int, last: int) -> Iterator[Pair]:
    """A few lines next to what differs."""
    head = 0 if start == 0 else CONTEXT
    tail = 0 if end == last else CONTEXT
    hidden = end - start - head - tail
    for at in range(start, end):
        if hidden > 0 and start + head <= at < end - tail:
            if at == start + head:
                yield Pair(kind="gap", count=hidden)
            continue
        line = ((False, _cut(lines[at], 0)),)
        yield Pair(
            kind="same", left=line, right=line, left_number=at + 1, right_number=other + at - start + 1
        )  # fmt: skip


def _marked(left: str | None, right: str | None) -> tuple[tuple[Part, ...] | None, tuple[Part, ...] | None]:
    if left is None or right is None:
        one = ((True, _cut(left or right or "", 0)),)
        return (one if left is not None else None), (one if right is not None else None)
    shorter = min(len(left), len(right))
    start = next((at for at in range(shorter) if left[at] != right[at]), shorter)
    left, right = _cut(left, start), _cut(right, start)
    words, others = _WORDS.findall(left), _WORDS.findall(right)
    if max(len(words), len(others)) > COMPARED_WORDS:
        return ((True, left),), ((True, right),)
    codes = difflib.SequenceMatcher(None, words, others, autojunk=False).get_opcodes()
    return (
        tuple((tag != "equal", "".join(words[i1:i2])) for tag, i1, i2, _, _ in codes if i1 < i2),
        tuple((tag != "equal", "".join(others[j1:j2])) for tag, _, _, j1, j2 in codes if j1 < j2),
    )


def _cut(line: str, difference: int) -> str:
    """A long line around the place where it differs."""
    if len(line) <= LINE_CHARACTERS:
        return line
    start = max(0, difference - BEFORE_CHARACTERS)
    end = start + LINE_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"


def _lines(content: bytes | None) -> list[str]:
    text = indented(document(content))
    return (text if text != TOO_DEEP else (content or b"").decode("utf-8", "replace")).split("\n")
