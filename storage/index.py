"""What makes exchanges findable, written with the records it comes from: texts said, and tools called."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

from sqlalchemy import Connection, Insert, Table, bindparam, func, literal_column
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.errors import WireError
from lockgate.exchange import Comm, Record
from lockgate.storage.address import Address
from lockgate.storage.models import SaidModel, ToolUseModel
from lockgate.storage.said import Said, spoken
from lockgate.storage.words import MOST_PIECES, pieces, words

type Row = dict[str, Any]

logger = logging.getLogger("lockgate.log")
OURS = "lockgate"
"""Who sends a request that a rule changed: what was said in it stands in the client's."""


class Index:
    """Writes to one database. Doing it twice is the same as doing it once."""

    def __init__(self, address: Address) -> None:
        self._postgres = address.kind == "postgresql"
        self._said, self._tool_use = (_insert(address, model) for model in (SaidModel, ToolUseModel))
        if self._postgres:
            vector = func.to_tsvector(literal_column("'simple'"), bindparam("words"))
            self._said = self._said.values(words=vector)

    def write(self, connection: Connection, records: Sequence[Record]) -> None:
        """In the transaction that wrote the records."""
        heard: set[tuple[str, Said]] = set()  # a reply that a rule changed repeats most of the one that came
        said: list[Row] = []
        tools: dict[tuple[str, str], Row] = {}
        for comm in records:
            if not isinstance(comm, Comm) or comm.trigger or (comm.type == "REQUEST" and comm.source == OURS):
                continue
            texts, names = _read(comm)
            said += self._said_rows(comm, (one for one in texts if (comm.exchange_id, one) not in heard))
            heard |= {(comm.exchange_id, one) for one in texts}
            for name in dict.fromkeys(names):
                row = {"name": name, "exchange_id": comm.exchange_id, "calls": names.count(name)}
                tools.setdefault((name, comm.exchange_id), row)
        for statement, rows in ((self._said, said), (self._tool_use, list(tools.values()))):
            if rows:
                connection.execute(statement, rows)

    def _said_rows(self, comm: Comm, texts: Iterable[Said]) -> Iterator[Row]:
        parts = ((one.role, piece) for one in texts for piece in pieces(one.text))
        for part, (role, piece) in enumerate(islice(parts, MOST_PIECES)):
            row = {"comm_id": comm.id, "exchange_id": comm.exchange_id, "part": part, "role": role, "text": piece}
            yield row | ({"words": words(piece)} if self._postgres else {})


def _read(comm: Comm) -> tuple[tuple[Said, ...], tuple[str, ...]]:
    """A body that no codec reads is kept, and not found by what it says: nothing here may keep it from the log."""
    try:
        found = spoken(comm)
    except WireError:
        return (), ()
    except Exception:
        logger.exception("comm %s cannot be searched", comm.id)
        return (), ()
    return found.texts, found.tools


def _insert(address: Address, model: Any) -> Insert:
    table = cast(Table, model.__table__)
    return (sqlite.insert if address.kind == "sqlite" else postgresql.insert)(table).on_conflict_do_nothing()
