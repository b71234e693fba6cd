"""What writers, proxies and retention do themselves verifies, whatever happens to them meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from lockgate.records import ExchangeRow
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.log import SqlLog
from lockgate.storage.sealer import Sealer
from lockgate.storage.verify import Wanted, verify
from lockgate.storage.writer import Writer
from tests.storage.logs import Said, locked, written
from tests.storage.records import comm, exchange_row, whole_exchange
from tests.storage.talks import execute
from tests.storage.verifying import (
    KEYS,
    SIGNER,
    Kept,
    found,
    id_in,
    kept,
    literal,
    record,
    sentences,
)

__all__ = ["kept"]


@pytest.mark.postgres
async def test_two_proxies_on_one_server(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    logs = [SqlLog(postgres_url) for _ in range(2)]
    for log in logs:
        log.start()
    for _ in range(30):
        for log in logs:
            log.put(whole_exchange())
        await written(logs[0])
    for log in logs:
        assert await log.close() == []
    report = verify(postgres_url)
    assert (report.found, report.chains, report.rows) == (0, 2, 60 * 9)


async def test_a_log_that_goes_on_is_verified_as_it_was_at_one_moment(
    database_url: str, start: Callable[..., SqlLog]
) -> None:
    log = start(database_url)
    log.put(whole_exchange())
    await written(log)
    with ThreadPoolExecutor(1) as pool:
        checks = [pool.submit(verify, database_url) for _ in range(3)]
        while not checks[-1].done():
            begun, *rest = whole_exchange(outcome="open")
            assert isinstance(begun, ExchangeRow)
            for records in ([begun, *rest[:2]], [replace(begun, outcome="passed"), *rest[2:]]):
                log.put(records)
                await written(log)
    assert await log.close() == []
    assert [sentences(check.result()) for check in checks] == [[], [], []]


async def test_a_log_signs_what_it_writes(database_url: str, start: Callable[..., SqlLog]) -> None:
    log = start(database_url, signer=SIGNER)
    log.put(whole_exchange())
    assert await log.close() == []
    assert found(database_url, keys=KEYS, signed=True) == []


def test_two_writers_that_begin_at_once_begin_two_chains(database_url: str) -> None:
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as first, Writer(parse(database_url)) as second:
        for writer in (first, second, first):
            writer.write(whole_exchange())
    report = verify(database_url)
    assert (report.found, report.chains, report.seals, len(report.heads)) == (0, 2, 3, 2)
    record(database_url, whole_exchange())
    assert len(verify(database_url).heads) == 1
    execute(database_url, "DELETE FROM seal WHERE chain = 1 AND number = 2")
    assert "its seal 2, after which chain 3 began, is not there" in sentences(verify(database_url))[0]


async def test_what_is_written_twice_from_the_spill_verifies(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    row, *others = whole_exchange()
    assert isinstance(row, ExchangeRow)
    begun = replace(row, outcome="open", usage=None, counted_by="none")
    record(database_url, [begun, *others[:2]], [row, *others])
    async with locked(database_url):
        log = start(database_url, spill=tmp_path)
        log.put([begun, *others[:2]])
        log.put([row, *others])
        assert await log.close(drain_seconds=0.05) == []
    log = start(database_url, spill=tmp_path)
    assert await log.close() == []
    report = verify(database_url)
    assert (report.found, report.rows) == (0, 9)


def test_what_was_changed_before_it_is_written_again_shows(kept: Kept) -> None:
    execute(kept.url, f"UPDATE decision SET action = 'held' WHERE id = '{id_in(kept.url, kept.of('Decision').id)}'")
    record(kept.url, kept.records)
    assert found(kept.url) == [("changed", "decision")]


def test_a_commit_whose_answer_was_lost_leaves_one_chain(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        for lost in (True, False, True, False):
            batch = whole_exchange()
            if lost:
                with monkeypatch.context() as patch:
                    patch.setattr(Sealer, "committed", _lost)
                    with pytest.raises(ConnectionError):
                        writer.write(batch)
            writer.write(batch)
    report = verify(database_url)
    assert (report.found, report.chains, report.seals) == (0, 1, 6)


def test_a_batch_that_was_not_written_is_not_sealed(database_url: str) -> None:
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        for _ in range(2):
            with pytest.raises(Exception, match=r"(?i)foreign key"):
                writer.write([comm(exchange_row().id)])
            writer.write(whole_exchange())
    report = verify(database_url)
    assert (report.found, report.chains, report.seals) == (0, 1, 2)


def test_a_writer_whose_seals_were_changed_says_so_and_begins_anew(
    database_url: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        writer.write(whole_exchange())
        with monkeypatch.context() as patch:
            patch.setattr(Sealer, "committed", _lost)
            with pytest.raises(ConnectionError):
                writer.write(whole_exchange())
        execute(database_url, f"UPDATE seal SET seal = {literal(database_url, bytes(32))} WHERE number = 2")
        writer.write(whole_exchange())
    assert [(level, "changed by others" in text) for level, text in said.messages] == [("ERROR", True)]
    report = verify(database_url)
    assert (report.found, report.chains, report.rows) == (1, 2, 27)


def test_a_writer_goes_on_when_others_delete_all_seals(database_url: str, said: Said) -> None:
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        writer.write(whole_exchange())
        execute(database_url, "DELETE FROM seal", "DELETE FROM chain")
        writer.write(whole_exchange())
    assert [level for level, _ in said.messages] == ["ERROR"]
    report = verify(database_url)
    assert (report.found, report.chains, report.rows) == (0, 1, 9)
    assert report.unchecked[0].startswith("9 rows are older than the first seal")


def _lost(sealer: Sealer) -> None:
    raise ConnectionError


# Retention.


def retire(url: str, *exchange_ids: str) -> None:
    """As retention does it."""
    sealer = Sealer()
    engine = writer_engine(parse(url))
    with engine.begin() as connection:
        sealer.removed(connection, exchange_ids)
        for id in exchange_ids:
            _delete(connection, id)
    sealer.committed()
    engine.dispose()


def _delete(connection: Connection, id: str) -> None:
    connection.exec_driver_sql(f"DELETE FROM exchange WHERE id = '{id_in(str(connection.engine.url), id)}'")


def test_what_retention_removes_is_counted_and_the_rest_still_verifies(kept: Kept) -> None:
    retire(kept.url, kept.records[0].id)
    report = verify(kept.url)
    assert (report.found, report.retired, report.rows) == (0, len(kept.records), 18)
    execute(kept.url, "DELETE FROM decision")
    assert found(kept.url) == [("removed", "decision")] * 2


def test_retention_does_not_cover_what_others_remove(kept: Kept) -> None:
    execute(kept.url, f"DELETE FROM decision WHERE id = '{id_in(kept.url, kept.of('Decision').id)}'")
    retire(kept.url, kept.records[0].id)
    assert found(kept.url) == [("removed", "decision")]


def test_what_retention_removed_and_comes_back_from_a_spill_verifies(kept: Kept) -> None:
    retire(kept.url, kept.records[0].id)
    record(kept.url, kept.records)
    assert found(kept.url) == []


# What is looked at.


def test_since_compares_only_what_is_new(kept: Kept) -> None:
    execute(kept.url, f"UPDATE exchange SET model = 'another' WHERE id = '{id_in(kept.url, kept.records[0].id)}'")
    since = datetime.now(UTC) + timedelta(hours=1)
    report = verify(kept.url, Wanted(since=since))
    assert (report.found, report.rows, report.seals) == (0, 0, 6)
    assert any(sentence.startswith("rows from before") for sentence in report.unchecked)
    assert verify(kept.url, Wanted(since=since - timedelta(hours=2))).found == 1


def test_what_is_not_sealed_is_said(kept: Kept) -> None:
    assert any("labels, notes" in sentence for sentence in verify(kept.url).unchecked)
