"""Records become bytes and the same records again, and damage beside them costs only what it hit."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from lockgate.records import Record, Relation
from lockgate.storage import journal
from lockgate.storage.journal import Unreadable, frame, from_bytes, pieces, to_bytes
from tests.storage.records import comm, decision, exchange_row, frames_row, whole_exchange

KEY = b"a-file"
ODD = "a\x00b\ud800c Grüße 👩‍👩‍👧"
RECORDS: list[Record] = [
    *whole_exchange(),
    exchange_row(usage=None, status=None, rules=(), first_byte_ms=None, error=ODD),
    comm("x", content=None, headers=(), arguments={ODD: [ODD, None, 1.5, 2**60, {"a": True}]}),
    comm("x", content=b"", headers=((ODD, ODD),)),
    comm("x", content=bytes(range(256)) * 1000 + journal.MARK),
    decision("x", given=b"", out=b"\x00", score=None, reason=ODD),
    frames_row("x", ODD, "two"),
    Relation(from_comm_id="a", to_comm_id="b", type="continues", detail={}),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_comes_back_as_it_was(record: Record) -> None:
    assert from_bytes(to_bytes(record)) == record


def test_every_kind_of_record_is_known() -> None:
    """A new kind, or a field of a type that nobody thought of, fails here and not when the database is away."""
    kinds = typing.get_args(Record.__value__)
    assert set(journal._KINDS) == {kind.__name__ for kind in kinds}
    assert all(set(journal._KINDS[kind.__name__].forms) == {f.name for f in dataclasses.fields(kind)} for kind in kinds)


def test_a_field_that_is_not_there_takes_its_default() -> None:
    bare = to_bytes(comm("x")).replace(b'"trigger":"",', b"")
    head_length = int.from_bytes(to_bytes(comm("x"))[:4], "little") - len(b'"trigger":"",')
    found = from_bytes(head_length.to_bytes(4, "little") + bare[4:])
    assert getattr(found, "trigger", None) == ""


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x02\x00\x00\x00{}", b'\x0b\x00\x00\x00["Nobody",{}]'])
def test_what_is_no_record_of_this_version_is_said_so(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        from_bytes(payload)


def found(data: bytes) -> tuple[list[Record], int]:
    """The whole records in the data, and how many bytes are damaged."""
    all = list(pieces(data, 0, KEY))
    whole = [from_bytes(piece.payload) for piece in all if piece.payload is not None]
    return whole, sum(piece.end - piece.start for piece in all if piece.payload is None)


def test_a_file_cut_anywhere_keeps_every_record_before_the_cut() -> None:
    records: list[Record] = whole_exchange()[:3]
    frames = [frame(record, KEY) for record in records]
    data, ends = b"".join(frames), [sum(map(len, frames[: n + 1])) for n in range(3)]
    for cut in range(len(data) + 1):
        whole = sum(end <= cut for end in ends)
        assert found(data[:cut]) == (records[:whole], cut - sum(map(len, frames[:whole])))


def test_any_changed_byte_costs_one_record() -> None:
    records: list[Record] = whole_exchange()[:3]
    frames = [frame(record, KEY) for record in records]
    start = len(frames[0])
    for at in range(start, start + len(frames[1])):
        data = bytearray(b"".join(frames))
        data[at] ^= 0x55
        assert found(bytes(data)) == ([records[0], records[2]], len(frames[1]))


def test_what_a_client_sends_is_never_taken_for_a_record() -> None:
    """A body may hold the bytes of a spill, even of one whose name was guessed but for its random part."""
    forged = frame(exchange_row(), b"another-file")
    data = bytearray(frame(comm("x", content=forged), KEY))
    assert found(bytes(data))[1] == 0
    data[6] ^= 1
    assert found(bytes(data)) == ([], len(data))
