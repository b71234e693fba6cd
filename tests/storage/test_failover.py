"""What was put is in PostgreSQL in the end, whichever server is stopped, hangs, is made read-only or takes over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from lockgate.errors import StorageError
from lockgate.records import Record
from lockgate.storage.log import SqlLog
from lockgate.storage.queries import Queries
from lockgate.storage.verify import verify
from tests import postgres
from tests.storage.logs import OwnServer, Pair, Said, exchanges_go_on, ids_in, left_in, spilled, until, written
from tests.storage.records import exchange_row

pytestmark = pytest.mark.postgres
WRITABLE = "target_session_attrs=read-write"
"""Makes libpq look for the one of several servers that can be written to."""


def make_read_only(server: postgres.Postgres, value: str) -> None:
    server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.execute("SELECT pg_reload_conf()")


async def all_is_there(url: str, log: SqlLog, rows: list[Record], flowing: asyncio.Future[None], spill: Path) -> None:
    """Every exchange is in the database, in order and sealed, and nothing anywhere else."""
    flowing.cancel()
    assert await log.close() == []
    assert await ids_in(url) == [row.id for row in rows]
    assert (await asyncio.to_thread(verify, url)).findings == ()
    assert left_in(spill) == []


async def test_a_server_that_is_stopped_and_started_in_mid_flow(
    own_server: OwnServer, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    with own_server.running() as url:
        log, rows = start(url, spill=tmp_path), list[Record]()
        flowing = asyncio.ensure_future(exchanges_go_on(log, rows))
        await until(lambda: len(rows) > 100)
    await until(lambda: spilled(tmp_path) > 20_000)
    with own_server.running():
        await said.wait_for("writes to")
        await all_is_there(url, log, rows, flowing, tmp_path)


async def test_a_standby_takes_over_from_a_server_that_is_killed(
    pair: Pair, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    url = f"postgresql://postgres@/postgres?host={pair.first.folder},{pair.standby.folder}&{WRITABLE}"
    async with contextlib.AsyncExitStack() as stack:
        with pair.running_first():
            stack.enter_context(pair.running_standby())
            log, rows = start(url, spill=tmp_path), list[Record]()
            flowing = asyncio.ensure_future(exchanges_go_on(log, rows))
            reader = await stack.enter_async_context(Queries(url))
            await until(lambda: len(rows) > 100)
            assert await reader.exchanges(limit=1)
        await until(lambda: spilled(tmp_path) > 20_000)  # the standby is up, and takes nothing
        with pytest.raises(StorageError, match="read-only"):
            await reader.exchanges(limit=1)
        await asyncio.to_thread(pair.standby.execute, "SELECT pg_promote()")
        await said.wait_for("writes to")
        await all_is_there(url, log, rows, flowing, tmp_path)
        assert [row.id for row in await reader.exchanges(limit=1)] == [rows[-1].id]


async def test_a_standby_takes_over_from_a_server_that_was_made_read_only(
    pair: Pair, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    """The old one lives on and keeps its connections. The address has libpq's other form for several hosts."""
    hosts = ",".join(str(server.folder).replace("/", "%2F") for server in (pair.first, pair.standby))
    url = f"postgresql://postgres@{hosts}/postgres?{WRITABLE}"
    with pair.running_first(), pair.running_standby():
        log, rows = start(url, spill=tmp_path), list[Record]()
        flowing = asyncio.ensure_future(exchanges_go_on(log, rows))
        await until(lambda: len(rows) > 100)
        make_read_only(pair.first, "on")
        assert "read-only" in await said.wait_for("cannot write to")
        await until(lambda: spilled(tmp_path) > 20_000)
        await asyncio.to_thread(pair.standby.execute, "SELECT pg_promote()")
        await said.wait_for("writes to")
        await all_is_there(url, log, rows, flowing, tmp_path)


async def test_a_server_that_is_read_only_for_a_while(
    own_server: OwnServer, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    with own_server.running() as url:
        log, rows = start(url, spill=tmp_path), list[Record]()
        flowing = asyncio.ensure_future(exchanges_go_on(log, rows))
        await until(lambda: len(rows) > 100)
        make_read_only(own_server.server, "on")
        assert "read-only" in await said.wait_for("cannot write to")
        await until(lambda: spilled(tmp_path) > 20_000)
        make_read_only(own_server.server, "off")
        await said.wait_for("writes to")
        await all_is_there(url, log, rows, flowing, tmp_path)


async def test_a_server_that_hangs_without_a_word(
    postgres_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    log, rows = start(postgres_url, spill=tmp_path), [exchange_row() for _ in range(20)]
    log.put(rows[:1])
    await written(log)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        [(backend,)] = other.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    os.kill(backend, signal.SIGSTOP)
    try:
        log.put(rows[1:10])
        await until(lambda: spilled(tmp_path))
        log.put(rows[10:])
    finally:
        os.kill(backend, signal.SIGCONT)
    assert await log.close() == []
    assert await ids_in(postgres_url) == [row.id for row in rows]
    assert left_in(tmp_path) == []
