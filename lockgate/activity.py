"""What goes on now, told to whoever watches: the last happenings, and each new one as it comes. Nothing lasts here.

It stands before the log and sees what the log gets, so that nobody has to tell two places. A watcher that reads too
slowly loses the oldest it has not read, and is told how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.errors import Error
from lockgate.ports import CommLog
from lockgate.records import Decision, ExchangeRow, Record, now

KEPT = 2000
"""Happenings that one who comes back can still be told."""
UNREAD = 1000
"""Happenings that wait for one watcher."""
WATCHERS = 64
GROWTH_SECONDS = 0.5
"""How often it is looked how far the open replies are, while anybody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How far an open reply is."""

    exchange_id: str
    characters: int
    """Of what the model said, so far."""
    tool_calls: int
    held: bool
    """Whether a rule thinks about it, or a person does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Calls began to wait for a person, or do so no more: look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One of a numbered sequence. Where it begins at the time, none of another process stands within it."""

    number: int
    what: ExchangeRow | Decision | Growth | Approvals
    by: str = ""
    """The other proxy in which it happened; "" for this one."""
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Happenings that one watcher was not told: they are in the log."""

    missed: int
    """How many; 0 where that is not known."""


class Watcher:
    """What one who watches has not read yet."""

    def __init__(self) -> None:
        self._unread: deque[Happening] = deque(maxlen=UNREAD)
        self._missed: int | None = None
        self._news = asyncio.Event()
        self.is_over = False
        """Whether nothing more will come."""

    def end(self) -> None:
        self.is_over = True
        self._news.set()

    def tell(self, happening: Happening) -> None:
        if len(self._unread) == UNREAD:
            self._missed = (self._missed or 0) + 1
        self._unread.append(happening)
        self._news.set()

    def lost(self) -> None:
        """What came before is not kept any more."""
        self._missed = 0
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Until there is something to read, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    def read(self) -> list[Happening | Gap]:
        """All that is new. A gap comes before what followed it."""
        gap = [] if self._missed is None else [Gap(missed=self._missed)]
        news = [*gap, *self._unread]
        self._unread.clear()
        self._missed = None
        self._news.clear()
        return news


class Activity:
    """The log, seen by those who watch."""

    def __init__(self, log: CommLog, growing: Callable[[], Iterable[Growth]] = tuple, *, before: int = 0) -> None:
        """`before` is the number before the first one."""
        self._log, self.growing = log, growing
        self._last: deque[Happening] = deque(maxlen=KEPT)
        self._number = before
        self._watchers: set[Watcher] = set()
        self._sampling: asyncio.Task[None] | None = None
        self._is_over = False

    @property
    def is_full(self) -> bool:
        """Whether nobody can watch who is not watching already."""
        return len(self._watchers) >= WATCHERS

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    async def close(self) -> None:
        """Nothing more will come: who watches is told, and need not be waited for."""
        self._is_over = True
        for watcher in self._watchers:
            watcher.end()

    async def ready(self) -> None:
        await self._log.ready()

    def put(self, records: Sequence[Record]) -> None:
        """To the log first: what it refuses did not happen."""
        self._log.put(records)
        for record in records:
            if isinstance(record, ExchangeRow) or (isinstance(record, Decision) and record.action != "forwarded"):
                self.tell(record)

    def tell(self, what: ExchangeRow | Decision | Approvals, by: str = "") -> None:
        """Also what no record says, and what happened in another proxy."""
        self._number += 1
        happening = Happening(number=self._number, what=what, by=by)
        self._last.append(happening)
        for watcher in self._watchers:
            watcher.tell(happening)

    def tell_gap(self) -> None:
        """Something happened that nobody is told: it is in the log."""
        for watcher in self._watchers:
            watcher.lost()

    @contextmanager
    def watch(self, after: int | None = None) -> Generator[Watcher]:
        """Be told what happens from now on; with `after`, first what came after the happening of that number.

        Needs a running loop. Raises Error where too many watch already.
        """
        if self.is_full:
            raise Error(f"{WATCHERS} watch already: close a page that shows what goes on now")
        watcher = Watcher()
        if self._is_over:
            watcher.end()
        self._catch_up(watcher, after)
        self._watchers.add(watcher)
        if self._sampling is None:
            self._sampling = asyncio.get_running_loop().create_task(self._sample())
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._sampling:
                self._sampling.cancel()
                self._sampling = None

    def _catch_up(self, watcher: Watcher, after: int | None) -> None:
        if after is None:
            return
        first = self._last[0].number if self._last else self._number + 1
        if after > self._number or after + 1 < first:  # of another process, or too long ago
            watcher.lost()
            after = 0
        for happening in self._last:
            if happening.number > after:
                watcher.tell(happening)

    async def _sample(self) -> None:
        """Tell how far the open replies are; what was the same the last time is not told again."""
        before: dict[str, Growth] = {}
        while True:
            await asyncio.sleep(GROWTH_SECONDS)
            found = {each.exchange_id: each for each in self.growing()}
            for id, growth in found.items():
                if before.get(id) != growth:
                    happening = Happening(number=self._number, what=growth)
                    for watcher in self._watchers:
                        watcher.tell(happening)
            before = found


async def batches(watcher: Watcher, *, seconds: float, quiet_seconds: float) -> AsyncGenerator[list[Happening | Gap]]:
    """What is new, at most once in `seconds`, so that many happenings cost one write; [] after so long without any.

    Ends when nothing more will come.
    """
    while True:
        await watcher.wait(quiet_seconds)
        news = watcher.read()
        if news or not watcher.is_over:
            yield news
        if watcher.is_over:
            return
        await asyncio.sleep(seconds)
