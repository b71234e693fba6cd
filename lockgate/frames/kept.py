"""The frames of one streamed reply: as they came and as they left, kept while it lasts. Nothing here does I/O.

While the reply lasts, a frame costs an append. What stands for what is worked out at the end, on a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

from lockgate.exchange import Exchange
from lockgate.frames.hiding import hidden_frames
from lockgate.frames.told import content_of
from lockgate.records import FramesRow, Record
from lockgate.wire.codec import Frame
from lockgate.wire.sse import SseReader

FRAME_BYTES = 100
"""About what a frame takes in memory beside its bytes."""


class _Sent(NamedTuple):
    """Bytes that left, or b"" where a frame was held or dropped."""

    at: float
    turn: bytes | None
    """The frame that was passed on then; None for what Lockgate said itself."""
    data: bytes


class Final(NamedTuple):
    """A frame as it left."""

    at: float
    held: float
    """Seconds since it came, or the first that it stands for."""
    original: int | None
    """The place of the frame that it is, unchanged."""
    data: bytes


class _Side[Item]:
    """The first ones that have room; the others are counted."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.items: list[Item] = []
        self.left_out = [0, 0]
        """Frames and bytes."""

    def take(self, item: Item, size: int) -> None:
        self.room -= size + FRAME_BYTES  # once below zero, it stays there
        if self.room >= 0:
            self.items.append(item)
        elif size:
            self.left_out[0] += 1
            self.left_out[1] += size


class Kept:
    """`limit` is in bytes, for what came and for what left each."""

    def __init__(self, limit: int, *, only_changed: bool) -> None:
        self._only_changed = only_changed
        self._came = _Side[tuple[float, bytes]](limit)
        self._left = _Side[_Sent](limit)
        self._passed = 0
        """How many of those that came were passed on whole."""

    def came(self, frames: Iterable[Frame]) -> None:
        at = perf_counter()
        for frame in frames:
            if frame.raw:
                self._came.take((at, frame.raw), len(frame.raw))

    def left(self, data: bytes, turn: bytes | None = None) -> None:
        """`turn` is the frame that was passed on; without one, Lockgate said it itself."""
        self._left.take(_Sent(perf_counter(), turn, data), len(data))

    def passed(self) -> None:
        """All that came has left as it came."""
        at, came = perf_counter(), self._came
        for _, raw in came.items[self._passed :]:
            self._left.take(_Sent(at, raw, raw), len(raw))
        self._passed, self._left.left_out = len(came.items), came.left_out

    async def rows(self, x: Exchange, began: float, *, changed: bool) -> Sequence[Record]:
        """What the log gets of an exchange that began then, by the clock of `perf_counter`."""
        if self._only_changed and not changed:
            return ()
        content = await asyncio.to_thread(self.content, began, dict(x.concealed))
        return (FramesRow(exchange_id=x.id, content=content),)

    def content(self, began: float, instead: Mapping[str, str]) -> bytes:
        """JSON text, as `told` reads it, with other texts in the place of those that nobody may read."""
        raws = hidden_frames([raw for _, raw in self._came.items], instead)
        final = list(self._final())
        datas = [each.data if each.original is None else raws[each.original] for each in final]
        datas = hidden_frames(datas, instead)
        return content_of(
            [(_ms(at - began), raw) for (at, _), raw in zip(self._came.items, raws, strict=True)],
            [
                (_ms(at - began), _ms(held), original if original is not None and raws[original] == data else data)
                for (at, held, original, _), data in zip(final, datas, strict=True)
            ],
            (self._came.left_out, self._left.left_out),
        )

    def _final(self) -> Iterator[Final]:
        """What left, frame by frame: a piece may hold several, such as a call that was held and is let go."""
        places = {id(raw): place for place, (_, raw) in enumerate(self._came.items)}
        waiting: list[int] = []
        for at, turn, data in self._left.items:
            if (place := places.get(id(turn))) is not None:
                waiting.append(place)
            if data and turn is None:
                yield from (Final(at, 0.0, None, raw) for raw in _frames_in(data))
            elif data:
                yield from self._stand_for(at, data, waiting)
                waiting = []

    def _stand_for(self, at: float, data: bytes, waiting: Sequence[int]) -> Iterator[Final]:
        """The frames of a piece that left in the place of those that waited, which some of them may be."""
        came = self._came.items
        same: dict[bytes, deque[int]] = {}
        for place in waiting:
            same.setdefault(came[place][1], deque()).append(place)
        since = min((came[place][0] for place in waiting), default=at)
        for raw in (data,) if data in same else _frames_in(data):
            if places := same.get(raw):
                place = places.popleft()
                yield Final(at, at - came[place][0], place, raw)
            else:
                yield Final(at, at - since, None, raw)


def _frames_in(data: bytes) -> Iterator[bytes]:
    reader = SseReader()
    return (raw for raw, _ in (*reader.receive_data(data), *reader.receive_data(b"")))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
