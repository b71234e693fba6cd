"""What was put is in the database in the end, whatever happens to the database, the disk and the process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError, DataError

from lockgate.errors import StorageError
from lockgate.records import Record
from lockgate.storage import feed, schema
from lockgate.storage.address import parse
from lockgate.storage.log import SqlLog
from lockgate.storage.verify import verify
from lockgate.storage.writer import is_outage
from tests import postgres
from tests.storage.logs import ROOT, Said, detail_of, exchanges_go_on, ids_in, left_in, locked, spilled, until, written
from tests.storage.records import comm, exchange_row, whole_exchange

AT_ONCE = 5
"""Processes that are killed in one round."""


async def put_away(url: str, spill: Path, records: list[Record], start: Callable[..., SqlLog]) -> None:
    """A run that ends while the database cannot be written to."""
    schema.upgrade(url)
    async with locked(url):
        log = start(url, spill=spill)
        log.put(records)
        assert await log.close(drain_seconds=0.05) == []


async def test_what_waits_is_on_the_disk_and_in_order_in_the_database_later(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    log, rows = start(database_url, spill=tmp_path, queue_rows=500), [exchange_row() for _ in range(2000)]
    async with locked(database_url):
        for row in rows:
            await log.ready()  # the queue's bound does not hold it up: what waits is not in memory
            log.put([replace(row, outcome="open")])
            log.put([row])
        await until(lambda: spilled(tmp_path) > 2000 * 500)
    await written(log)
    log.put([last := exchange_row()])
    assert await log.close() == []
    assert await ids_in(database_url) == [row.id for row in [*rows, last]]
    assert (await detail_of(database_url, rows[-1].id)).exchange.outcome == "changed"
    assert left_in(tmp_path) == []
    assert [text for level, text in said.messages if level == "ERROR"] == []


async def test_a_disk_that_does_not_answer_holds_up_nothing_on_its_way_into_the_spill(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel has survives the end of the process; a busy disk may take longer than that may wait."""
    answered, asked, size = threading.Event(), threading.Event(), 0
    monkeypatch.setattr(os, "fsync", lambda _: asked.set() or answered.wait(60))
    log, rows = start(sqlite_url, spill=tmp_path / "spill"), [exchange_row() for _ in range(3)]
    async with locked(sqlite_url):
        for row in rows:
            log.put([row])
            await until(lambda size=size: spilled(tmp_path / "spill") > size)
            size = spilled(tmp_path / "spill")
        await until(asked.is_set)
        answered.set()
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in rows]


