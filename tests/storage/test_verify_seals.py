"""What others do to the seals shows, and what only who signs can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from lockgate.certs.signing import SigningKey
from lockgate.storage.address import parse
from lockgate.storage.digests import raw_form
from lockgate.storage.engine import writer_engine
from lockgate.storage.seals import TABLES, Beginning, Entry, Head, beginning_hash, pack, seal_hash, unpack
from lockgate.storage.verify import Wanted, verify
from tests.storage.records import whole_exchange
from tests.storage.talks import execute
from tests.storage.verifying import (
    KEYS,
    OTHER,
    SIGNER,
    Kept,
    forget,
    found,
    id_in,
    kept,
    literal,
    record,
    sentences,
    signed,
)

__all__ = ["kept", "signed"]


def test_a_log_that_begins_anew_is_not_taken_for_a_signed_one(signed: str) -> None:
    execute(signed, "DELETE FROM seal", "DELETE FROM chain", "UPDATE exchange SET model = 'forged'")
    record(signed, whole_exchange(), signer=SIGNER)
    (sentence,) = sentences(verify(signed, Wanted(keys=KEYS, signed=True)))
    assert "36 rows are older than the first seal" in sentence


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
    forget(kept.url, chain=2, rows=kept.records)
    assert sentences(verify(kept.url)) == ["chain 2 was removed: one that began after it is there"]


def test_an_end_that_was_cut_off_with_its_rows_shows_against_a_head(kept: Kept) -> None:
    (head,) = verify(kept.url).heads
    later = whole_exchange()
    record(kept.url, later)
    noted = verify(kept.url, Wanted(heads=[Head.parse(head)]))
    assert noted.found == 0
    assert not any("cut off" in sentence for sentence in noted.unchecked)
    (last,) = noted.heads
    forget(kept.url, chain=4, rows=later)
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
    execute(kept.url, f"UPDATE exchange SET model = 'forged' WHERE id = '{id_in(kept.url, kept.records[0].id)}'")
    remake(kept.url)
    report = verify(kept.url)
    assert report.found == 0
    honest = "6 of 6 seals, in chains 1, 2, 3, have no signature of a known key: who can write to the database can make"
    assert report.unchecked[-1].startswith(honest)  # nobody expected signatures
    for wanted in (Wanted(signing=True), Wanted(keys=KEYS), Wanted(signed=True)):
        assert verify(kept.url, wanted).unchecked[0].startswith(honest)
    assert verify(kept.url, Wanted(heads=[Head.parse(head)])).found == 1
    assert found(kept.url, signed=True) == [("chain", "seal")]


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
