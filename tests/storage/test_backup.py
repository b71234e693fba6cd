"""Backups move a log whole, also from one kind of database to the other; what does not fit is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lockgate.bench.sessions import session
from lockgate.errors import Error, StorageError
from lockgate.records import ExchangeRow, Record
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.backup import backup, restore
from lockgate.storage.log import SqlLog
from lockgate.storage.notes import Notes
from lockgate.storage.queries import Queries
from lockgate.wire.document import dumps, loads
from tests.storage.logs import detail_of, ids_in
from tests.storage.records import exchange_row, whole_exchange
from tests.storage.talks import IMAGE, exchange, execute, remember, user
from tests.storage.test_prune import answer, asked


def some() -> list[list[Record]]:
    """All that a log can hold."""
    image = {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    request = json.dumps(asked(user([image]), user("\ud800 \x00 \x1a0000"))).encode()
    odd = exchange(request, answer("Needle."))
    whole = whole_exchange(error="\ud800\x00", agent="\x00")
    left = [exchange_row(outcome="open", usage=None, status=None, first_byte_ms=None, started_at=whole_time(whole))]
    return [*(exchange(*turn) for turn in session(5)), odd, whole, list[Record](left)]


def whole_time(records: list[Record]) -> Any:
    assert isinstance(records[0], ExchangeRow)
    return records[0].started_at


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    """A database of the other kind, which holds nothing yet."""
    if database_url.startswith("sqlite"):
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'other.db'}"


@pytest.mark.postgres
async def test_a_log_moves_whole_to_the_other_database(database_url: str, other_url: str, tmp_path: Path) -> None:
    exchanges, file = some(), tmp_path / "log.jsonl.zst"
    await remember(database_url, *exchanges)
    first, last = exchanges[0][0].id, exchanges[-1][0].id
    with Notes(database_url) as notes:
        notes.label("session", "s-1", add=["incident"])
        notes.note("exchange", last, "\x00 it began here")
    seen: list[str] = []
    rows = backup(database_url, file, lambda table, rows: seen.append(table))
    assert (rows["exchange"], file.stat().st_mode & 0o777) == (8, 0o600)
    assert {"exchange", "message", "blob"} <= set(seen)
    head, added = restore(other_url, file)
    assert (head.lockgate, added) == ("backup", 8)
    for records in exchanges:
        assert await detail_of(other_url, records[0].id) == await detail_of(database_url, records[0].id)
    async with Queries(other_url) as queries:
        assert [hit.exchange.id for hit in await queries.search("needle")] == [exchanges[5][0].id]
        marks = await queries.marks(await queries.exchanges())
        assert marks[first].session_labels == ("incident",)
        assert [note.text for note in marks[last].notes] == ["\x00 it began here"]
    again = tmp_path / "again.jsonl.zst"
    assert backup(other_url, again) == rows
    assert lines_of(again)[1:-1] == lines_of(file)[1:-1]
    with Notes(other_url) as notes:
        notes.note("exchange", last, "what the database numbers itself goes on")
    await remember(other_url, exchange(asked(user("More.")), answer("needle")))


async def test_a_backup_of_a_log_in_use_is_of_one_moment(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    log, over, put = SqlLog(database_url), threading.Event(), list[str]()

    async def write() -> list[Record]:
        log.start()
        while not over.is_set():
            records = whole_exchange()
            put.append(records[0].id)
            log.put(records)
            await asyncio.sleep(0.002)
        return await log.close()

    writing = asyncio.create_task(write())
    files = [tmp_path / f"{number}.jsonl.zst" for number in range(3)]
    for file in files:
        before = len(put)
        rows = await asyncio.to_thread(backup, database_url, file)
        assert rows.get("comm", 0) == 4 * rows.get("exchange", 0)
        assert rows.get("decision", 0) == rows.get("exchange", 0)
        while len(put) < before + 50:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    over.set()
    assert await writing == []
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    restore(fresh, files[-1])
    ids = await ids_in(fresh)
    assert ids == put[: len(ids)]


async def test_a_backup_is_not_mixed_with_other_exchanges(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl.zst"
    await remember(database_url, whole_exchange())
    backup(database_url, file)
    with pytest.raises(StorageError, match=r"holds 1 exchanges, which a backup would be mixed with: restore it into a"):
        restore(database_url, file)
    with pytest.raises(Error, match="exists already: give the name of a new file"):
        backup(database_url, file)
    with pytest.raises(Error, match=r"none/x: .* cannot be written|none/x cannot be written"):
        backup(database_url, tmp_path / "none" / "x")


def test_an_empty_log_has_a_backup(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    assert backup(database_url, tmp_path / "x") == {}
    assert restore(database_url, tmp_path / "x")[1] == 0


def lines_of(file: Path) -> list[Any]:
    with file.open("rb") as compressed:
        return [loads(line) for line in zstandard.ZstdDecompressor().stream_reader(compressed).read().splitlines()]


def rewritten(file: Path, change: Any) -> None:
    lines = lines_of(file)
    change(lines)
    file.write_bytes(zstandard.ZstdCompressor().compress(b"".join(dumps(line) + b"\n" for line in lines)))


HARM: list[tuple[Any, str]] = [
    (lambda lines: lines.pop(), "is damaged .its end is missing"),
    (lambda lines: lines.pop(3), "is damaged .its end is missing, or does not fit"),
    (lambda lines: lines[1][1].update(role="x"), "is damaged .its end"),
    (lambda lines: lines[0].update(format=2), "written by a newer Lockgate .*: update Lockgate"),
    (lambda lines: lines[0].update(schema="9999"), r"newer Lockgate \(0.*, database version 9999\): update"),
    (lambda lines: lines.__setitem__(0, ["x"]), "is neither a backup nor an archive"),
    (lambda lines: lines.clear(), "is neither a backup nor an archive"),
]


@pytest.mark.parametrize(("change", "told"), HARM)
async def test_a_file_that_does_not_fit_is_refused(sqlite_url: str, tmp_path: Path, change: Any, told: str) -> None:
    file, fresh = tmp_path / "log.jsonl.zst", tmp_path / "fresh.db"
    await remember(sqlite_url, *some())
    backup(sqlite_url, file)
    rewritten(file, change)
    with pytest.raises(StorageError, match=told):
        restore(f"sqlite:///{fresh}", file)
    assert not fresh.exists()


@pytest.mark.parametrize("cut", [3, 200, -20])
async def test_a_cut_or_foreign_file_is_refused(sqlite_url: str, tmp_path: Path, cut: int) -> None:
    file, fresh = tmp_path / "log.jsonl.zst", tmp_path / "fresh.db"
    await remember(sqlite_url, *some())
    backup(sqlite_url, file)
    whole = file.read_bytes()
    for content in (whole[:cut], b"SQLite format 3\0" * 99, whole[:400] + b"harm" + whole[404:]):
        file.write_bytes(content)
        with pytest.raises(StorageError, match=r"is damaged|neither a backup"):
            restore(f"sqlite:///{fresh}", file)
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        restore(f"sqlite:///{fresh}", tmp_path / "none")
    assert not fresh.exists()


async def test_an_older_backup_is_brought_up_to_date(database_url: str, tmp_path: Path) -> None:
    """A log of the third version had fewer tables and columns: the upgrade makes them, and rows of `message_blob`."""
    file, source = tmp_path / "log.jsonl.zst", f"sqlite:///{tmp_path / 'source.db'}"
    exchanges, later = some(), {"message_blob", "turn", "session", "chain", "seal"}
    await remember(source, *exchanges)
    backup(source, file)

    def remove(row: Any, column: str) -> None:
        row.remove(column) if isinstance(row, list) else row.pop(column)

    def older(lines: list[Any]) -> None:
        lines[0]["schema"] = "0003"
        for table in later:
            del lines[0]["columns"][table]
        lines[:] = [line for line in lines if not (isinstance(line, list) and line[0] in later)]
        for row in (lines[0]["columns"], *(dict([line]) for line in lines[1:-1])):
            for column in ("attested", "purpose"):
                if "exchange" in row:
                    remove(row["exchange"], column)

    rewritten(file, older)
    sealed(file)
    assert restore(database_url, file)[1] == 8
    assert schema.version(parse(database_url)) == schema.HEAD
    assert execute(database_url, "SELECT count(*) FROM message_blob") == [(1,)]
    assert await detail_of(database_url, exchanges[5][0].id) == await detail_of(source, exchanges[5][0].id)
    execute(database_url, "DELETE FROM exchange", "DELETE FROM comm")
    with pytest.raises(StorageError, match=r"comes from a log of version 0003, and .* has .*: restore it into a new"):
        restore(database_url, file)


def sealed(file: Path) -> None:
    """Give the file the end that fits its lines."""
    import hashlib

    def end(lines: list[Any]) -> None:
        rows: dict[str, int] = {}
        for line in lines[1:-1]:
            rows[line[0]] = rows.get(line[0], 0) + 1
        body = b"".join(dumps(line) + b"\n" for line in lines[:-1])
        lines[-1] = {"rows": rows, "sha256": hashlib.sha256(body).hexdigest()}

    rewritten(file, end)


async def test_a_restore_that_fails_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    file, source = tmp_path / "log.jsonl.zst", f"sqlite:///{tmp_path / 'source.db'}"
    await remember(source, *some())
    backup(source, file)
    rewritten(file, lambda lines: lines[0]["columns"].update(exchange=[*lines[0]["columns"]["exchange"], "unheard"]))
    sealed(file)
    with pytest.raises(StorageError, match="'unheard', which this Lockgate does not know: use 0"):
        restore(database_url, file)
    assert await ids_in(database_url) == []
    assert execute(database_url, "SELECT count(*) FROM message") == [(0,)]
