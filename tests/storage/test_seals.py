"""Seals as bytes: what is packed comes back, and every part of what a seal covers counts."""

from __future__ import annotations

import pytest

from lockgate.errors import Error
from lockgate.storage.entries import Entries
from lockgate.storage.seals import Beginning, Entry, Head, beginning_hash, pack, seal_hash, unpack

ENTRIES = [Entry(tag=1, id=bytes(16), digest=b"d" * 16), Entry(tag=4, id=b"i" * 16, digest=None)]
HEAD = Head(chain=3, number=17, seal=bytes(range(32)))


def test_entries_come_back() -> None:
    form, entries = unpack(pack(7, ENTRIES))
    assert (form, list(entries)) == (7, ENTRIES)
    assert list(unpack(pack(1, []))[1]) == []


@pytest.mark.parametrize("packed", [b"", b"\x01short", pack(1, ENTRIES)[:-1]])
def test_other_bytes_are_no_entries(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no entries"):
        unpack(packed)


def test_a_head_is_text_and_back() -> None:
    assert Head.parse(f" {str(HEAD).upper()}\n") == HEAD
    for text in ("", "3:17", "3:17:abcd", f"{HEAD}0"):
        with pytest.raises(Error, match="is no head: give one that `lockgate log verify` printed"):
            Head.parse(text)


def test_a_beginning_comes_back() -> None:
    for key in (None, bytes(32)):
        beginning = Beginning(id="x", created_at="now", key=key, after=(HEAD,), older={"comm": "00"})
        assert Beginning.from_bytes(beginning.to_bytes()) == beginning


def test_everything_counts_in_a_seal() -> None:
    packed = pack(1, ENTRIES)
    seals = {
        seal_hash(before, chain, number, entries)
        for before in (bytes(32), HEAD.seal)
        for chain, number in ((1, 11), (11, 1), (1, 1))
        for entries in (packed, pack(2, ENTRIES), pack(1, ENTRIES[:1]))
    }
    assert len(seals) == 2 * 3 * 3
    assert len({beginning_hash(chain, text) for chain in (1, 11) for text in (b"{}", b"1{}")}) == 4


def test_of_rows_that_were_sealed_twice_the_first_counts_and_of_exchanges_the_last() -> None:
    def one(tag: int, letter: bytes | None) -> bytes:
        return pack(1, [Entry(tag=tag, id=bytes(16), digest=letter and letter * 16)])

    with Entries() as entries:
        for number, letter in enumerate((b"a", None, b"b")):
            for tag in (1, 2):
                entries.take(5, number, one(tag, letter))
        entries.take(5, 9, one(3, None))
        exchange, comm, relation = (next(entries.of(tag)) for tag in (1, 2, 3))
    assert (exchange.digest, exchange.seal, exchange.retired) == (b"b" * 16, (5, 2), 1)
    assert (comm.digest, comm.seal, comm.retired) == (b"a" * 16, (5, 0), 1)
    assert (relation.digest, relation.retired) == (None, 1)
