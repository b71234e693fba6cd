"""The log that exchanges write to: it takes records at once and writes them on a thread of its own.

The event loop only ever appends to a backlog. SQLAlchemy is imported on the thread, beside what the proxy starts with.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lockgate.errors import StorageError, told
from lockgate.records import ExchangeRow, Record, now
from lockgate.storage.address import Address, parse
from lockgate.storage.backlog import Backlog
from lockgate.storage.early import Early
from lockgate.storage.feed import Feed
from lockgate.storage.schema import require_current, upgrade
from lockgate.storage.seals import Signer
from lockgate.storage.spill import Spill
from lockgate.storage.unfinished import Presence, end_before, present

if TYPE_CHECKING:
    from lockgate.storage.writer import Writer

logger = logging.getLogger("lockgate.log")

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0
EARLY_ROWS = 1_000
ASIDE_ROWS = 10_000
"""How many records that could not be written are kept to be given back by `close`."""
SWITCH_SECONDS = 0.001
"""How long the writer's thread keeps the interpreter while the event loop wants it; Python's own is 0.005."""
STUCK_SECONDS = 2.0
"""How long `close` waits for a writer that was told to give up and may sit in a dead connection."""


class Away(NamedTuple):
    """Since when, and why."""

    since: datetime
    cause: str


class SqlLog:
    """Implements `lockgate.ports.CommLog` on SQLite and PostgreSQL.

    `put` expects what is pointed to before what points there (exchange, comm, relation or decision); what comes too
    early waits for it. While the database is away, slow, locked or full, everything waits and is tried again: on the
    disk, in the folder `spill`, else in memory. A second after its `put`, a record survives `kill -9` of the process.
    """

    away: Away | None = None
    """Since when, and why, the database cannot be written to; None while it can."""
    stopped: Away | None = None
    """Since when, and why, nothing will ever be written again; None while something may."""
    lost_rows = 0
    """Records that no database will ever have."""
    _presence: Presence | None = None
    _failure: Exception | None = None
    _closed = False

    def __init__(
        self,
        url: str,
        *,
        queue_rows: int = 10_000,
        queue_bytes: int = 256 * 2**20,
        prices: Path | None = None,
        spill: Path | None = None,
        spill_bytes: int = 2**30,
        spill_free_bytes: int = 0,
        refuse: bool = False,
        signer: Signer | None = None,
        written: Callable[[ExchangeRow, str], None] | None = None,
    ) -> None:
        """Touches nothing yet. Raises ConfigError for a URL that is neither SQLite's nor PostgreSQL's.

        `prices` is a file that goes before the built-in ones. In `spill`, each database has a folder of its own;
        `spill_bytes` and `spill_free_bytes` (left on the disk) bound what it lets new exchanges bring, and `refuse`
        makes `ready` raise where it would wait for that. `signer` signs the seals. `written` is told, on the log's
        thread, of each exchange with a model once its end is in the database, and what the price list calls the model.
        """
        self._url = url
        self._address = parse(url)
        self._prices, self._signer, self._tell = prices, signer, written
        self._backlog = Backlog(rows=queue_rows, size=queue_bytes, refuse=refuse)
        self._spill = spill and Spill(
            spill_folder(spill, self._address), limit_bytes=spill_bytes, free_bytes=spill_free_bytes
        )
        self._feed = Feed(self._backlog, self._spill)
        self._early = Early(EARLY_ROWS)
        self._early_in_hand: list[Record] = []
        self._aside: deque[Record] = deque(maxlen=ASIDE_ROWS)
        self._closing = threading.Event()
        self._give_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockgate-log", daemon=True)

    def start(self) -> None:
        """Check the database, bring an SQLite file up to date, and start the writer.

        Raises StorageError when the database cannot be opened, is not ours, or (PostgreSQL) is behind: there an
        upgrade is the administrator's, since other proxies may be using it.
        """
        if self._address.kind == "sqlite":
            upgrade(self._url)
            self._presence = present(self._address.path)
        else:
            require_current(self._address)
        try:
            self._feed.start()
        except OSError as error:
            raise StorageError(
                f"what waits for the database cannot be kept in {error.filename}: {error.strerror}; make that folder"
                " one that Lockgate can write to, or choose another `home`"
            ) from error
        sys.setswitchinterval(SWITCH_SECONDS)  # of the whole process
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """How many records are not in the database yet; what an earlier run left counts 1 for each file."""
        return self._feed.rows

    @property
    def backlog(self) -> Backlog:
        """For who looks at how it is."""
        return self._backlog

    @property
    def spill(self) -> Spill | None:
        """The same."""
        return self._spill

    @property
    def behind_since(self) -> datetime | None:
        """Since when records wait on the disk; None where none do."""
        return self._feed.behind_since

    async def ready(self) -> None:
        """Wait while too much is under way. Raises StorageError when nothing will ever be written again.

        Raises it also instead of waiting for a full spill, where the log was made so.
        """
        await self._backlog.ready()
        if self._failure is not None:
            raise StorageError(f"the log has stopped: {self._failure}; restart Lockgate") from self._failure

    def put(self, records: Sequence[Record]) -> None:
        """Take the records, in microseconds; they are written together and in order."""
        if self._closed:
            self._set_aside(records, "the log was closed before they came")
        else:
            self._backlog.put(records)
            self._feed.help()

    async def close(self, drain_seconds: float = 10.0) -> list[Record]:
        """Write what is left, then stop; what cannot be written in time waits in the spill for the next start.

        Gives the records that are lost: those that no database takes, and those that could not even be spilled.
        """
        self._closing.set()
        self._feed.finish()
        await self._join(drain_seconds)
        if self._thread.is_alive():
            self._give_up.set()
            await self._join(STUCK_SECONDS)
        self._closed = True
        if self._presence and not self._thread.is_alive():
            self._presence.leave()
        self._backlog.close()
        left = await asyncio.to_thread(self._feed.close)
        if self._spill is None:  # else they are there
            left += [*self._early_in_hand, *self._early.take_all()]
            self._early_in_hand = []
        if left:
            self._set_aside(left, f"there was no writing them within {drain_seconds:g} seconds")
        return list(self._aside)

    async def _join(self, seconds: float) -> None:
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)

    def _set_aside(self, records: Sequence[Record], why: str) -> None:
        """What could not be written comes here, and only here."""
        self._aside.extend(records)
        self.lost_rows += len(records)
        first = records[0]
        logger.error(
            "the log lost %d record(s), beginning with %s %s: %s",
            *(len(records), type(first).__name__, first.id, self._address.clean(why)),
        )

    # From here on: the writer's thread.

    def _run(self) -> None:
        try:
            from lockgate.storage.writer import Writer

            with Writer(self._address, self._prices, self._signer) as writer:
                self._write_all(writer)
        except Exception as error:
            logger.exception("the log has stopped; no new exchange is let in")
            self._failure = error
            self.stopped = Away(now(), self._address.clean(told(error)))
            self._backlog.close()

    def _write_all(self, writer: Writer) -> None:
        """Until the log is closing and nothing is left, or it was told to give up: then what is in hand stays there."""
        self._end_open(writer)
        while batch := self._feed.next():
            joined = self._early.joined(batch)
            self._early_in_hand = joined[len(batch) :]
            self._store(writer, joined)
            if self._give_up.is_set():
                return
            self._early_in_hand = []
            self._feed.hold(self._early.records)
            self._feed.done()
            self._end_open(writer)
        self._early_in_hand = self._early.take_all()
        self._store(writer, self._early_in_hand, last=True)
        if not self._give_up.is_set():
            self._early_in_hand = []
            self._feed.hold(())

    def _end_open(self, writer: Writer) -> None:
        """Exchanges that a writer left open which was killed, once all is written that it left behind."""
        if self._presence is None or not self._presence.alone or self._feed.catching_up:
            return
        self._presence.alone = False
        try:
            end_before(writer, self._presence)
        except Exception as error:  # they stay open until a start that can
            logger.warning("the log cannot end what was left open: %s", self._address.clean(_cause(error)))

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
                ended = writer.write(records)
            except Exception as error:
                if not is_outage(error):
                    raise
                self._say_away(error)
            else:
                self._say_back()
                self._tell_of(writer, ended)
                return
            self._give_up.wait(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    def _tell_of(self, writer: Writer, ended: Sequence[ExchangeRow]) -> None:
        if self._tell is None:
            return
        try:
            for row in ended:
                if row.kind == "model":
                    self._tell(row, writer.priced_as(row))
        except Exception as error:  # the records are written all the same
            logger.error("the log could not tell of what it has written: %s", told(error))

    def _hold(self, record: Record) -> None:
        if (oldest := self._early.hold(record)) is not None:
            self._set_aside([oldest], "what it points to never came")

    def _say_away(self, error: Exception) -> None:
        if self.away is None:
            self.away = Away(now(), self._address.clean(_cause(error)))
            logger.warning(
                "the log cannot write to %s: %s; records wait in %s, and new exchanges once it is full",
                *(self._address.shown, self.away.cause, self._spill.folder if self._spill else "memory"),
            )

    def _say_back(self) -> None:
        if self.away is not None:
            seconds = (now() - self.away.since).total_seconds()
            self.away = None
            logger.warning("the log writes to %s again, after %.1f seconds", self._address.shown, seconds)


def _cause(error: Exception) -> str:
    """The driver's words without SQLAlchemy's, which repeat the statement and what it was to write."""
    return str(getattr(error, "orig", None) or error)


def spill_folder(spill: Path, address: Address) -> Path:
    """The folder for this database, whatever its password is today."""
    place = str(address.path.absolute()) if address.kind == "sqlite" else address.shown
    return spill / f"{address.kind}-{blake2b(place.encode(), digest_size=6).hexdigest()}"
