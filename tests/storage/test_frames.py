"""Frames in the log: any bytes on both databases, gone with their exchange, in backups, archives and under seals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate.errors import StorageError
from lockgate.frames.told import LeftOut
from lockgate.records import FramesRow, Record, now
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.backup import backup, restore
from lockgate.storage.engine import writer_engine
from lockgate.storage.prune import Plan, Pruner
from lockgate.storage.queries import Queries
from lockgate.storage.verify import verify
from tests.storage import logs
from tests.storage.records import exchange_row, frames_row, whole_exchange
from tests.storage.talks import execute

ODD = 'data: {"a": "\x00\ud800 b \x1a0000 Grüße"}\n\n'


async def remember(url: str, records: Sequence[Record]) -> None:
    schema.upgrade(url)
    await logs.remember(url, records)


async def data_of(url: str, id: str) -> list[bytes]:
    async with Queries(url) as log:
        frames = await log.frames(id)
    return [each.data for each in frames.items] if frames else []


async def test_any_bytes_come_back(database_url: str) -> None:
    row, other = exchange_row(), exchange_row()
    await remember(database_url, [row, other, frames_row(row.id, ODD, "two", "three" * 9000)])
    came, three = ODD.encode("utf-8", "surrogatepass"), b"three" * 9000
    assert await data_of(database_url, row.id) == [came, b"two", three, came, three, b"other \xff"]
    assert await data_of(database_url, other.id) == []
    async with Queries(database_url) as log:
        frames = await log.frames(row.id)
    assert frames is not None
    assert frames.left_out["original"] == LeftOut(frames=1, bytes=1204)


async def test_written_twice_is_written_once_and_what_comes_early_waits(database_url: str) -> None:
    row = exchange_row()
    frames = frames_row(row.id)
    await remember(database_url, [frames, row, frames])
    assert len(await data_of(database_url, row.id)) == 4
    assert verify(database_url).found == 0


async def test_they_go_with_their_exchange_into_the_archive_and_back(database_url: str, tmp_path: Path) -> None:
    old, new = (exchange_row(started_at=now() - timedelta(days=days)) for days in (9, 1))
    await remember(database_url, [old, frames_row(old.id, ODD), new, frames_row(new.id)])
    engine = writer_engine(parse(database_url))
    done = Pruner(engine, Plan(until=now() - timedelta(days=5), archive=tmp_path)).run()
    engine.dispose()
    assert (done.exchanges, done.sizes.rows["frames"]) == (1, 1)
    assert (await data_of(database_url, old.id), len(await data_of(database_url, new.id))) == ([], 4)
    assert verify(database_url).found == 0
    restore(database_url, done.archives[0])
    assert (await data_of(database_url, old.id))[0] == ODD.encode("utf-8", "surrogatepass")
    assert verify(database_url).found == 0


async def test_they_are_in_a_backup(database_url: str, tmp_path: Path) -> None:
    records = whole_exchange()
    await remember(database_url, [*records, frames_row(records[0].id, ODD)])
    assert backup(database_url, tmp_path / "log.jsonl.zst")["frames"] == 1
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    restore(fresh, tmp_path / "log.jsonl.zst")
    assert await data_of(fresh, records[0].id) == await data_of(database_url, records[0].id)
    assert verify(fresh).found == 0


@pytest.mark.parametrize("content", [b"xx", b'{"original": 1}', b'{"original": [[1]]}', b"[]", b"\xff"], ids=range(5))
async def test_what_others_changed_is_said_so(database_url: str, content: bytes) -> None:
    row = exchange_row()
    await remember(database_url, [row, FramesRow(exchange_id=row.id, content=b"{}")])
    value = f"x'{content.hex()}'" if database_url.startswith("sqlite") else f"'\\x{content.hex()}'::bytea"
    execute(database_url, f"UPDATE frames SET content = {value}")
    with pytest.raises(StorageError, match="were changed by others"):
        await data_of(database_url, row.id)
