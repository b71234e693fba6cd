"""Records on their way from the event loop to the writer's thread: in order, and what one `put` gave together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence

from lockgate.exchange import Comm, Decision, Record

type Group = tuple[Record, ...]

RECORD_BYTES = 500
"""About what a record weighs beside its bodies."""


class Backlog:
    """Takes everything at once, and makes who asks `ready` wait while more than its bounds is under way.

    A record counts from `put` until `done`, so what the writer holds in its hands is under way too.
    """

    def __init__(self, *, rows: int, size: int) -> None:
        self._bounds = (rows, size)
        self._groups: deque[Group] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Event()
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
            self._groups.append(tuple(records))
            self.rows += len(records)
            self.size += size
        if not self._filled.is_set():
            self._filled.set()

    async def ready(self) -> None:
        """Returns when there is room, or when the backlog was closed."""
        while self._full():
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            with self._lock:
                self._waiting.append((loop, future))
            self._wake_waiting()  # room may have come before the writer could see this one wait
            await future

    def wait(self) -> None:
        """On the writer's thread: until there is something to take; after `finish`, not at all."""
        self._filled.wait()

    def finish(self) -> None:
        """No more is coming: the writer shall not wait for it."""
        with self._lock:
            self._finishing = True
            self._filled.set()

    def take(self, rows: int, size: int) -> list[Record]:
        """The oldest groups, up to about these bounds and at least one; [] when there are none."""
        taken: list[Record] = []
        taken_size = 0
        with self._lock:
            while self._groups and (not taken or (len(taken) < rows and taken_size < size)):
                group = self._groups.popleft()
                taken += group
                taken_size += sum(map(weight, group))
            if not self._groups and not self._finishing:
                self._filled.clear()
        return taken

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

    def _full(self) -> bool:
        return self._open and (self.rows >= self._bounds[0] or self.size >= self._bounds[1])

    def _wake_waiting(self) -> None:
        if self._full() or not self._waiting:
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
        case _:
            return RECORD_BYTES


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
