"""`check` finds what others did to a log, what a killed proxy left, and what waits for the database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.records import ExchangeRow, new_id, now
from lockgate.storage import check as checking
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.check import Report, check
from lockgate.storage.log import SqlLog, spill_folder
from lockgate.storage.queries import Queries
from lockgate.storage.spill import Spill
from lockgate.storage.unfinished import ENDED, repair
from tests.storage.logs import ROOT, ids_in, until, written
from tests.storage.records import comm, exchange_row, whole_exchange
from tests.storage.talks import IMAGE, detail_of, exchange, execute, remember, says, user
from tests.storage.test_prune import answer, asked

LEAVE_OPEN = """
import asyncio, sys
from pathlib import Path
from lockgate.storage.log import SqlLog
from tests.storage.records import exchange_row

async def main():
    log = SqlLog(sys.argv[1], spill=Path(sys.argv[2]))
    log.start()
    row = exchange_row(outcome="open", usage=None)
    log.put([row])
    while log.waiting_rows:
        await asyncio.sleep(0.005)
    print(row.id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def checked(url: str, spill: Path, **options: Any) -> Report:
    return check(url, spill=spill, **options)


def spilled(folder: Path) -> list[Path]:
    return list(folder.glob("*/*.spill"))


async def a_log(url: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    headers = tuple((f"x-{number}", "1") for number in range(9))
    said = exchange(asked(user([image]), says("Two."), user("Three.")), answer("Four."))
    await remember(url, said, whole_exchange(), [row := exchange_row(), comm(row.id, headers=headers)])


async def test_a_sound_log_is_told_so(database_url: str, tmp_path: Path) -> None:
    await a_log(database_url)
    report = checked(database_url, tmp_path / "spill", every=True)
    assert report.wrong == []
    told = "\n".join(report.known)
    assert re.search(rf"version {schema.HEAD}, [\d,]+ bytes", told)
    for counted in ("4 messages", "4 links between messages", "1 files", "1 lists of headers"):
        assert f"{counted} were checked" in told
    assert re.search(r"the disk of .* has [\d,]+ bytes left", told)


async def test_a_sample_is_told_as_one(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SAMPLE", 2)
    await a_log(sqlite_url)
    assert "2 of 4 messages were checked" in checked(sqlite_url, tmp_path).known
    assert "4 messages were checked" in checked(sqlite_url, tmp_path, every=True).known


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("UPDATE message SET kind = 'tools' WHERE role = 'assistant'", "messages that were changed .*: [0-9a-f]{64}, "),
        ("UPDATE message SET blobs = NULL", "messages that were changed or are incomplete: [0-9a-f]{64}"),
        ("DELETE FROM message_blob", "messages that were changed or are incomplete: [0-9a-f]{64}$"),
        (
            "UPDATE thread SET parent = hash WHERE depth = 1",
            "links between messages that were changed .*: [0-9a-f]{64}$",
        ),
        ("UPDATE message SET content = hash", "messages that were changed or are incomplete: [0-9a-f]{64}, "),
        ("UPDATE heading SET content = hash", "lists of headers that were changed .*: [0-9a-f]{32}$"),
        ("UPDATE blob SET content = hash", "files that were changed or are incomplete: [0-9a-f]{64}$"),
    ],
)
async def test_what_others_changed_is_found(database_url: str, tmp_path: Path, harm: str, told: str) -> None:
    await a_log(database_url)
    execute(database_url, harm)
    assert any(re.search(told, line) for line in checked(database_url, tmp_path).wrong)


async def test_rows_that_point_to_nothing_are_found(sqlite_url: str, tmp_path: Path) -> None:
    await a_log(sqlite_url)
    execute(sqlite_url, "DELETE FROM exchange")
    (line,) = checked(sqlite_url, tmp_path).wrong
    assert re.search(r"rows that point to nothing.*: .*comm .* in exchange.* and \d+ more", line)


async def test_a_damaged_file_is_found(sqlite_url: str, tmp_path: Path) -> None:
    await a_log(sqlite_url)
    path = parse(sqlite_url).path
    execute(sqlite_url, "PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    assert checked(sqlite_url, tmp_path).wrong


@pytest.mark.postgres
async def test_an_index_that_is_not_valid_is_found(postgres_url: str, tmp_path: Path) -> None:
    await a_log(postgres_url)
    execute(postgres_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_comm_thread'::regclass")
    assert checked(postgres_url, tmp_path).wrong == [
        "indexes that PostgreSQL calls invalid: REINDEX them: ix_comm_thread"
    ]


def test_a_database_that_is_not_there_is_one_sentence(sqlite_url: str, tmp_path: Path) -> None:
    (line,) = checked(sqlite_url, tmp_path / "spill").wrong
    assert "there is no log yet in" in line
    assert not parse(sqlite_url).path.exists()


async def test_what_nothing_refers_to_is_told(database_url: str, tmp_path: Path) -> None:
    await a_log(database_url)
    execute(
        database_url, "DELETE FROM said", "DELETE FROM tool_use", "DELETE FROM comm_relationship", "DELETE FROM comm"
    )
    report = checked(database_url, tmp_path)
    assert report.wrong == []
    assert "1 rows of thread that nothing refers to: `lockgate db prune` removes them" in report.known


async def test_what_waits_is_told(database_url: str, tmp_path: Path) -> None:
    await a_log(database_url)
    spill = Spill(spill_folder(tmp_path, parse(database_url)))
    spill.open()
    spill.append(whole_exchange())
    assert any(
        re.match(r"9 records \([\d,]+ bytes, 1 files\) wait", line) for line in checked(database_url, tmp_path).known
    )
    (path,) = spilled(tmp_path)
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"harm")
    (line,) = checked(database_url, tmp_path).wrong
    assert re.search(r"\.spill has [\d,]+ bytes that cannot be read", line)
    spill.close()
    path.rename(path.with_suffix(".damaged"))
    assert checked(database_url, tmp_path).wrong == [
        f"{path.with_suffix('.damaged')} holds records that could not be read"
    ]


async def test_a_full_disk_is_told(sqlite_url: str, tmp_path: Path) -> None:
    await a_log(sqlite_url)
    lines = checked(sqlite_url, tmp_path / "spill", free_bytes=2**62).wrong
    assert lines
    assert all(re.search(r"bytes left, and limits\.spill_free_bytes is", line) for line in lines)


# What is open though nobody has it.


async def row_of(url: str, id: str) -> ExchangeRow:
    async with Queries(url) as queries:
        row = await queries.find(id)
    assert row
    return row


async def test_what_is_open_for_long_is_told_and_repaired(database_url: str, tmp_path: Path) -> None:
    old = exchange_row(outcome="open", usage=None, started_at=now() - timedelta(days=2))
    new = exchange_row(outcome="open", usage=None, started_at=now())
    await remember(database_url, [old, new])
    schema.upgrade(database_url)
    report = checked(database_url, tmp_path)
    assert any("1 exchanges are open for more than a day" in line for line in report.wrong)
    assert any("1 exchanges are under way" in line for line in report.known)
    assert repair(database_url) == 1
    assert checked(database_url, tmp_path).wrong == []
    assert await row_of(database_url, old.id) == replace(old, outcome="cut", error=ENDED)
    assert (await row_of(database_url, new.id)).outcome == "open"


def killed(url: str, spill: Path) -> tuple[subprocess.Popen[str], str]:
    """A proxy with an exchange under way, still alive, and the id."""
    command = [sys.executable, "-c", LEAVE_OPEN, url, str(spill)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


async def test_what_a_killed_proxy_left_open_ends_at_the_next_start(sqlite_url: str, tmp_path: Path) -> None:
    schema.upgrade(sqlite_url)
    process, id = killed(sqlite_url, tmp_path)
    with process:
        beside = SqlLog(sqlite_url, spill=tmp_path)
        beside.start()
        mine = exchange_row(outcome="open", usage=None)
        beside.put([mine])
        await written(beside)
        assert (await row_of(sqlite_url, id)).outcome == "open"  # it may end yet
        process.kill()
    other = SqlLog(sqlite_url, spill=tmp_path)
    other.start()
    await other.close()
    assert (await row_of(sqlite_url, mine.id)).outcome == "open"
    assert (await row_of(sqlite_url, id)).outcome == "open"  # it is not known whose it is
    await beside.close()
    last = SqlLog(sqlite_url, spill=tmp_path)
    last.start()
    begun = exchange_row(outcome="open", usage=None)
    last.put([begun])
    await last.close()
    assert {(await row_of(sqlite_url, one)).outcome for one in (id, mine.id)} == {"cut"}
    assert (await row_of(sqlite_url, id)).error == ENDED
    assert (await row_of(sqlite_url, begun.id)).outcome == "open"


async def test_what_waits_in_the_spill_is_written_before_anything_is_ended(sqlite_url: str, tmp_path: Path) -> None:
    """The end of the exchange waited there: so it was not cut."""
    ended = exchange_row(outcome="passed")
    await remember(sqlite_url, [replace(ended, outcome="open"), *(exchange_row() for _ in range(3))])
    spill = Spill(spill_folder(tmp_path, parse(sqlite_url)))
    spill.open()
    spill.append([ended])
    spill.close()
    log = SqlLog(sqlite_url, spill=tmp_path)
    log.start()
    await until(lambda: not log.waiting_rows)
    assert await log.close() == []
    assert (await row_of(sqlite_url, ended.id)).outcome == "passed"


@pytest.mark.postgres
async def test_no_proxy_ends_what_may_be_another_ones(postgres_url: str, tmp_path: Path) -> None:
    row = exchange_row(outcome="open", usage=None)
    await remember(postgres_url, [row])
    await remember(postgres_url, whole_exchange())
    assert (await row_of(postgres_url, row.id)).outcome == "open"
    assert len(await ids_in(postgres_url)) == 2


async def test_clocks_may_go_backwards(database_url: str) -> None:
    """Ids and times come from the clock; what is said to be earlier is only sorted so."""
    later, earlier = whole_exchange(id=new_id()), whole_exchange(id="00000000-0000-7000-8000-000000000001")
    await remember(database_url, later, earlier)
    assert await ids_in(database_url) == [earlier[0].id, later[0].id]
    assert (await detail_of(database_url, earlier[0].id)).exchange == earlier[0]
