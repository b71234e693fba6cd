"""What others do to the log's rows and messages shows, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from lockgate.records import Record, Relation
from lockgate.storage.digests import FORM, FORMS
from lockgate.storage.findings import KEPT
from lockgate.storage.models import Base
from lockgate.storage.seals import TAGS
from lockgate.storage.verify import verify
from tests.storage.records import audit_entry, comm, decision, exchange_row, whole_exchange
from tests.storage.talks import exchange, execute, user
from tests.storage.verifying import (
    Kept,
    columns_of,
    found,
    hex_of,
    id_in,
    kept,
    literal,
    record,
    sentences,
    talk_of,
)

__all__ = ["kept"]

ODD = "a\x00b\ud800c\x1ae\x1a0000 Grüße 👩‍👩‍👧"
ROWS = [
    ("exchange", "ExchangeRow", "model = 'another'"),
    ("exchange", "ExchangeRow", "started_at = '2026-11-21 09:30:00.123457'"),
    ("exchange", "ExchangeRow", "cost_nano_usd = 1"),
    ("exchange", "ExchangeRow", "duration_ms = 99.5"),
    ("exchange", "ExchangeRow", "rules = '[\"mask\"]'"),
    ("exchange", "ExchangeRow", "streamed = NOT streamed"),
    ("comm", "Comm", "source = 'nobody'"),
    ("comm", "Comm", "arguments = '{}'"),
    ("comm", "Comm", "thread = NULL"),
    ("comm", "Comm", "digest = NULL"),
    ("comm_relationship", "Relation", "relationship_type = 'modified_to'"),
    ("comm_relationship", "Relation", "metadata = '{\"a\":1}'"),
    ("decision", "Decision", "action = 'forwarded'"),
    ("decision", "Decision", "score = NULL"),
    ("decision", "Decision", "given = out"),
    ("frames", "FramesRow", "content = '{}'"),
]


def test_rows_that_were_changed_are_named(database_url: str) -> None:
    """Each in an exchange of its own."""
    batches = [talk_of(f"Number {number}.") for number in range(len(ROWS))]
    record(database_url, *batches)
    expected: set[tuple[str, str, str]] = set()
    for batch, (table, kind, change) in zip(batches, ROWS, strict=True):
        changed = Kept(database_url, batch).of(kind)
        execute(database_url, f"UPDATE {table} SET {change} WHERE id = '{id_in(database_url, changed.id)}'")
        expected.add((table, changed.id, batch[0].id))
    report = verify(database_url)
    assert {(one.table, one.id, one.exchange_id) for one in report.findings} == expected
    assert report.found == len(ROWS)
    for one in report.findings:
        assert one.kind == "changed"
        assert one.sentence.startswith(f"{one.table} {one.id}")
        assert "was changed: it is not what seal" in one.sentence


@pytest.mark.parametrize(("table", "kind"), dict.fromkeys(row[:2] for row in ROWS))
def test_a_row_that_was_removed_is_named(kept: Kept, table: str, kind: str) -> None:
    gone = kept.of(kind)
    execute(kept.url, f"DELETE FROM {table} WHERE id = '{id_in(kept.url, gone.id)}'")
    report = verify(kept.url)
    assert [(one.kind, one.table, one.id) for one in report.findings] == [("removed", table, gone.id)]
    assert report.findings[0].exchange_id == kept.records[0].id


@pytest.mark.parametrize("table", list(TAGS))
def test_a_row_that_was_inserted_is_named(kept: Kept, table: str) -> None:
    record(kept.url, [audit_entry()])
    columns = [name for name in columns_of(kept.url, table) if name != "id"]
    new = "0" * 31 + "1"
    names = ", ".join(f'"{name}"' for name in columns)
    execute(kept.url, f"INSERT INTO {table} (id, {names}) SELECT '{new}', {names} FROM {table} LIMIT 1")
    report = verify(kept.url)
    assert [(one.kind, one.table, hex_of(one.id)) for one in report.findings] == [("inserted", table, new)]
    assert "no seal covers it" in report.findings[0].sentence


def test_rows_that_changed_places_are_both_named(kept: Kept) -> None:
    first, second = (one for one in kept.records if type(one).__name__ == "Comm")
    for a, b in ((first.id, "f" * 32), (second.id, hex_of(first.id)), ("f" * 32, hex_of(second.id))):
        execute(kept.url, f"UPDATE comm SET id = '{b}' WHERE id = '{id_in(kept.url, a)}'")
    assert found(kept.url) == [("changed", "comm")] * 2


@pytest.mark.parametrize(
    ("table", "change", "sentence"),
    [
        ("message", "UPDATE message SET content = {bytes} WHERE kind = 'message'", "was changed: its content has"),
        ("message", "UPDATE message SET kind = 'tools' WHERE kind = 'message'", "was changed: its content has"),
        ("message", "DELETE FROM message", "was removed: a thread holds it"),
        ("blob", "UPDATE blob SET content = {bytes}", "was changed: its content has another hash"),
        ("blob", "DELETE FROM blob", "was removed: a message holds this file"),
        (
            "thread",
            "UPDATE thread SET parent = NULL WHERE depth = 1",
            "was changed: it does not follow from its parent",
        ),
        ("thread", "UPDATE thread SET depth = 5 WHERE depth = 3", "was changed: its depth is not one more"),
        ("thread", "DELETE FROM thread WHERE depth = 0", "was removed: what follows it is there"),
        ("thread", "DELETE FROM thread WHERE depth = 3", "was removed: what follows it is there"),
    ],
)
def test_what_conversations_are_made_of_is_named_with_an_exchange(
    kept: Kept, table: str, change: str, sentence: str
) -> None:
    execute(kept.url, change.replace("{bytes}", literal(kept.url, b'{"role":"user","content":"Other."}')))
    first = verify(kept.url).findings[0]
    assert (first.table, first.exchange_id) == (table, kept.records[0].id)
    assert sentence in first.sentence


def test_every_change_is_counted_and_the_oldest_is_first(database_url: str) -> None:
    rows = [exchange_row() for _ in range(KEPT + 20)]
    record(database_url, rows)
    execute(database_url, "UPDATE exchange SET model = 'another'")
    report = verify(database_url)
    assert (report.found, len(report.findings), report.rows) == (KEPT + 20, KEPT, 0)
    assert [one.id for one in report.findings] == [row.id for row in rows[:KEPT]]


@pytest.mark.parametrize(
    ("table", "column", "junk"),
    [
        ("exchange", "started_at", "'yesterday'"),
        ("exchange", "rules", "'{'"),
        ("exchange", "model", "CAST(x'ff00' AS TEXT)"),
        ("exchange", "id", "'junk'"),
        ("comm", "thread", "'text'"),
        ("comm", "envelope", "x'7800'"),
        ("comm", "exchange_id", "'zz'"),
        ("decision", "milliseconds", "'long'"),
        ("message", "content", "x'78'"),
        ("message", "blobs", "12"),
        ("blob", "content", "'text'"),
        ("thread", "parent", "7"),
        ("thread", "hash", "'text' WHERE depth = 0"),
        ("seal", "entries", "x'01ff'"),
        ("seal", "entries", "'text'"),
        ("seal", "seal", "NULL"),
        ("seal", "number", "'one'"),
        ("seal", "chain", "'one'"),
        ("chain", "beginning", "x''"),
        ("chain", "beginning", "x'7b7d'"),
    ],
)
def test_what_cannot_even_be_read_is_a_finding(sqlite_url: str, table: str, column: str, junk: str) -> None:
    """SQLite takes anything anywhere."""
    record(sqlite_url, talk_of("Three."))
    if junk == "NULL":
        execute(sqlite_url, f"CREATE TABLE other AS SELECT * FROM {table}", f"DROP TABLE {table}",
                f"ALTER TABLE other RENAME TO {table}")  # fmt: skip
    execute(sqlite_url, f"UPDATE {table} SET {column} = {junk}")
    assert verify(sqlite_url).found


def test_all_that_can_be_recorded_reads_equal(database_url: str) -> None:
    """Odd characters, numbers and times give the digest that they were sealed with."""
    row = exchange_row(model=ODD, rules=(ODD, ""), error=ODD, first_byte_ms=12, duration_ms=1e-300, usage=None)
    east = datetime(2026, 11, 21, 15, 0, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    records: list[Record] = [
        row,
        exchange_row(started_at=east, first_byte_ms=-0.0, duration_ms=0.1 + 0.2, status=None, cost_nano_usd=2**62),
        first := comm(row.id, arguments={ODD: [2**60, 2**70, 0.1, -0.0, None, True]}, headers=((ODD, ODD),)),
        second := comm(row.id, content=bytes(range(256)), created_at=east.replace(microsecond=0), status=0),
        comm(row.id, content=b""),
        comm(row.id, content=None, headers=()),
        Relation(from_comm_id=first.id, to_comm_id=second.id, type="continues", detail={ODD: {"b": 1.0, "a": 1}}),
        decision(row.id, reason=ODD, given=b"\x00", out=b"", score=5e-324, milliseconds=3),
        decision(row.id, score=float("inf")),
        *exchange({"messages": [user(ODD * 300)], "x": 1.0, "y": 10**30}),
        *exchange(b'{ "messages" : [ ] }'),
        *exchange(b'"\xff\x00 is no JSON at all'),
    ]
    record(database_url, records)
    report = verify(database_url)
    assert sentences(report) == []
    assert report.rows == len(records)


def test_an_exchange_that_went_on_is_as_its_last_seal_says(database_url: str) -> None:
    begun = exchange_row(outcome="open", usage=None)
    record(database_url, [begun], [replace(begun, outcome="passed")])
    assert found(database_url) == []
    execute(database_url, "UPDATE exchange SET outcome = 'open'")
    assert found(database_url) == [("changed", "exchange")]


def test_an_exchange_that_never_ended_is_as_its_only_seal_says(database_url: str) -> None:
    record(database_url, whole_exchange(outcome="open")[:2])
    assert found(database_url) == []


def test_every_column_is_covered() -> None:
    """A migration that adds a column fails here: the newest version has to cover it."""
    columns = {table: {column.name for column in Base.metadata.tables[table].columns} for table in TAGS}
    assert {table: set(names) for table, names in FORMS[FORM].items()} == columns


def test_a_version_that_came_later_leaves_older_rows_alone(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {table: tuple(name for name in names if name != "session_id") for table, names in FORMS[FORM].items()}
    with monkeypatch.context() as patch:
        patch.setattr("lockgate.storage.digests.FORMS", {FORM: fewer})
        record(database_url, whole_exchange(), whole_exchange())
    monkeypatch.setattr("lockgate.storage.sealer.FORM", FORM + 1)
    for module in ("digests", "rows"):
        monkeypatch.setattr(f"lockgate.storage.{module}.FORMS", {FORM: fewer, FORM + 1: FORMS[FORM]})
    record(database_url, whole_exchange())
    assert found(database_url) == []
    execute(database_url, "UPDATE exchange SET session_id = 'another'")
    assert found(database_url) == [("changed", "exchange")]


def test_rows_that_are_older_than_the_seals_are_counted_and_not_blamed(database_url: str) -> None:
    old, new = whole_exchange(), whole_exchange()
    record(database_url, old)
    execute(database_url, "DELETE FROM seal", "DELETE FROM chain")
    record(database_url, new)
    report = verify(database_url)
    assert (report.found, report.rows, len(old) == len(new)) == (0, len(new), True)
    assert report.unchecked[0] == f"{len(old)} rows are older than the first seal: nothing is known of them"
