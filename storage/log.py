"""The log that exchanges write to: it takes records at once and writes them on a thread of its own.

The event loop only ever appends to a backlog. SQLAlchemy is imported on the thread, beside what the proxy starts with.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lockgate.errors import StorageError
from lockgate.exchange import Record
from lockgate.storage.address import parse
from lockgate.storage.backlog import Backlog
from lockgate.storage.early import Early
from lockgate.storage.schema import require_current, upgrade

if TYPE_CHECKING:
    from lockgate.storage.writer import Writer

logger = logging.getLogger("lockgate.log")

BATCH_ROWS = 200
BATCH_BYTES = 2_000_000
GATHER_SECONDS = 0.05
"""A batch is gathered this long: a statement costs as much as thirty of its rows, and nobody reads sooner."""
BUSY_GATHER_SECONDS = 0.005
"""The same with a full batch waiting: a breath for the event loop, which needs the interpreter too."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0
EARLY_ROWS = 1_000
ASIDE_ROWS = 10_000
"""How many records that could not be written are kept to be given back by `close`."""
STUCK_SECONDS = 2.0
"""How long `close` waits for a writer that was told to give up and may sit in a dead connection."""


class SqlLog:
    """Implements `lockgate.exchange.CommLog` on SQLite and PostgreSQL.

    `put` expects what is pointed to before what points there (exchange, comm, relation or decision); what comes too
    early waits in memory. While the database is away, locked or full, everything waits and is tried again.
    """

    def __init__(self, url: str, *, queue_rows: int = 10_000, queue_bytes: int = 256 * 2**20) -> None:
        """Touches nothing yet. Raises ConfigError for a URL that is neither SQLite's nor PostgreSQL's."""
        self._url = url
        self._address = parse(url)
        self._backlog = Backlog(rows=queue_rows, size=queue_bytes)
        self._early = Early(EARLY_ROWS)
        self._in_hand: list[Record] = []
        self._aside: deque[Record] = deque(maxlen=ASIDE_ROWS)
        self._closing = threading.Event()
        self._give_up = threading.Event()
        self._away_since: float | None = None
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="lockgate-log", daemon=True)

    def start(self) -> None:
        """Check the database, bring an SQLite file up to date, and start the writer.

        Raises StorageError when the database cannot be opened, is not ours, or (PostgreSQL) is behind: there an
        upgrade is the administrator's, since other proxies may be using it.
        """
        if self._address.kind == "sqlite":
            upgrade(self._url)
        else:
            require_current(self._address)
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """How many records are not written yet."""
        return self._backlog.rows

    async def ready(self) -> None:
        """Wait while too much is under way. Raises StorageError when nothing will ever be written again."""
        await self._backlog.ready()
        if self._failure is not None:
            raise StorageError(f"the log has stopped: {self._failure}; restart Lockgate") from self._failure

    def put(self, records: Sequence[Record]) -> None:
        """Take the records, in microseconds; they are written together and in order."""
        if self._closed:
            self._set_aside(records, "the log was closed before they came")
        else:
            self._backlog.put(records)

    async def close(self, drain_seconds: float = 30.0) -> list[Record]:
        """Write what is left, then stop. Gives the records that could not be written; they are lost."""
        self._closing.set()
        self._backlog.finish()
        await self._join(drain_seconds)
        if self._thread.is_alive():
            self._give_up.set()
            await self._join(STUCK_SECONDS)
        self._closed = True
        self._backlog.close()
        left = [*self._in_hand, *self._early.take_all(), *self._backlog.take(2**62, 2**62)]
        self._in_hand = []
        if left:
            self._set_aside(left, f"there was no writing them within {drain_seconds:g} seconds")
        return list(self._aside)

    async def _join(self, seconds: float) -> None:
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)

    def _set_aside(self, records: Sequence[Record], why: str) -> None:
        """What could not be written comes here, and only here."""
        self._aside.extend(records)
        first = records[0]
        logger.error(
            "the log lost %d record(s), beginning with %s %s: %s",
            *(len(records), type(first).__name__, first.id, self._address.clean(why)),
        )

    # From here on: the writer's thread.

    def _run(self) -> None:
        try:
            from lockgate.storage.writer import Writer

            with Writer(self._address) as writer:
                self._write_all(writer)
        except Exception as error:
            logger.exception("the log has stopped; no new exchange is let in")
            self._failure = error
            self._backlog.close()

    def _write_all(self, writer: Writer) -> None:
        """Until the log is closing and nothing is left, or it was told to give up: then what is in hand stays there."""
        while batch := self._next():
            self._in_hand = self._early.joined(batch)
            self._store(writer, self._in_hand)
            if self._give_up.is_set():
                return
            self._in_hand = []
            self._backlog.done(batch)
        self._in_hand = self._early.take_all()
        self._store(writer, self._in_hand, last=True)
        if not self._give_up.is_set():
            self._in_hand = []

    def _next(self) -> list[Record]:
        """The next batch, gathered for a moment; [] when the log is closing and all is written."""
        while True:
            self._backlog.wait()
            full = self._backlog.rows >= BATCH_ROWS
            self._closing.wait(BUSY_GATHER_SECONDS if full else GATHER_SECONDS)
            batch = self._backlog.take(BATCH_ROWS, BATCH_BYTES)
            if batch or self._closing.is_set():
                return batch

    def _store(self, writer: Writer, records: Sequence[Record], *, last: bool = False) -> None:
        """Write the batch; where one record is at fault, the others are written without it."""
        from lockgate.storage.writer import is_early

        try:
            self._persist(writer, records)
        except Exception as error:
            if len(records) > 1:
                for record in records:
                    self._store(writer, [record], last=last)
            elif is_early(error) and not last:
                self._hold(records[0])
            else:
                self._set_aside(records, _cause(error))

    def _persist(self, writer: Writer, records: Sequence[Record]) -> None:
        """Write, and try again for as long as the database is at fault. Raises when a record is."""
        from lockgate.storage.writer import is_outage

        pause = FIRST_RETRY_SECONDS
        while records and not self._give_up.is_set():
            try:
                writer.write(records)
            except Exception as error:
                if not is_outage(error):
                    raise
                self._say_away(error)
            else:
                self._say_back()
                return
            self._give_up.wait(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    def _hold(self, record: Record) -> None:
        if (oldest := self._early.hold(record)) is not None:
            self._set_aside([oldest], "what it points to never came")

    def _say_away(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            cause = self._address.clean(_cause(error))
            logger.warning(
                "the log cannot write to %s: %s; records wait in memory, and new exchanges once it is full",
                *(self._address.shown, cause),
            )

    def _say_back(self) -> None:
        if self._away_since is not None:
            seconds = time.monotonic() - self._away_since
            self._away_since = None
            logger.warning("the log writes to %s again, after %.1f seconds", self._address.shown, seconds)


def _cause(error: Exception) -> str:
    """The driver's words without SQLAlchemy's, which repeat the statement and what it was to write."""
    return str(getattr(error, "orig", None) or error)
