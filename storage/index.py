"""What makes exchanges findable, written with the records it comes from: texts said, and tools called.

No text is kept here: `lockgate.storage.places` reads it back from where it was said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count, islice
from typing import Any, cast

from sqlalchemy import Connection, Insert, Table, bindparam, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.errors import WireError
from lockgate.records import Comm, Record
from lockgate.storage.address import Address
from lockgate.storage.columns import Id, escape, gaps
from lockgate.storage.models import SaidModel, ToolUseModel
from lockgate.storage.said import Said, Spoken, spoken
from lockgate.storage.words import MOST_PIECES, pieces, words
from lockgate.wire.conversation import Conversation

type Row = dict[str, Any]

logger = logging.getLogger("lockgate.log")
OURS = "lockgate"
"""Who sends a request that a rule changed: what was said in it stands in the client's."""
DIGEST_BYTES = 8
"""They tell the texts of one exchange apart."""
_LAST = select(func.coalesce(func.max(SaidModel.number), 0))
_FTS5 = text(
    "INSERT INTO said_fts (rowid, text) SELECT number, :text FROM said"
    " WHERE exchange_id = :exchange_id AND digest = :digest AND number > :last"
).bindparams(bindparam("exchange_id", type_=Id()))
_FTS5_VALUES = ("exchange_id", "digest", "text")


class Index:
    """Writes to one database. Doing it twice is the same as doing it once."""

    def __init__(self, address: Address) -> None:
        self._postgres = address.kind == "postgresql"
        self._said, self._tool_use = (_insert(address, model) for model in (SaidModel, ToolUseModel))

    def write(self, connection: Connection, records: Sequence[Record], apart: Mapping[str, Conversation]) -> None:
        """In the transaction that wrote the records; `apart` are the bodies that were taken apart, by comm."""
        said: dict[tuple[str, bytes], Row] = {}
        tools: dict[tuple[str, str], Row] = {}
        for comm in records:
            if not isinstance(comm, Comm) or comm.trigger or (comm.type == "REQUEST" and comm.source == OURS):
                continue
            found = _read(comm, apart.get(comm.id))
            for row in self._said_rows(comm, found.texts):
                said.setdefault((comm.exchange_id, row["digest"]), row)
            for name in dict.fromkeys(found.tools):
                row = {"name": name, "exchange_id": comm.exchange_id, "calls": found.tools.count(name)}
                tools.setdefault((name, comm.exchange_id), row)
        if said:
            self._write_said(connection, list(said.values()))
        if tools:
            connection.execute(self._tool_use, list(tools.values()))

    def _said_rows(self, comm: Comm, texts: Iterable[Said]) -> Iterator[Row]:
        for part, one, piece in islice(parts_of(texts), MOST_PIECES):
            yield {
                **{"exchange_id": comm.exchange_id, "comm_id": comm.id, "message": one.message, "part": part},
                "digest": digest_of(Said(role=one.role, text=piece)),
                **({"words": words(piece)} if self._postgres else {"text": gaps(piece)}),
            }

    def _write_said(self, connection: Connection, rows: list[Row]) -> None:
        if self._postgres:
            connection.execute(self._said, rows)
            return
        last = connection.execute(_LAST).scalar_one()  # nobody else writes: the comms were written before
        connection.execute(self._said, [{name: row[name] for name in row if name != "text"} for row in rows])
        connection.execute(_FTS5, [{"last": last, **{name: row[name] for name in _FTS5_VALUES}} for row in rows])


def digest_of(said: Said) -> bytes:
    """Tells a piece of text, with its role, from others."""
    return blake2b(f"{said.role} {escape(said.text)}".encode(), digest_size=DIGEST_BYTES).digest()


def parts_of(texts: Iterable[Said]) -> Iterator[tuple[int, Said, str]]:
    """The pieces of texts, each with its text and its number: those of one message, or of one reply, count from 0."""
    numbers: dict[bytes | None, count[int]] = {}
    for one in texts:
        for piece in pieces(one.text):
            yield next(numbers.setdefault(one.message, count())), one, piece


def _read(comm: Comm, conversation: Conversation | None) -> Spoken:
    """A body that no codec reads is kept, and not found by what it says: nothing here may keep it from the log."""
    try:
        return spoken(comm, conversation)
    except WireError:
        return Spoken()
    except Exception:
        logger.exception("comm %s cannot be searched", comm.id)
        return Spoken()


def _insert(address: Address, model: Any) -> Insert:
    table = cast(Table, model.__table__)
    return (sqlite.insert if address.kind == "sqlite" else postgresql.insert)(table).on_conflict_do_nothing()
