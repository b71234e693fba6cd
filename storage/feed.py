"""What the writer gets to write, in the order it was put: out of memory, or out of the spill once anything is there.

In normal operation a record is in the database within a tenth of a second and no file is touched. What waits longer in
memory, because the database is away, slow, full or locked, is put into a file by a thread of its own; from then on all
records take that way until the spill is empty. So a record is safe from the end of the process a third of a second
after it was put, or earlier, and no thread ever holds up the event loop. Another one waits for the disk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime

from lockgate.records import Record, now
from lockgate.storage.backlog import Backlog
from lockgate.storage.spill import Spill, sync

logger = logging.getLogger("lockgate.log")

BATCH_ROWS = 200
BATCH_BYTES = 2_000_000
GATHER_SECONDS = 0.05
"""A batch is gathered this long: a statement costs as much as thirty of its rows, and nobody reads sooner."""
BUSY_GATHER_SECONDS = 0.005
"""The same with a full batch waiting: a breath for the event loop, which needs the interpreter too."""
SPILL_SECONDS = 0.3
"""A record that waits longer in memory goes to the spill. It has to be safe within a second of being put."""
HELP_SECONDS = 0.6
"""What is in memory only for so long is put there by whoever comes with more: the spill's thread is starved."""
TICK_SECONDS = 0.05
HURRY = 2.0
"""On a machine that lets threads wait, records wait by so much less in memory as the spill's own thread came late."""
CALM = 0.9
"""Of the lateness seen, what still counts a tick later."""
SPILL_BATCH_ROWS = 500
SPILL_BATCH_BYTES = 4_000_000
RETRY_SECONDS = 1.0
STUCK_SECONDS = 2.0
"""How long the end waits for a disk that does not answer."""