async def test_in_normal_operation_no_file_is_touched(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SPILL_SECONDS", 60.0)  # on a crowded machine, a database may well be slow
    log = start(database_url, spill=tmp_path)
    for _ in range(50):
        log.put(whole_exchange())
        await written(log)
    assert left_in(tmp_path) == []
    assert await log.close() == []


async def test_what_could_not_be_written_is_written_after_a_restart(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    first, second = whole_exchange(), whole_exchange()
    await put_away(database_url, tmp_path, [replace(first[0], outcome="open"), *first], start)
    await put_away(database_url, tmp_path, second, start)
    assert spilled(tmp_path) > 0
    log = start(database_url, spill=tmp_path)
    await written(log)
    log.put([third := exchange_row()])
    assert await log.close() == []
    assert await ids_in(database_url) == [first[0].id, second[0].id, third.id]
    for row, *others in (first, second):
        found = await detail_of(database_url, row.id)
        assert [found.exchange, *found.comms, *found.relations, *found.decisions] == [row, *others]
    assert left_in(tmp_path) == []


async def test_another_database_does_not_get_what_waits_for_this_one(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    await put_away(sqlite_url, tmp_path / "spill", [row := exchange_row()], start)
    other = start(f"{sqlite_url}.other", spill=tmp_path / "spill")
    await written(other)
    assert await other.close() == []
    assert await ids_in(f"{sqlite_url}.other") == []
    assert await start(sqlite_url, spill=tmp_path / "spill").close() == []
    assert await ids_in(sqlite_url) == [row.id]


async def test_what_came_before_what_it_points_to_waits_over_a_restart_too(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    row = exchange_row()
    early = comm(row.id)
    log = start(sqlite_url, spill=tmp_path / "spill")
    log.put([early])
    await until(lambda: spilled(tmp_path / "spill"))
    async with locked(sqlite_url):
        log.put([exchange_row()])
        assert await log.close(drain_seconds=0.05) == []
    log = start(sqlite_url, spill=tmp_path / "spill")
    log.put([row])
    await written(log)
    assert await log.close() == []
    assert (await detail_of(sqlite_url, row.id)).comms == (early,)
    assert [text for level, text in said.messages if level == "ERROR"] == []
    assert left_in(tmp_path / "spill") == []


async def test_damage_to_what_waits_costs_only_what_it_hit(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog], said: Said
) -> None:
    rows: list[Record] = [exchange_row() for _ in range(5)]
    await put_away(sqlite_url, tmp_path / "spill", rows, start)
    [file] = (tmp_path / "spill").glob("*/*.spill")
    data = bytearray(file.read_bytes()[:-7])
    data[data.index(rows[1].id.encode())] ^= 1
    file.write_bytes(data)
    log = start(sqlite_url, spill=tmp_path / "spill")
    await written(log)
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in (rows[0], rows[2], rows[3])]
    assert "half-written" in await said.wait_for("half-written")
    assert "damaged" in await said.wait_for("damaged")


# The spill is full.


async def test_a_full_spill_lets_nobody_begin_but_takes_what_is_under_way(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    log, rows = start(sqlite_url, spill=tmp_path / "spill", spill_bytes=1000), [exchange_row() for _ in range(10)]
    async with locked(sqlite_url):
        log.put(rows[:5])
        await until(lambda: log._backlog.blocked)
        waiting = asyncio.ensure_future(log.ready())
        log.put(rows[5:])
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
    await waiting
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in rows]


async def test_who_waits_for_a_full_spill_begins_when_it_is_empty(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    """The writer empties the spill between two looks of the thread that fills it."""
    log = start(sqlite_url, spill=tmp_path / "spill", spill_bytes=1000)
    for _ in range(3):
        async with locked(sqlite_url):
            log.put(whole_exchange())
            await until(lambda: log._backlog.blocked)
        await log.ready()
    assert await log.close() == []
    assert len(await ids_in(sqlite_url)) == 3


@pytest.mark.parametrize(
    ("limit", "named"), [({"spill_bytes": 1000}, "spill_bytes"), ({"spill_free_bytes": 2**62}, "free_bytes")]
)
async def test_a_full_spill_refuses_where_it_may_not_make_wait(
    sqlite_url: str, tmp_path: Path, limit: dict[str, int], named: str, start: Callable[..., SqlLog]
) -> None:
    log, rows = start(sqlite_url, spill=tmp_path / "spill", refuse=True, **limit), list[Record]()
    async with locked(sqlite_url):
        with pytest.raises(StorageError, match=named):
            await exchanges_go_on(log, rows)
    await written(log)
    await until(lambda: not log._backlog.blocked)
    await log.ready()
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [row.id for row in rows]


def test_a_spill_that_cannot_be_made_is_said_at_the_start(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*choose another `home`"):
        SqlLog(sqlite_url, spill=tmp_path / "file").start()


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from lockgate.errors import StorageError
from lockgate.storage.log import SqlLog
from tests.storage.logs import ids_in, until, written
from tests.storage.records import comm, exchange_row

async def main(how, folder):
    url = f"sqlite:///{folder}/lockgate.db"
    if how == "tmpfs":
        (folder / "ballast").write_bytes(bytes(10_000_000))
    log = SqlLog(url, spill=folder / "spill", refuse=True)
    log.start()
    if how == "rlimit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, -1))
    rows = []
    try:
        while len(rows) < 10_000:
            await log.ready()
            rows.append(exchange_row())
            log.put([rows[-1], comm(rows[-1].id, content=b"0" * 20_000)])
            await asyncio.sleep(0.01)
    except StorageError as error:
        print(error)
    if how == "tmpfs":
        (folder / "ballast").unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    await written(log)
    print(await log.close(), await ids_in(url) == [row.id for row in rows], len(rows) < 10_000)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.mark.parametrize("how", ["tmpfs", "rlimit"])
def test_a_full_disk_loses_nothing(tmp_path: Path, how: str) -> None:
    """Database and spill share a disk that fills up: a real one of a few megabytes, or a limit on each file's size.

    What is freed later holds the records three times: in the spill, in the database and in its write-ahead log.
    """
    command = [sys.executable, "-c", FULL_DISK, how, str(tmp_path)]
    if how == "tmpfs":
        if not postgres.namespaces_work():
            pytest.skip("this machine lets nobody mount a disk of his own")
        mounted = 'mount -t tmpfs -o size=12m none "$0" && exec "$@"'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, str(tmp_path), *command]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    refusal, end = ran.stdout.splitlines() or ["", ran.stderr]
    assert "can be written to" in refusal
    assert end == "[] True True"
    assert "records wait in memory" in ran.stderr


# Databases that go away.


def test_a_damaged_database_is_not_the_records_fault() -> None:
    damaged, wrong = sqlite3.DatabaseError("database disk image is malformed"), sqlite3.DataError("too big")
    assert is_outage(DatabaseError("", None, damaged))
    assert not is_outage(DataError("", None, wrong))


async def test_the_event_loop_does_not_notice_that_the_database_is_away(
    sqlite_url: str, tmp_path: Path, start: Callable[..., SqlLog], record_property: Callable[[str, object], None]
) -> None:
    """The figure is kept for who wants to know; machines differ."""
    log, exchanges, lags = start(sqlite_url, spill=tmp_path / "spill"), list[list[Record]](), list[float]()
    async with locked(sqlite_url):
        while spilled(tmp_path / "spill") < 1_000_000:
            await log.ready()
            exchanges.append(whole_exchange())
            log.put(exchanges[-1])
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - before - 0.005)
    record_property("loop_lag_p99_ms", round(sorted(lags)[len(lags) * 99 // 100] * 1000, 2))
    assert await log.close() == []
    assert await ids_in(sqlite_url) == [records[0].id for records in exchanges]


# Several writers.


async def test_two_writers_of_one_home_keep_to_their_own(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    one, two = start(database_url, spill=tmp_path), start(database_url, spill=tmp_path)
    mine, others, later = ([exchange_row() for _ in range(50)] for _ in range(3))
    async with locked(database_url):
        one.put(mine)
        two.put(others)
        await until(lambda: len(list(tmp_path.glob("*/*.spill"))) == 2)
        assert await one.close(drain_seconds=0.05) == []
        three = start(database_url, spill=tmp_path)
        three.put(later)
        await until(lambda: three.waiting_rows > 50)
    await written(two)
    await written(three)
    assert (await two.close(), await three.close()) == ([], [])
    assert sorted(await ids_in(database_url)) == sorted(row.id for row in [*mine, *others, *later])
    assert left_in(tmp_path) == []


# The process is killed.


class Loaded:
    """A process under load, and what it said had ended."""

    def __init__(self, url: str, spill: Path, seconds: float, module: str = "tests.storage.load") -> None:
        command = [sys.executable, "-m", module, url, str(spill)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._seconds = seconds
        self.ended: list[tuple[float, str]] = []
        self.killed = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        """Reads until its time is over, kills, and reads the rest."""
        with self._process as process:
            assert process.stdout
            for line in process.stdout:
                if not line.endswith("\n"):
                    break
                moment, id = line.split()
                self.ended.append((float(moment), id))
                if not self.killed and self.ended[-1][0] > self.ended[0][0] + self._seconds:
                    self.killed = time.monotonic()
                    process.kill()

    def safe(self) -> set[str]:
        """The exchanges that ended more than a second before the end of the process."""
        self._thread.join()
        assert self._process.returncode == -signal.SIGKILL
        return {id for moment, id in self.ended if moment < self.killed - 1.0}


@pytest.mark.parametrize(
    ("fixture", "rounds"), [("sqlite_url", 10), pytest.param("postgres_url", 4, marks=pytest.mark.postgres)]
)
async def test_a_proxy_that_is_killed_loses_nothing_that_ended_a_second_before(
    fixture: str, rounds: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Fifty times and twenty; in every other round, the database is locked as long as the processes live."""
    url: str = request.getfixturevalue(fixture)
    schema.upgrade(url)
    chance, safe = random.Random(3), 0
    for number in range(rounds):
        loads = [Loaded(url, tmp_path / "spill", chance.uniform(1.05, 1.6)) for _ in range(AT_ONCE)]
        if number % 2:
            await until(lambda loads=loads: all(load.ended for load in loads))
            async with locked(url):
                expected = await asyncio.to_thread(lambda loads=loads: set[str]().union(*(o.safe() for o in loads)))
        else:
            expected = await asyncio.to_thread(lambda loads=loads: set[str]().union(*(o.safe() for o in loads)))
        log = SqlLog(url, spill=tmp_path / "spill")
        log.start()
        await written(log)
        assert await log.close() == []
        assert expected - set(await ids_in(url)) == set()
        assert (await asyncio.to_thread(verify, url)).findings == ()
        if fixture == "sqlite_url":
            with sqlite3.connect(parse(url).path) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
        assert left_in(tmp_path / "spill") == []
        safe += len(expected)
    assert safe > rounds * AT_ONCE
