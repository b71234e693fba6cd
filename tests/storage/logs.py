"""What tests of the log share: what it said, what is in its database, and databases that go away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from lockgate.records import Record
from lockgate.storage.address import parse
from lockgate.storage.log import SqlLog
from lockgate.storage.queries import Queries
from tests import postgres
from tests.storage.records import whole_exchange

ROOT = Path(__file__).parents[2]
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
FOLLOWING = (*postgres.SETTINGS, "wal_level=replica", "max_wal_senders=4")
REPLICATED = (*FOLLOWING, "synchronous_commit=on", "synchronous_standby_names=*")
"""A commit returns when a standby has it on its disk."""


def plan_of(url: str, query: Select[*tuple[Any, ...]]) -> list[str]:
    """The steps in which SQLite answers it."""
    statement = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with contextlib.closing(sqlite3.connect(parse(url).path)) as connection:
        return [str(step[3]) for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


class Said(logging.Handler):
    """What the log's logger said, and a way to wait for the next of it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, str]] = []
        self._condition = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._condition:
            self.messages.append((record.levelname, record.getMessage()))
            self._condition.notify_all()

    async def wait_for(self, word: str) -> str:
        return await asyncio.to_thread(self._wait_for, word)

    def _wait_for(self, word: str) -> str:
        with self._condition:
            assert self._condition.wait_for(lambda: any(word in text for _, text in self.messages), timeout=60)
            return next(text for _, text in self.messages if word in text)


class OwnServer:
    """A PostgreSQL that one test may stop and start again, with the same data."""

    def __init__(self, folder: Path) -> None:
        self.server = postgres.Postgres(folder=folder)
        self._binaries = postgres.binaries_for(folder)
        postgres.initialise(self._binaries, folder)

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        with postgres.serving(self._binaries, self.server.folder):
            yield self.server.url()
            self.server.execute("CHECKPOINT")  # its settings are those of a server whose data need not survive


class Pair:
    """A PostgreSQL, and a standby without which it acknowledges no commit."""

    def __init__(self, folder: Path) -> None:
        self._binaries = postgres.binaries_for(folder)
        self.first, self.standby = (postgres.Postgres(folder=folder / name) for name in ("first", "standby"))
        postgres.initialise(self._binaries, self.first.folder)

    @contextlib.contextmanager
    def running_first(self) -> Iterator[None]:
        """It is killed at once at the end."""
        with postgres.serving(self._binaries, self.first.folder, REPLICATED):
            yield

    @contextlib.contextmanager
    def running_standby(self) -> Iterator[None]:
        """It follows the first, which is running, and has all that was acknowledged there."""
        source = ("-h", self.first.folder, "-U", "postgres", "--checkpoint=fast", "--no-sync", "--write-recovery-conf")
        backup = postgres.as_user(self._binaries / "pg_basebackup", *source, "-D", self.standby.folder / "data")
        made = subprocess.run(backup, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        with postgres.serving(self._binaries, self.standby.folder, FOLLOWING):
            yield


@contextlib.asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Another process holds the lock of an SQLite database, or (PostgreSQL) of the table that all else points to."""
    if url.startswith("sqlite"):
        with contextlib.ExitStack() as stack:
            other = stack.enter_context(_locking(parse(url).path))
            yield
            assert other.poll() is None
    else:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("LOCK TABLE exchange IN ACCESS EXCLUSIVE MODE")
            yield
            await connection.rollback()


@contextlib.contextmanager
def _locking(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "locked\n"
        yield other
        other.stdin.close()


async def until(condition: Callable[[], Any]) -> None:
    """Returns when it holds; the test's own time limit bounds it. For what tells nobody when it happens."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def written(log: SqlLog) -> None:
    """Returns when everything put so far is in the database."""
    await until(lambda: not log.waiting_rows)


def spilled(folder: Path) -> int:
    """How many bytes wait on the disk."""
    return sum(path.stat().st_size for path in folder.glob("*/*.spill"))


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob("*/*"))


async def exchanges_go_on(log: SqlLog, rows: list[Record]) -> None:
    """Until the log lets nobody begin any more."""
    while True:
        await log.ready()
        records = whole_exchange()
        rows.append(records[0])
        log.put(records)
        await asyncio.sleep(0.01)


async def detail_of(url: str, id: str) -> Any:
    async with Queries(url) as queries:
        return await queries.exchange(id)


async def ids_in(url: str) -> list[str]:
    """The ids of all exchanges, oldest first."""
    async with Queries(url) as queries:
        return [row.id for row in reversed(await queries.exchanges(limit=100_000))]


async def remember(url: str, records: Sequence[Record]) -> None:
    """One run of a log that takes these."""
    log = SqlLog(url)
    log.start()
    log.put(records)
    assert await log.close(60) == []
