from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from lockgate.errors import ConfigError, StorageError
from lockgate.ports import CommLog
from lockgate.records import ExchangeRow, Record, Relation, new_id
from lockgate.redaction import redact_headers
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.log import SqlLog
from tests.storage.logs import OwnServer, Said, detail_of, ids_in, written
from tests.storage.records import comm, decision, exchange_row, whole_exchange


@pytest.fixture
async def sqlite_log(sqlite_url: str, start: Callable[..., SqlLog]) -> AsyncIterator[SqlLog]:
    log = start(sqlite_url)
    yield log
    await log.close()


def test_it_is_what_exchanges_ask_for(sqlite_url: str) -> None:
    log: CommLog = SqlLog(sqlite_url)
    assert isinstance(log, SqlLog)


async def test_every_record_comes_back_as_it_was_put(database_url: str, start: Callable[..., SqlLog]) -> None:
    log, records = start(database_url), whole_exchange()
    log.put(records)
    assert await log.close() == []
    found = await detail_of(database_url, records[0].id)
    assert [found.exchange, *found.comms, *found.relations, *found.decisions] == records


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b'{"nul":"\\u0000","lone":"\\ud800","big":123456789012345678901234567890,"float":1.0}',
        b'{ "spaces" : "kept",\n"order":2,"a":1 }',
        b'"\xff\x00 is no JSON at all',
    ],
)
async def test_a_body_comes_back_byte_for_byte(
    database_url: str, content: bytes | None, start: Callable[..., SqlLog]
) -> None:
    log, row = start(database_url), exchange_row()
    log.put([row, kept := comm(row.id, content=content)])
    assert await log.close() == []
    assert (await detail_of(database_url, row.id)).comms == (kept,)


async def test_a_body_of_ten_megabytes_is_kept(database_url: str, start: Callable[..., SqlLog]) -> None:
    log, row = start(database_url), exchange_row()
    log.put([row, kept := comm(row.id, content=b'"' + b"0123456789" * 1_000_000 + b'"')])
    assert await log.close() == []
    assert (await detail_of(database_url, row.id)).comms == (kept,)


async def test_any_character_is_kept_anywhere(database_url: str, start: Callable[..., SqlLog]) -> None:
    odd = "a\x00b\ud800c\udfffd\x1ae\x1a0000 Grüße 👩‍👩‍👧"
    row = exchange_row(model=odd, agent=odd, rules=(odd,), error=odd)
    records: list[Record] = [
        row,
        first := comm(row.id, endpoint=odd, arguments={odd: [odd, None, 1.5]}, headers=((odd, odd),)),
        second := comm(row.id),
        Relation(from_comm_id=first.id, to_comm_id=second.id, type="continues", detail={odd: odd}),
        decision(row.id, reason=odd),
    ]
    log = start(database_url)
    log.put(records)
    assert await log.close() == []
    found = await detail_of(database_url, row.id)
    assert [found.exchange, *found.comms, *found.relations, *found.decisions] == records


async def test_an_exchange_is_written_when_it_begins_and_again_when_it_ends(
    database_url: str, start: Callable[..., SqlLog]
) -> None:
    begun = exchange_row(outcome="open", usage=None, rules=(), duration_ms=None)
    ended = exchange_row(id=begun.id)
    for row in (begun, ended):
        log = start(database_url)
        log.put([row])
        assert await log.close() == []
        assert (await detail_of(database_url, begun.id)).exchange == row


async def test_what_is_put_twice_is_kept_once(database_url: str, start: Callable[..., SqlLog]) -> None:
    records = whole_exchange()
    for _ in range(2):
        log = start(database_url)
        log.put(records)
        assert await log.close() == []
    found = await detail_of(database_url, records[0].id)
    assert [found.exchange, *found.comms, *found.relations, *found.decisions] == records


