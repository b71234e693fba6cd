"""What others do to the log shows: each row, each message and each seal, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, select

from lockgate.certs.signing import SigningKey
from lockgate.exchange import ExchangeRow, Record, Relation, TurnRow
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.digests import FORM, FORMS, raw_form
from lockgate.storage.engine import writer_engine
from lockgate.storage.findings import KEPT
from lockgate.storage.log import SqlLog
from lockgate.storage.models import Base
from lockgate.storage.sealer import Sealer
from lockgate.storage.seals import TABLES, TAGS, Beginning, Entry, Head, beginning_hash, pack, seal_hash, unpack
from lockgate.storage.verify import Report, Wanted, verify
from lockgate.storage.writer import Writer
from tests.storage.logs import Said, locked, written
from tests.storage.records import audit_entry, comm, decision, exchange_row, frames_row, whole_exchange
from tests.storage.test_threads import IMAGE, exchange, execute, says, user

ODD = "a\x00b\ud800c\x1ae\x1a0000 Grüße 👩‍👩‍👧"
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
SIGNER, OTHER = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(2))
KEYS = [SIGNER.public_key]


def sentences(report: Report) -> list[str]:
    return [finding.sentence for finding in report.findings]


def found(url: str, **wanted: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.table) for one in verify(url, Wanted(**wanted)).findings]


def record(url: str, *batches: Iterable[Record], signer: SigningKey | None = None) -> None:
    """One run of a writer."""
    schema.upgrade(url)
    with Writer(parse(url), signer=signer) as writer:
        for batch in batches:
            writer.write(list(batch))


def hex_of(id: str) -> str:
    return id.replace("-", "")


def literal(url: str, value: bytes) -> str:
    return f"x'{value.hex()}'" if url.startswith("sqlite") else f"'\\x{value.hex()}'::bytea"


@dataclass
class Kept:
    """A log of three runs, with one exchange in the middle one to do things to."""

    url: str
    records: list[Record]

    def of(self, kind: str) -> Record:
        return next(one for one in self.records if type(one).__name__ == kind)


def talk_of(text: str) -> list[Record]:
    """An exchange in parts, a decision, the turn that was released, and the frames of the reply."""
    messages = [user([{"type": "text", "text": "One."}, PICTURE]), says("Two."), user(text)]
    reply = {"id": "m1", "role": "assistant", "content": [{"type": "text", "text": "Four."}]}
    records = exchange({"messages": messages}, reply)
    digests = {"node": b"n", "parent": b"", "meaning": b"m", "words": b"w"}
    turn = TurnRow(exchange_id=records[0].id, session_id="s", comm_id=records[-1].id, **digests)
    return [*records, decision(records[0].id), turn, frames_row(records[0].id)]


@pytest.fixture
def kept(database_url: str) -> Kept:
    middle = talk_of("Three.")
    for batch in (whole_exchange(), middle, whole_exchange()):
        record(database_url, batch[:2], batch)
    assert verify(database_url).found == 0
    return Kept(database_url, middle)


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
        execute(database_url, f"UPDATE {table} SET {change} WHERE id = '{_id(database_url, changed.id)}'")
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
    execute(kept.url, f"DELETE FROM {table} WHERE id = '{_id(kept.url, gone.id)}'")
    report = verify(kept.url)
    assert [(one.kind, one.table, one.id) for one in report.findings] == [("removed", table, gone.id)]
    assert report.findings[0].exchange_id == kept.records[0].id


@pytest.mark.parametrize("table", list(TAGS))
def test_a_row_that_was_inserted_is_named(kept: Kept, table: str) -> None:
    record(kept.url, [audit_entry()])
    columns = [name for name in _columns(kept.url, table) if name != "id"]
    new = "0" * 31 + "1"
    names = ", ".join(f'"{name}"' for name in columns)
    execute(kept.url, f"INSERT INTO {table} (id, {names}) SELECT '{new}', {names} FROM {table} LIMIT 1")
    report = verify(kept.url)
    assert [(one.kind, one.table, hex_of(one.id)) for one in report.findings] == [("inserted", table, new)]
    assert "no seal covers it" in report.findings[0].sentence


def test_rows_that_changed_places_are_both_named(kept: Kept) -> None:
    first, second = (one for one in kept.records if type(one).__name__ == "Comm")
    for a, b in ((first.id, "f" * 32), (second.id, hex_of(first.id)), ("f" * 32, hex_of(second.id))):
        execute(kept.url, f"UPDATE comm SET id = '{b}' WHERE id = '{_id(kept.url, a)}'")
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


def test_a_log_that_begins_anew_is_not_taken_for_a_signed_one(signed: str) -> None:
    execute(signed, "DELETE FROM seal", "DELETE FROM chain", "UPDATE exchange SET model = 'forged'")
    record(signed, whole_exchange(), signer=SIGNER)
    (sentence,) = sentences(verify(signed, Wanted(keys=KEYS, signed=True)))
    assert "36 rows are older than the first seal" in sentence


# The seals themselves.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DELETE FROM seal WHERE chain = 2 AND number = 1", "seal 1 of chain 2 was removed: the next one"),
        ("DELETE FROM seal WHERE chain = 2 AND number = 2", "the end of chain 2 was cut off: its seal 2, after which"),
        ("DELETE FROM seal WHERE chain = 2", "the seals of chain 2 were removed"),
        ("DELETE FROM chain WHERE number = 2", "chain 2 was removed: one that began after it is there"),
        ("UPDATE seal SET seal = {bytes} WHERE chain = 2 AND number = 1", "seal 1 of chain 2 was changed"),
        ("UPDATE seal SET entries = {entries} WHERE chain = 2 AND number = 2", "seal 2 of chain 2 was changed"),
        ("UPDATE chain SET beginning = {beginning} WHERE number = 2", "seal 1 of chain 2 was changed"),
        ("UPDATE seal SET number = number + 1 WHERE chain = 3 AND number = 2", "seal 2 of chain 3 was removed"),
    ],
)
def test_a_chain_that_was_changed_is_named(kept: Kept, change: str, sentence: str) -> None:
    values = {
        "{bytes}": bytes(32),
        "{entries}": pack(1, []),
        "{beginning}": Beginning(created_at="yesterday").to_bytes(),
    }
    for name, value in values.items():
        change = change.replace(name, literal(kept.url, value))
    execute(kept.url, change)
    assert sentences(verify(kept.url))[0].startswith(sentence)


def test_a_whole_chain_cannot_go_with_its_rows(kept: Kept) -> None:
    _forget(kept.url, chain=2, rows=kept.records)
    assert sentences(verify(kept.url)) == ["chain 2 was removed: one that began after it is there"]


def test_an_end_that_was_cut_off_with_its_rows_shows_against_a_head(kept: Kept) -> None:
    (head,) = verify(kept.url).heads
    later = whole_exchange()
    record(kept.url, later)
    noted = verify(kept.url, Wanted(heads=[Head.parse(head)]))
    assert noted.found == 0
    assert not any("cut off" in sentence for sentence in noted.unchecked)
    (last,) = noted.heads
    _forget(kept.url, chain=4, rows=later)
    honest = verify(kept.url)
    assert honest.found == 0
    assert any("whether the end of a chain was cut off" in sentence for sentence in honest.unchecked)
    (sentence,) = sentences(verify(kept.url, Wanted(heads=[Head.parse(head), Head.parse(last)])))
    assert sentence == "chain 4 was removed, and so its seal 1, which was noted"


def test_a_cut_in_a_chain_shows_against_a_head(kept: Kept) -> None:
    (head,) = map(Head.parse, verify(kept.url).heads)
    execute(kept.url, f"DELETE FROM seal WHERE chain = 3 AND number = {head.number}")
    cut = "the end of chain 3 was cut off: its seal 2, which was noted, is not there, and its last is 1"
    assert cut in sentences(verify(kept.url, Wanted(heads=[head])))


# Who can write to the database, and who signs.


def remake(url: str, signer: SigningKey | None = None, *, first: int = 1) -> None:
    """Somebody seals anew what they changed: each chain from `first` on, from what is in the database."""
    heads: dict[int, Head] = {}
    for number, beginning in execute(url, "SELECT number, beginning FROM chain ORDER BY number"):
        given = Beginning.from_bytes(bytes(beginning))
        after = tuple(heads.get(head.chain, head) for head in given.after)
        made = replace(given, after=after, key=signer and signer.public_key).to_bytes()
        made = bytes(beginning) if number < first else made
        before = beginning_hash(number, made)
        execute(url, f"UPDATE chain SET beginning = {literal(url, made)} WHERE number = {number}")
        for place, entries in execute(url, f"SELECT number, entries FROM seal WHERE chain = {number} ORDER BY number"):
            covered = pack(1, map(_redigest(url), unpack(bytes(entries))[1]))
            before = seal_hash(before, number, place, covered)
            heads[number] = Head(chain=number, number=place, seal=before)
            signature = literal(url, signer.sign(before)) if signer else "NULL"
            if number >= first:
                execute(
                    url,
                    f"UPDATE seal SET entries = {literal(url, covered)}, seal = {literal(url, before)},"
                    f" signature = {signature} WHERE chain = {number} AND number = {place}",
                )


def _redigest(url: str) -> Callable[[Entry], Entry]:
    def made(entry: Entry) -> Entry:
        engine = writer_engine(parse(url))
        with engine.connect() as connection:
            form = raw_form(TABLES[entry.tag], 1, connection.dialect)
            id = form.columns[0]
            row = connection.execute(select(*form.selected).where(id == entry.id.hex())).one()
            digest = form.digest_raw(row)
        engine.dispose()
        return entry._replace(digest=digest)

    return made


def test_an_unsigned_chain_can_be_made_anew_and_verify_says_so(kept: Kept) -> None:
    (head,) = verify(kept.url).heads
    execute(kept.url, f"UPDATE exchange SET model = 'forged' WHERE id = '{_id(kept.url, kept.records[0].id)}'")
    remake(kept.url)
    report = verify(kept.url)
    assert report.found == 0
    honest = "6 of 6 seals, in chains 1, 2, 3, have no signature of a known key: who can write to the database can make"
    assert report.unchecked[-1].startswith(honest)  # nobody expected signatures
    for wanted in (Wanted(signing=True), Wanted(keys=KEYS), Wanted(signed=True)):
        assert verify(kept.url, wanted).unchecked[0].startswith(honest)
    assert verify(kept.url, Wanted(heads=[Head.parse(head)])).found == 1
    assert found(kept.url, signed=True) == [("chain", "seal")]


@pytest.fixture
def signed(database_url: str) -> str:
    for _ in range(2):
        record(database_url, whole_exchange(), whole_exchange(), signer=SIGNER)
    report = verify(database_url, Wanted(keys=KEYS, signed=True))
    assert (report.found, any("signature" in sentence for sentence in report.unchecked)) == (0, False)
    return database_url


def test_without_the_key_nothing_can_be_made_anew(signed: str) -> None:
    execute(signed, "UPDATE exchange SET model = 'forged'")
    remake(signed, OTHER)
    (sentence,) = sentences(verify(signed, Wanted(keys=KEYS, signed=True)))
    assert sentence.startswith("4 of 4 seals, in chains 1, 2, have no signature of a known key")
    assert sentence.endswith(f"there are signatures of key {OTHER.public_key.hex()}")
    remake(signed)
    assert found(signed, keys=KEYS, signed=True) == [("chain", "seal")]


def test_a_signature_that_does_not_fit_is_named(signed: str) -> None:
    execute(signed, "UPDATE seal SET signature = NULL WHERE chain = 2 AND number = 1")
    expected = "seal 1 of chain 2 was changed: its signature is not one of its chain's key"
    assert sentences(verify(signed, Wanted(keys=KEYS))) == [expected]


def test_the_end_of_a_signed_chain_cannot_be_made_by_others(signed: str) -> None:
    remake(signed, OTHER, first=2)
    report = verify(signed, Wanted(keys=KEYS))
    assert any(one.startswith("2 of 4 seals, in chain 2, have no signature") for one in report.unchecked)


def test_a_signed_chain_stands_behind_those_that_it_began_after(database_url: str) -> None:
    for signer in (None, None, SIGNER):
        record(database_url, whole_exchange(), signer=signer)
    assert found(database_url, keys=KEYS, signed=True) == []
    execute(database_url, "UPDATE exchange SET model = 'forged'")
    remake(database_url, first=1)
    assert found(database_url, keys=KEYS, signed=True)


def test_a_key_that_nobody_knows_is_said(signed: str) -> None:
    report = verify(signed)
    assert report.found == 0
    assert any(f"signatures of key {SIGNER.public_key.hex()}" in sentence for sentence in report.unchecked)


# Several writers, and what happens to them.


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
    execute(kept.url, f"UPDATE decision SET action = 'held' WHERE id = '{_id(kept.url, kept.of('Decision').id)}'")
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
    connection.exec_driver_sql(f"DELETE FROM exchange WHERE id = '{_id(str(connection.engine.url), id)}'")


def test_what_retention_removes_is_counted_and_the_rest_still_verifies(kept: Kept) -> None:
    retire(kept.url, kept.records[0].id)
    report = verify(kept.url)
    assert (report.found, report.retired, report.rows) == (0, len(kept.records), 18)
    execute(kept.url, "DELETE FROM decision")
    assert found(kept.url) == [("removed", "decision")] * 2


def test_retention_does_not_cover_what_others_remove(kept: Kept) -> None:
    execute(kept.url, f"DELETE FROM decision WHERE id = '{_id(kept.url, kept.of('Decision').id)}'")
    retire(kept.url, kept.records[0].id)
    assert found(kept.url) == [("removed", "decision")]


def test_what_retention_removed_and_comes_back_from_a_spill_verifies(kept: Kept) -> None:
    retire(kept.url, kept.records[0].id)
    record(kept.url, kept.records)
    assert found(kept.url) == []


# What is looked at.


def test_since_compares_only_what_is_new(kept: Kept) -> None:
    execute(kept.url, f"UPDATE exchange SET model = 'another' WHERE id = '{_id(kept.url, kept.records[0].id)}'")
    since = datetime.now(UTC) + timedelta(hours=1)
    report = verify(kept.url, Wanted(since=since))
    assert (report.found, report.rows, report.seals) == (0, 0, 6)
    assert any(sentence.startswith("rows from before") for sentence in report.unchecked)
    assert verify(kept.url, Wanted(since=since - timedelta(hours=2))).found == 1


def test_what_is_not_sealed_is_said(kept: Kept) -> None:
    assert any("labels, notes" in sentence for sentence in verify(kept.url).unchecked)


def _id(url: str, id: str) -> str:
    return hex_of(id) if url.startswith("sqlite") else id


def _columns(url: str, table: str) -> list[str]:
    return [column.name for column in Base.metadata.tables[table].columns]


def _forget(url: str, *, chain: int, rows: Iterable[Record]) -> None:
    """All that there is of a chain."""
    tables = {
        "ExchangeRow": "exchange",
        "Comm": "comm",
        "Relation": "comm_relationship",
        "Decision": "decision",
        "TurnRow": "turn",
        "FramesRow": "frames",
    }
    for one in rows:
        execute(url, f"DELETE FROM {tables[type(one).__name__]} WHERE id = '{_id(url, one.id)}'")
    execute(url, f"DELETE FROM seal WHERE chain = {chain}", f"DELETE FROM chain WHERE number = {chain}")
