"""Records on their way from the event loop to the writer's thread: in order, and what one `put` gave together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence

from lockgate.errors import StorageError
from lockgate.records import Comm, Decision, FramesRow, Record, now

type Group = tuple[Record, ...]

RECORD_BYTES = 500
"""About what a record weighs beside its bodies."""


class Backlog:
    """Takes everything at once, and makes who asks `ready` wait while more than its bounds is under way.

    A record counts from `put` until `done`, so what the writer holds in its hands is under way too. With `refuse`,
    `ready` raises StorageError where it would wait for the database.
    """

    def __init__(self, *, rows: int, size: int, refuse: bool = False) -> None:
        self._bounds = (rows, size)
        self._refuse = refuse
        self._groups: deque[tuple[float, Group]] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._any = threading.Event()
        self.blocked = ""
        """Why nobody may begin, whatever room there is."""
        self.blocked_since = now()
        """Since when that is as it is."""
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._open = True
        self._finishing = False
        self.rows = 0
        self.size = 0

    def put(self, records: Sequence[Record]) -> None:
        """Never waits and never refuses: an exchange that was let in is remembered whole."""
        if not records:
            return
        size = sum(map(weight, records))
        with self._lock:
            self._groups.append((time.monotonic(), tuple(records)))
            self.rows += len(records)
            self.size += size
        if not self._filled.is_set():
            self._filled.set()
        if not self._any.is_set():
            self._any.set()

    async def ready(self) -> None:
        """Returns when there is room, or when the backlog was closed. Raises StorageError where it may not wait."""
        while self.is_full:
            if self._refuse and self.blocked:
                raise StorageError(f"the log is full: {self.blocked}")
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            with self._lock:
                self._waiting.append((loop, future))
            self._wake_waiting()  # room may have come before the writer could see this one wait
            await future

    def block(self, why: str) -> None:
        """Let nobody begin; "" lifts it."""
        if bool(why) != bool(self.blocked):
            self.blocked_since = now()
        self.blocked = why
        self._wake_waiting(all=bool(why))

    @property
    def oldest(self) -> float | None:
        """When the oldest group that nobody took was put, on the monotonic clock."""
        with self._lock:
            return self._groups[0][0] if self._groups else None

    def wait(self) -> None:
        """On the writer's thread: until there is something to take; after `finish`, not at all."""
        self._filled.wait()

    def nudge(self) -> None:
        """The writer shall not wait: something is for it elsewhere."""
        self._filled.set()

    def wait_for_any(self) -> None:
        """Until something is under way; after `finish`, not at all."""
        with self._lock:
            if self.rows == 0 and not self._finishing:
                self._any.clear()
        self._any.wait()

    def finish(self) -> None:
        """No more is coming: the writer shall not wait for it."""
        with self._lock:
            self._finishing = True
            self._filled.set()
            self._any.set()

    def take(self, rows: int, size: int) -> list[Record]:
        """The oldest groups, up to about these bounds and at least one; [] when there are none."""
        taken: list[Record] = []
        taken_size = 0
        with self._lock:
            while self._groups and (not taken or (len(taken) < rows and taken_size < size)):
                _, group = self._groups.popleft()
                taken += group
                taken_size += sum(map(weight, group))
            if not self._groups and not self._finishing:
                self._filled.clear()
        return taken

    def put_back(self, records: Sequence[Record], since: float) -> None:
        """These were taken, and are to be the first again: they were put at `since`."""
        with self._lock:
            self._groups.appendleft((since, tuple(records)))
            self._filled.set()

    def done(self, records: Sequence[Record]) -> None:
        """These were taken, and are now written or set aside."""
        size = sum(map(weight, records))
        with self._lock:
            self.rows -= len(records)
            self.size -= size
        self._wake_waiting()

    def close(self) -> None:
        """Nobody waits from now on, because nobody takes any more."""
        self._open = False
        self._wake_waiting()

    @property
    def is_full(self) -> bool:
        """Whether who begins has to wait, or is refused."""
        crowded = self.rows >= self._bounds[0] or self.size >= self._bounds[1]
        return self._open and (crowded or bool(self.blocked))

    def _wake_waiting(self, *, all: bool = False) -> None:
        """Those who wait look again, where they may now begin or, with `all`, are to be refused."""
        if not self._waiting or (self.is_full and not (all and self._refuse)):
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there
                loop.call_soon_threadsafe(_finish, future)


def weight(record: Record) -> int:
    """About how many bytes of memory the record takes."""
    match record:
        case Comm():
            return RECORD_BYTES + len(record.content or b"")
        case Decision():
            return RECORD_BYTES + len(record.given) + len(record.out)
        case FramesRow():
            return RECORD_BYTES + len(record.content)
        case _:
            return RECORD_BYTES


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