async def test_many_tasks_put_at_once(database_url: str, start: Callable[..., SqlLog]) -> None:
    log = start(database_url)
    exchanges = [whole_exchange() for _ in range(300)]

    async def exchange(records: list[Record]) -> None:
        for record in records:
            await log.ready()
            log.put([record])

    await asyncio.gather(*map(exchange, exchanges))
    assert await log.close() == []
    assert await ids_in(database_url) == sorted(records[0].id for records in exchanges)


async def test_what_comes_before_what_it_points_to_waits_for_it(
    database_url: str, start: Callable[..., SqlLog], said: Said
) -> None:
    row, *others = whole_exchange()
    log = start(database_url)
    for record in reversed(others):
        log.put([record])
    await written(log)
    log.put([row])
    assert await log.close() == []
    found = await detail_of(database_url, row.id)
    assert [found.exchange, *found.comms, *found.relations, *found.decisions] == [row, *others]
    assert said.messages == []


async def test_what_points_nowhere_is_given_back_and_named(
    database_url: str, start: Callable[..., SqlLog], said: Said
) -> None:
    good, bad = whole_exchange(), comm(new_id())
    log = start(database_url)
    log.put([*good, bad])
    assert await log.close() == [bad]
    assert [(level, f"Comm {bad.id}" in text) for level, text in said.messages] == [("ERROR", True)]
    assert await ids_in(database_url) == [good[0].id]


async def test_a_record_that_no_database_takes_does_not_stop_the_others(
    database_url: str, start: Callable[..., SqlLog], said: Said
) -> None:
    bad = exchange_row(usage=None, status=2**70, error="hush")
    good = [exchange_row() for _ in range(3)]
    log = start(database_url)
    log.put([good[0], bad, *good[1:]])
    assert await log.close() == [bad]
    assert await ids_in(database_url) == [row.id for row in good]
    assert "hush" not in str(said.messages)


async def test_a_full_queue_lets_nobody_begin_but_takes_everything(
    sqlite_url: str, start: Callable[..., SqlLog]
) -> None:
    log = start(sqlite_url, queue_rows=10)
    with sqlite3.connect(parse(sqlite_url).path) as other:
        other.execute("BEGIN IMMEDIATE")
        rows = [exchange_row() for _ in range(30)]
        for row in rows:
            log.put([row])
        waiting = asyncio.ensure_future(log.ready())
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        assert log.waiting_rows == 30
        other.rollback()
        await waiting
    other.close()
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in rows]


async def test_big_bodies_fill_the_queue_too(sqlite_url: str) -> None:
    log, row = SqlLog(sqlite_url, queue_bytes=1_000_000), exchange_row()
    await log.ready()
    log.put([row, comm(row.id, content=b"0" * 1_000_000)])
    waiting = asyncio.ensure_future(log.ready())
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    log.start()
    await waiting
    assert await log.close() == []


async def test_a_locked_database_delays_and_loses_nothing(
    sqlite_url: str, start: Callable[..., SqlLog], said: Said
) -> None:
    log, rows = start(sqlite_url), [exchange_row() for _ in range(5)]
    with sqlite3.connect(parse(sqlite_url).path) as other:
        other.execute("BEGIN IMMEDIATE")
        log.put(rows)
        assert "database is locked" in await said.wait_for("cannot write")
        other.rollback()
    other.close()
    await said.wait_for("writes to")
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in rows]
    assert [level for level, _ in said.messages] == ["WARNING", "WARNING"]


@pytest.mark.postgres
async def test_a_server_that_goes_and_comes_back_loses_nothing(
    own_server: OwnServer, start: Callable[..., SqlLog], said: Said
) -> None:
    with own_server.running() as url:
        log, rows = start(url), [exchange_row() for _ in range(3)]
        log.put(rows[:1])
        await written(log)
    log.put(rows[1:2])
    await said.wait_for("cannot write")
    log.put(rows[2:])
    with own_server.running():
        await said.wait_for("writes to")
        assert await log.close() == []
        assert await ids_in(url) == [row.id for row in rows]


