"""Requests taken apart one after another, where most of each repeats an earlier one. Nothing here does I/O.

A client sends its whole conversation with every turn. Where a body begins with the very bytes of an earlier one, up to
the end of a message, a parser would read the same from them: they are left out of the document, and the rest is read
alone. What comes out is what `split` gives, but the messages that were left out have no `content`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lockgate.wire.conversation import Apart, Conversation, Taken, split, split_after

KEPT_BYTES = 32 * 2**20
"""Of bodies: some 25 conversations of 300 turns."""
LEAST_BYTES = 20_000
"""A shorter body is read in less time than it takes to compare it."""

FEW_MESSAGES = 4
"""So many at the end of a conversation are written anew with each turn, since the marks in them move on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Earlier:
    format: str
    body: bytes
    start: int
    """Where the first message begins."""
    ends: Sequence[int]
    """Where each message ends, up to the first that is not written as we write JSON."""
    taken: Sequence[Taken]
    hashed: int
    """How many bytes `hash` has seen."""
    hash: Any

    def shared(self, format: str, body: bytes) -> int:
        """How many first messages are the same in this body, byte for byte."""
        if format != self.format or not self.ends or not body.startswith(self.body[: self.ends[0]]):
            return 0
        same, most, at = 1, len(self.ends), self.ends[0]
        while same < most:
            middle = (same + most + 1) // 2
            if body.startswith(self.body[at : self.ends[middle - 1]], at):
                same, at = middle, self.ends[middle - 1]
            else:
                most = middle - 1
        return same if _ends_at(body, at) else same - 1


class Repeats:
    """Remembers the last bodies, for one thread."""

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._kept: list[_Earlier] = []
        """The last used one last."""

    def split(self, format: str, body: bytes) -> Conversation | None:
        """A request in parts, as `conversation.split`; messages that an earlier body had may have no `content`.

        Whatever came after the model spoke last has it.
        """
        if len(body) < LEAST_BYTES:
            return split(format, body)
        earlier, same = max(
            ((one, one.shared(format, body)) for one in self._kept), key=lambda found: found[1], default=(None, 0)
        )
        if not same:
            earlier = None
        at = earlier.ends[same - 1] if earlier else 0
        hash = _hash_until(at, earlier, body)
        apart = (_rest(earlier, same, body) if earlier else None) or split_after((), format, body)
        if apart is None:
            return None
        if apart.start:
            new = _earlier(format, body, apart, earlier.ends[:same] if earlier else (), at, hash.copy())
            self._keep(new, earlier, same)
        hash.update(memoryview(body)[at:])
        return replace(apart.conversation, digest=hash.digest())

    def _keep(self, new: _Earlier, old: _Earlier | None, same: int) -> None:
        """A conversation takes the place of its last turn; one that has little in common with another does not."""
        if old is not None and len(old.ends) - same <= max(same, FEW_MESSAGES):
            self._kept.remove(old)
            self._size -= len(old.body)
        self._kept.append(new)
        self._size += len(new.body)
        while self._size > self._limit:
            self._size -= len(self._kept.pop(0).body)


def _rest(earlier: _Earlier, same: int, body: bytes) -> Apart | None:
    """None where what the model said last is not in the rest."""
    end = earlier.ends[same - 1]
    end += body[end : end + 1] == b","
    apart = split_after(earlier.taken[:same], earlier.format, body[: earlier.start] + body[end:])
    spoke = apart and any(taken.part.role == "assistant" for taken in apart.taken[same:])
    return apart if spoke else None


def _hash_until(at: int, earlier: _Earlier | None, body: bytes) -> Any:
    """The SHA-256 of this much of the body, from where the earlier one knows it."""
    known = earlier.hashed if earlier and earlier.hashed <= at else 0
    hash = earlier.hash.copy() if earlier and known else hashlib.sha256()
    hash.update(memoryview(body)[known:at])
    return hash


def _earlier(format: str, body: bytes, apart: Apart, same: Sequence[int], hashed: int, hash: Any) -> _Earlier:
    """`same` are the ends that this body has in common with the one before."""
    ends = list(same)
    at = ends[-1] + 1 if ends else apart.start
    for one in apart.taken[len(ends) :]:
        end = at + len(one.text)
        if not (body.startswith(one.text, at) and _ends_at(body, end)):
            break
        ends.append(end)
        at = end + 1
    taken = [
        one if not one.text else replace(one, text=b"", part=replace(one.part, content=b""))
        for one in apart.taken[: len(ends)]
    ]
    return _Earlier(format=format, body=body, start=apart.start, ends=ends, taken=taken, hashed=hashed, hash=hash)


def _ends_at(body: bytes, end: int) -> bool:
    """Whether an element of a list ends here: a number could go on."""
    return body[end : end + 1] in (b",", b"]")