class Feed:
    """Hands out batches on the writer's thread, and keeps on the disk what waits too long for it."""

    def __init__(self, backlog: Backlog, spill: Spill | None) -> None:
        self._backlog, self._spill = backlog, spill
        self._lock = threading.Lock()
        """Held while records move to the spill, so that none of them is overtaken."""
        self.behind_since: datetime | None = None
        """Since when records take the way over the spill; None while they take the short one."""
        self._hand: list[Record] = []
        """What the writer got out of memory and has not written yet."""
        self._hand_since = 0.0
        self._hand_end: int | None = None
        """Where in the spill the hand ends, once it is there too."""
        self._unsafe = ""
        """Why the spill takes nothing now."""
        self._held: tuple[Record, ...] = ()
        self._unread = False
        """At the end, what waits in the spill could not be read: what came behind it must not overtake it."""
        self._closing = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lockgate-spill", daemon=True)
        self._moved = threading.Event()
        self._syncing = threading.Thread(target=self._sync, name="lockgate-sync", daemon=True)

    @property
    def rows(self) -> int:
        """How many records are not in the database."""
        return self._backlog.rows + (self._spill.rows if self._spill else 0)

    @property
    def catching_up(self) -> bool:
        """Whether older records than those in memory are still to be written."""
        return self._spilling

    @property
    def _spilling(self) -> bool:
        return self.behind_since is not None

    @_spilling.setter
    def _spilling(self, spilling: bool) -> None:
        self.behind_since = (self.behind_since or now()) if spilling else None

    def start(self) -> None:
        """Take over what an earlier run left, and watch over what waits. Raises OSError."""
        if self._spill:
            self._spill.open()
            self._spilling = self._spill.unread
            self._thread.start()
            self._syncing.start()

    @property
    def _unsafe_since(self) -> float | None:
        """When the oldest record was put that is in memory only."""
        return self._hand_since if self._hand and self._hand_end is None else self._backlog.oldest

    # On the writer's thread.

    def next(self) -> list[Record]:
        """The next batch, gathered for a moment; [] when the log is closing and all is written."""
        while True:
            if self._spilling and (batch := self._from_spill()):
                return batch
            if not self._spilling and (batch := self._from_memory()):
                return batch
            if self._unread or (self._closing.is_set() and not self._left()):
                return []

    def done(self) -> None:
        """What `next` gave last is in the database, or will never be."""
        with self._lock:
            if not self._hand:
                assert self._spill
                self._spill.advance()
                return
            if self._spill and self._hand_end is not None:
                self._spill.skip(self._hand_end, len(self._hand))
            else:
                self._backlog.done(self._hand)
            self._hand, self._hand_end = [], None

    def hold(self, records: Sequence[Record]) -> None:
        """Keep these beside the rest: they came before what they point to, and the writer has them for now."""
        if self._spill and tuple(records) != self._held:
            with self._lock:
                try:
                    self._spill.hold(records)
                    self._held = tuple(records)
                except Exception as error:
                    self._say_unsafe(error)

    def _from_memory(self) -> list[Record]:
        backlog = self._backlog
        backlog.wait()
        self._closing.wait(BUSY_GATHER_SECONDS if backlog.rows >= BATCH_ROWS else GATHER_SECONDS)
        with self._lock:
            if self._spilling:
                return []
            self._hand_since = backlog.oldest or 0.0
            self._hand = backlog.take(BATCH_ROWS, BATCH_BYTES)
            return list(self._hand)

    def _from_spill(self) -> list[Record]:
        """[] where nothing is left there, so that records take the short way again, or where it cannot be read now."""
        assert self._spill
        self._closing.wait(BUSY_GATHER_SECONDS)
        try:
            while self._spill.unread:
                if batch := self._spill.read(SPILL_BATCH_ROWS, SPILL_BATCH_BYTES):
                    return batch
                with self._lock:
                    self._spill.advance()
            with self._lock:
                if not self._spill.unread:
                    self._spill.clear()
                    self._spilling = False
        except OSError as error:
            logger.error("the log cannot read what waits in %s: %s", self._spill.folder, error.strerror)
            self._closing.wait(RETRY_SECONDS)
            self._unread = self._closing.is_set()
        return []

    def _left(self) -> bool:
        with self._lock:  # not while records are between here and there
            return self._spilling or self._backlog.oldest is not None

    # On the event loop.

    def help(self) -> None:
        """Do the keeper's work where it comes too late, and does not do it at this very moment."""
        since = self._unsafe_since
        if self._spill is None or since is None or time.monotonic() - since < HELP_SECONDS:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._save(HELP_SECONDS)
            finally:
                self._lock.release()

    # On the keeper's thread.

    def _keep(self) -> None:
        late = 0.0
        while not self._stopped.is_set():
            if not (self._spilling or self._backlog.blocked):
                self._backlog.wait_for_any()
            began = time.monotonic()
            self._stopped.wait(TICK_SECONDS)
            with self._lock:
                late = max(CALM * late, time.monotonic() - began - TICK_SECONDS)
                self._save(SPILL_SECONDS - HURRY * late)

    def _save(self, seconds: float) -> None:
        """Move to the disk what has waited longer than this, and all that came behind it."""
        assert self._spill
        since = self._unsafe_since
        try:
            if since is not None and (self._spilling or time.monotonic() - since >= seconds):
                self._move()
            full = self._spill.full() if self._spilling else ""
        except Exception as error:  # a full disk, mostly; whatever it is, this thread goes on
            self._say_unsafe(error)
        else:
            self._unsafe = ""
            self._backlog.block(full)

    def _move(self) -> None:
        assert self._spill
        self._moved.set()
        if self._hand and self._hand_end is None:
            self._hand_end = self._spill.append(self._hand)
            self._spilling = True
            self._backlog.done(self._hand)
        while (since := self._backlog.oldest) is not None:
            records = self._backlog.take(BATCH_ROWS, BATCH_BYTES)
            try:
                self._spill.append(records)
            except BaseException:
                self._backlog.put_back(records, since)
                raise
            self._spilling = True
            self._backlog.done(records)
        self._backlog.nudge()

    def _sync(self) -> None:
        """On a thread of its own: a disk may take seconds, and what was written meanwhile outlives this process."""
        assert self._spill
        while not self._stopped.is_set():
            self._moved.wait()
            self._moved.clear()
            with self._lock:
                handles = self._spill.unsynced()
            self._sync_these(handles)

    def _sync_these(self, handles: Sequence[int]) -> None:
        assert self._spill
        try:
            sync(handles)
        except OSError as error:
            logger.error("what waits in %s may not survive a power cut: %s", self._spill.folder, error.strerror)
            self._stopped.wait(RETRY_SECONDS)

    def _say_unsafe(self, error: Exception) -> None:
        assert self._spill
        cause = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        why = f"neither the database nor {self._spill.folder} can be written to: {cause}"
        if not self._unsafe:
            logger.error("%s; records wait in memory, and are lost if Lockgate ends before one of them is back", why)
        self._unsafe = why
        self._backlog.block(why)

    # At the end.

    def finish(self) -> None:
        """No more is coming: the writer shall not wait for it."""
        self._closing.set()
        self._backlog.finish()

    def close(self) -> list[Record]:
        """After the writer: put on the disk what it left. Gives what could not even be put there."""
        self._stopped.set()
        self._moved.set()
        self._backlog.finish()
        if self._thread.is_alive():
            self._thread.join(STUCK_SECONDS)
        if self._spill and self._lock.acquire(timeout=STUCK_SECONDS):
            try:
                self._save(0.0)
                self._spill.close()
                last = threading.Thread(target=self._sync_these, args=(self._spill.unsynced(),), daemon=True)
                last.start()
                last.join(STUCK_SECONDS)
            finally:
                self._lock.release()
        left = [] if self._hand_end is not None else self._hand
        return [*left, *self._backlog.take(2**62, 2**62)]