@pytest.mark.postgres
async def test_a_connection_that_was_ended_is_made_anew(postgres_url: str, start: Callable[..., SqlLog]) -> None:
    log, rows = start(postgres_url), [exchange_row() for _ in range(2)]
    log.put(rows[:1])
    await written(log)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    log.put(rows[1:])
    assert await log.close() == []
    assert await ids_in(postgres_url) == [row.id for row in rows]


async def test_close_gives_back_what_it_could_not_write(
    sqlite_url: str, start: Callable[..., SqlLog], said: Said
) -> None:
    log, rows = start(sqlite_url), [exchange_row() for _ in range(500)]
    with sqlite3.connect(parse(sqlite_url).path) as other:
        other.execute("BEGIN IMMEDIATE")
        for row in rows:
            log.put([row])
        assert await log.close(drain_seconds=0.05) == rows
    other.close()
    level, text = said.messages[-1]
    assert (level, "lost 500 record(s)" in text, "0.05 seconds" in text) == ("ERROR", True, True)


async def test_closing_twice_and_without_a_start_is_no_error(sqlite_url: str, sqlite_log: SqlLog) -> None:
    assert await SqlLog(sqlite_url).close() == []
    assert await sqlite_log.close() == []
    assert await sqlite_log.close() == []


async def test_what_is_put_after_the_end_is_named(sqlite_log: SqlLog, said: Said) -> None:
    await sqlite_log.close()
    sqlite_log.put([row := exchange_row()])
    assert f"ExchangeRow {row.id}: the log was closed" in said.messages[-1][1]


async def test_a_writer_that_fails_lets_nobody_begin(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, start: Callable[..., SqlLog], said: Said
) -> None:
    monkeypatch.setitem(sys.modules, "lockgate.storage.writer", None)
    log = start(sqlite_url, queue_rows=1)
    log.put([row := exchange_row()])
    with pytest.raises(StorageError, match="the log has stopped"):
        await log.ready()
    assert await log.close() == [row]


def test_starting_makes_an_sqlite_file_but_no_postgresql_tables(sqlite_url: str, postgres_url: str) -> None:
    SqlLog(sqlite_url).start()
    assert schema.version(parse(sqlite_url)) == schema.HEAD
    with pytest.raises(StorageError, match="`lockgate db upgrade` makes it"):
        SqlLog(postgres_url).start()


def test_a_wrong_url_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="takes sqlite"):
        SqlLog("oracle://x")


async def test_no_credential_is_in_the_file(sqlite_url: str, start: Callable[..., SqlLog]) -> None:
    log, row = start(sqlite_url), exchange_row()
    headers = [("authorization", "Bearer hush-hush"), ("x-api-key", "hush-hush"), ("cookie", "a=hush-hush")]
    log.put([row, comm(row.id, headers=tuple(redact_headers(headers)))])
    assert await log.close() == []
    folder = parse(sqlite_url).path.parent
    data = b"".join(file.read_bytes() for file in folder.iterdir())
    assert (b"hush-hush" in data, b"Bearer sha256:" in data) == (False, True)


def test_a_proxy_that_is_killed_leaves_what_was_written(sqlite_url: str) -> None:
    program = """
import asyncio, os, signal, sys
from lockgate.storage.log import SqlLog
from tests.storage.records import exchange_row
async def main():
    log = SqlLog(sys.argv[1]); log.start()
    log.put([row := exchange_row()])
    while log.waiting_rows:
        await asyncio.sleep(0.01)
    print(row.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program, sqlite_url], cwd=root, capture_output=True, text=True, check=False
    )
    assert asyncio.run(ids_in(sqlite_url)) == [run.stdout.strip()]


def test_an_exchange_row_is_light() -> None:
    assert not {"content", "given", "out"} & set(ExchangeRow.__slots__)
