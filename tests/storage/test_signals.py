"""A change in one process is heard of in another, whatever happens to the connection between them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from sqlalchemy import text

from lockgate.errors import Error
from lockgate.storage import schema, signals
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.signals import Signals, tell
from tests.storage.logs import OwnServer, Said, until

TELL = """
import sys
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.signals import tell
from sqlalchemy import text
engine = writer_engine(parse(sys.argv[1]))
for channel in sys.stdin:
    with engine.begin() as connection:
        connection.execute(text("UPDATE lockgate_version SET version_num = version_num"))
        tell(connection, channel.strip())
    print("told", flush=True)
"""


class Heard:
    """Counts what a watch was told."""

    def __init__(self) -> None:
        self.times = 0
        self._more = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._more:
            self.times += 1
            self._more.notify_all()

    async def more_than(self, times: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: self.times > times)


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Signals]:
    each = Signals(url)
    each.start()
    yield each
    await each.close()


def change(url: str, channel: str, *, commit: bool = True) -> None:
    """As another process would: over a connection of its own."""
    engine = writer_engine(parse(url))
    with engine.connect() as connection:
        connection.execute(text("UPDATE lockgate_version SET version_num = version_num"))
        tell(connection, channel)
        connection.commit() if commit else connection.rollback()
    engine.dispose()


@contextlib.contextmanager
def another_process(url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", TELL, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        yield other
        assert other.stdin
        other.stdin.close()


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    logger = logging.getLogger("lockgate.signals")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def test_a_change_of_another_process_is_heard_of(database_url: str) -> None:
    schema.upgrade(database_url)
    heard = Heard()
    async with listening(database_url) as each:
        each.watch("approval", heard)
        await heard.more_than(0)
        with another_process(database_url) as other:
            for _ in range(3):
                before = heard.times
                assert other.stdin
                assert other.stdout
                other.stdin.write("approval\n")
                other.stdin.flush()
                await heard.more_than(before)
                assert await asyncio.to_thread(other.stdout.readline) == "told\n"


async def test_who_watches_is_told_at_first(database_url: str) -> None:
    """What was changed before anyone listened is not missed."""
    schema.upgrade(database_url)
    first, second = Heard(), Heard()
    each = Signals(database_url)
    each.watch("approval", first)
    each.watch("kill", second)
    each.start()
    await first.more_than(0)
    await second.more_than(0)
    await each.close()


@pytest.mark.postgres
async def test_only_who_watches_the_channel_is_told(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    approvals, kills = Heard(), Heard()
    async with listening(postgres_url) as each:
        each.watch("approval", approvals)
        each.watch("kill", kills)
        await approvals.more_than(0)
        await kills.more_than(0)
        change(postgres_url, "token")
        change(postgres_url, "approval")
        await approvals.more_than(1)
        assert (approvals.times, kills.times) == (2, 1)


@pytest.mark.postgres
async def test_what_is_rolled_back_is_not_told(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    heard, others = Heard(), Heard()
    async with listening(postgres_url) as each:
        each.watch("approval", heard)
        each.watch("kill", others)
        await heard.more_than(0)
        await others.more_than(0)
        change(postgres_url, "approval", commit=False)
        change(postgres_url, "kill")
        await others.more_than(1)
        assert heard.times == 1


@pytest.mark.postgres
async def test_a_server_that_is_started_again_and_what_was_changed_meanwhile(own_server: OwnServer, said: Said) -> None:
    heard = Heard()
    with own_server.running() as url:
        schema.upgrade(url)
        each = Signals(url)
        each.watch("approval", heard)
        each.start()
        await heard.more_than(0)
    assert "not heard of" in await said.wait_for("not heard of")
    before = heard.times
    with own_server.running() as url:
        await heard.more_than(before)  # without any change: it might have been missed
        await said.wait_for("are heard of again")
        before = heard.times
        change(url, "approval")
        await heard.more_than(before)
        await each.close()


@pytest.mark.postgres
async def test_a_connection_that_is_ended_by_the_server(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    heard = Heard()
    async with listening(postgres_url) as each:
        each.watch("approval", heard)
        await heard.more_than(0)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await heard.more_than(1)


@pytest.mark.postgres
async def test_a_server_that_hangs_without_a_word(
    postgres_url: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "BEAT_SECONDS", 0.05)
    schema.upgrade(postgres_url)
    heard = Heard()
    async with listening(postgres_url) as each:
        each.watch("approval", heard)
        await heard.more_than(0)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            [(backend,)] = other.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        os.kill(backend, signal.SIGSTOP)
        try:
            await said.wait_for("not heard of")
            await heard.more_than(1)
        finally:
            os.kill(backend, signal.SIGCONT)


@pytest.mark.postgres
async def test_a_server_that_is_read_only_is_left(
    own_server: OwnServer, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "BEAT_SECONDS", 0.05)
    with own_server.running() as url:
        schema.upgrade(url)
        heard = Heard()
        async with listening(url) as each:
            each.watch("approval", heard)
            await heard.more_than(0)
            own_server.server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            own_server.server.execute("SELECT pg_reload_conf()")
            assert "read-only" in await said.wait_for("not heard of")


async def test_a_file_that_comes_later(sqlite_url: str, said: Said) -> None:
    heard = Heard()
    async with listening(sqlite_url) as each:
        each.watch("approval", heard)
        await said.wait_for("not heard of")
        schema.upgrade(sqlite_url)
        await heard.more_than(0)


async def test_a_file_is_looked_at_only_while_someone_watches(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "POLL_SECONDS", 0.001)
    schema.upgrade(sqlite_url)
    looks, heard = 0, Heard()
    look = signals._data_version

    def counted(connection: sqlite3.Connection) -> int:
        nonlocal looks
        looks += 1
        return look(connection)

    monkeypatch.setattr(signals, "_data_version", counted)
    async with listening(sqlite_url) as each:
        stop = each.watch("approval", heard)
        await heard.more_than(0)
        await until(lambda: looks > 3)
        stop()
        await until(lambda: _waits(each))
        before = looks
        change(sqlite_url, "approval")
        each.watch("approval", heard)
        await heard.more_than(1)
        assert looks > before


async def test_what_the_log_writes_is_no_change(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "POLL_SECONDS", 0.001)
    schema.upgrade(sqlite_url)
    heard, versions = Heard(), set[int]()
    look = signals._data_version

    def seen(connection: sqlite3.Connection) -> int:
        versions.add(found := look(connection))
        return found

    monkeypatch.setattr(signals, "_data_version", seen)
    async with listening(sqlite_url) as each:
        each.watch("access", heard)
        await heard.more_than(0)
        with contextlib.closing(sqlite3.connect(parse(sqlite_url).path)) as other:
            for count in range(1, 4):
                other.execute("UPDATE lockgate_version SET version_num = version_num")
                other.commit()
                await until(lambda count=count: len(versions) > count)
        assert heard.times == 1
        change(sqlite_url, "access", commit=False)
        change(sqlite_url, "access")
        await heard.more_than(1)
        assert heard.times == 2


def _waits(each: Signals) -> bool:
    return bool(each._wanted._waiters)


async def test_changes_that_come_while_one_is_looked_at_make_one_further_call(sqlite_url: str) -> None:
    begun, may_end, times = asyncio.Semaphore(0), asyncio.Event(), 0

    async def slow() -> None:
        nonlocal times
        times += 1
        begun.release()
        await may_end.wait()

    schema.upgrade(sqlite_url)
    async with listening(sqlite_url) as each:
        each.watch("approval", slow)
        await begun.acquire()
        for _ in range(5):
            each._tell()
        may_end.set()
        await begun.acquire()
        assert times == 2


async def test_who_fails_is_asked_again_and_stops_nobody(
    sqlite_url: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "LAST_RETRY_SECONDS", 0.001)
    outcomes = iter((Error("the table is away"), Error("the table is away"), None))
    done, heard = asyncio.Event(), Heard()

    def fails() -> None:
        if outcome := next(outcomes):
            raise outcome
        done.set()

    schema.upgrade(sqlite_url)
    async with listening(sqlite_url) as each:
        each.watch("kill", fails)
        each.watch("approval", heard)
        await done.wait()
        await heard.more_than(0)
    told = [message for _, message in said.messages]
    assert told == ["what changed in 'kill' cannot be read: the table is away; trying again"]


async def test_a_watch_can_stop_itself(sqlite_url: str) -> None:
    schema.upgrade(sqlite_url)
    heard = Heard()
    async with listening(sqlite_url) as each:
        times = 0

        def once() -> None:
            nonlocal times
            times += 1
            stop()

        stop = each.watch("approval", once)
        each.watch("approval", heard)
        await heard.more_than(0)
        change(sqlite_url, "approval")
        await heard.more_than(1)
        assert times == 1


async def test_nothing_is_told_after_the_end(database_url: str) -> None:
    schema.upgrade(database_url)
    heard = Heard()
    each = Signals(database_url)
    each.watch("approval", heard)
    each.start()
    await heard.more_than(0)
    await each.close()
    change(database_url, "approval")
    each._tell()
    assert heard.times == 1
    await each.close()
