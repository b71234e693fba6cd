"""Texts that nobody may read, taken out of frames, also where one is cut over several. Nothing here does I/O.

Providers send a text in pieces: strings under the same key, one in a frame. So the strings of all frames are joined by
their key, and once more by their key within one block, tool call or choice; what is found in a joined text is cut out
of each frame that holds some of it. A frame that cannot be read could hold any piece, so nothing of it stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.redaction import pairs_of, replaced
from lockgate.wire.document import dumps, loads_exact
from lockgate.wire.sse import block_of, data_of

type Pair = tuple[str, str]
type Cut = tuple[int, int, str]
"""From where to where, and what stands there instead."""

BEGINNING = 6
"""So much of a text at the end of what was kept is too much: the rest of it may have come later."""
PLACES = ("index", "output_index", "content_index", "summary_index", "item_id")
"""What tells apart texts that are sent at the same time."""
_EVENT = re.compile(rb"^event: ?([^\r\n]*)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _String:
    """A string of a frame's document, where it stands, and what is to be cut out of it."""

    holder: Any
    at: Any
    text: str
    cuts: list[Cut] = field(default_factory=list[Cut])


@dataclass(slots=True)
class _Frame:
    """A frame that can be read, its document in a list; or, of one with nothing to read, its whole text."""

    raw: bytes
    document: Any
    is_data: bool
    strings: list[_String] = field(default_factory=list[_String])

    def hidden(self) -> bytes:
        cut = [each for each in self.strings if each.cuts]
        for each in cut:
            each.holder[each.at] = _without(each.text, each.cuts)
        if not cut:
            return self.raw
        if not self.is_data:
            return self.document[0].encode("utf-8", "surrogateescape")
        event = _EVENT.search(self.raw)
        return block_of(dumps(self.document[0]), event=event[1].decode("utf-8", "replace") if event else "")


def hidden_frames(frames: Sequence[bytes], instead: Mapping[str, str]) -> list[bytes]:
    """The frames, in which other texts stand instead of those that nobody may read."""
    if not instead:
        return list(frames)
    pairs = pairs_of(instead)
    read = [_read(raw) for raw in frames]
    for strings in _streams(each for each in read if each):
        _find(strings, pairs)
    return [_swept(frame.hidden(), pairs) if frame else _unread(raw) for raw, frame in zip(frames, read, strict=True)]


def _read(raw: bytes) -> _Frame | None:
    """None for what cannot be read."""
    data = data_of(raw.removeprefix(_BOM))
    if not data or data == b"[DONE]":
        return _Frame(raw, [raw.decode("utf-8", "surrogateescape")], is_data=False)
    try:
        return _Frame(raw, [loads_exact(data)], is_data=True)
    except WireError:
        return None


def _unread(raw: bytes) -> bytes:
    return b": a frame of %d bytes that cannot be read is not kept, as it may hold what is hidden\n\n" % len(raw)


def _streams(frames: Iterable[_Frame]) -> Iterable[list[_String]]:
    """The strings that may be pieces of one text, in the order of the frames."""
    found: dict[tuple[str, ...], list[_String]] = {}
    for frame in frames:
        for name, place, string in _strings(frame.document, "", ()):
            frame.strings.append(string)
            found.setdefault((name,), []).append(string)
            if place:
                found.setdefault((name, *place), []).append(string)
    return found.values()


def _strings(value: Any, name: str, place: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], _String]]:
    """Each with the key that it is under, and what tells its text apart."""
    if isinstance(value, dict):
        known = cast(dict[str, Any], value)
        place += tuple(f"{one} {known[one]}" for one in PLACES if isinstance(known.get(one), int | str))
        items: Iterable[tuple[Any, Any]] = known.items()
    else:
        items = enumerate(cast(list[Any], value))
    for at, each in items:
        under = at if isinstance(at, str) else name
        if isinstance(each, str):
            yield under, place, _String(value, at, each)
        elif isinstance(each, dict | list):
            yield from _strings(each, under, place)


def _find(strings: Sequence[_String], pairs: Sequence[Pair]) -> None:
    """Tell each string what is to be cut out of it."""
    joined = "".join(each.text for each in strings)
    cuts = _merged(cut for pair in pairs for cut in _cuts(joined, *pair))
    start = 0
    for each in strings if cuts else ():
        end = start + len(each.text)
        for first, last, to in cuts:
            if first < end and last > start:
                each.cuts.append((max(first, start) - start, min(last, end) - start, to if first >= start else ""))
        start = end


def _cuts(joined: str, form: str, to: str) -> Iterator[Cut]:
    """Where the text stands, and where it begins at the very end."""
    at = joined.find(form)
    while at >= 0:
        yield at, at + len(form), to
        at = joined.find(form, at + 1)
    beginning = form[: min(BEGINNING, (len(form) + 1) // 2)]
    at = joined.find(beginning, max(0, len(joined) - len(form) + 1))
    while at >= 0:
        if form.startswith(joined[at:]):
            yield at, len(joined), to
            return
        at = joined.find(beginning, at + 1)


def _merged(cuts: Iterable[Cut]) -> list[Cut]:
    """In order, those that overlap as one."""
    merged: list[Cut] = []
    for start, end, to in sorted(cuts, key=lambda cut: (cut[0], -cut[1])):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
        else:
            merged.append((start, end, to))
    return merged


def _without(text: str, cuts: Iterable[Cut]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, to in _merged(cuts):
        parts += [text[at:start], to]
        at = end
    return "".join((*parts, text[at:]))


def _swept(raw: bytes, pairs: Sequence[Pair]) -> bytes:
    """What stands whole beside the document, or in its keys."""
    text = raw.decode("utf-8", "surrogateescape")
    swept = replaced(text, pairs)
    return raw if swept == text else swept.encode("utf-8", "surrogateescape")
