"""Seals the rows of each batch, in the transaction that writes them. One writer, one chain.

The seal before is remembered, and never taken from the database on trust: a chain whose end is not what was written
last goes on as a new one, which says after which seals it began.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, func, or_, select

from lockgate.records import new_id, now
from lockgate.storage.digests import FORM, form_of
from lockgate.storage.models import (
    Base,
    ChainModel,
    CommModel,
    DecisionModel,
    FramesModel,
    RelationModel,
    SealModel,
    TurnModel,
)
from lockgate.storage.seals import TABLES, TAGS, Beginning, Entry, Head, Signer, beginning_hash, pack, seal_hash

type Row = Mapping[str, Any]

logger = logging.getLogger("lockgate.log")

_CHAINS, _SEALS = (cast(Table, model.__table__) for model in (ChainModel, SealModel))
IDS_PER_QUERY = 500
OWN: deque[str] = deque(maxlen=1_000)
"""The ids of the chains that this process has begun, so that it knows its own from those of others."""


class Sealer:
    """In each transaction one call, `write`, `removed` or `retired`, and `committed` after it."""

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer
        self._forms = {table: form_of(table, FORM) for table in TAGS}
        self._id = new_id()
        self._head: Head | None = None
        """The last seal that is in the database, or the chain's beginning as its number 0."""
        self._tip: Head | None = None
        """The last one that was sent there."""
        self._unsure = False

    def write(self, connection: Connection, rows: Iterable[tuple[str, Row]]) -> None:
        """Seal what is written; what is in no table of `TAGS` is not sealed."""
        entries = [
            Entry(tag=TAGS[table], id=_bytes(row["id"]), digest=self._forms[table].digest(row))
            for table, row in rows
            if table in TAGS
        ]
        if entries:
            self._append(connection, entries)

    def removed(self, connection: Connection, exchange_ids: Sequence[str]) -> None:
        """Say that retention removes these exchanges and all rows that are theirs: before they are deleted."""
        entries = [Entry(tag=TAGS["exchange"], id=_bytes(id), digest=None) for id in exchange_ids]
        for start in range(0, len(exchange_ids), IDS_PER_QUERY):
            entries += _rows_of(connection, exchange_ids[start : start + IDS_PER_QUERY])
        if entries:
            self._append(connection, list(dict.fromkeys(entries)))

    def retired(self, connection: Connection, table: str, ids: Iterable[str]) -> None:
        """Say that retention removes these rows, which no exchange has."""
        self._append(connection, [Entry(tag=TAGS[table], id=_bytes(id), digest=None) for id in ids])

    def committed(self) -> None:
        """The transaction of the last call is in the database."""
        self._head = self._tip

    def forget(self) -> bool:
        """Another writer may have begun a chain of the same number, or somebody have deleted ours: look again.

        Tells whether anything was known.
        """
        self._unsure = True
        return self._tip is not None

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> None:
        if self._unsure or self._tip is not self._head:  # nobody knows whether the last transaction was kept
            self._head, self._unsure = self._found(connection), False
        head = self._head or self._begun(connection, entries)
        packed = pack(FORM, entries)
        seal = seal_hash(head.seal, head.chain, head.number + 1, packed)
        self._tip = Head(chain=head.chain, number=head.number + 1, seal=seal)
        signature = self._signer.sign(seal) if self._signer else None
        row = {"chain": head.chain, "number": self._tip.number, "entries": packed, "seal": seal, "signature": signature}
        connection.execute(_SEALS.insert(), row)

    def _found(self, connection: Connection) -> Head | None:
        """Where our chain ends in the database; None where there is none that we know."""
        last = _heads().where(_CHAINS.c.id == self._id)
        row = connection.execute(last).first()
        found = row and Head(chain=row.chain, number=row.number, seal=row.seal)
        if found in (self._head, self._tip):
            return found
        if found or self._head:
            logger.error("the log's seals were changed by others: what comes now is sealed in a new chain")
        self._id = new_id()
        return None

    def _begun(self, connection: Connection, entries: Sequence[Entry]) -> Head:
        """A new chain, after all others that are there."""
        chains = connection.execute(select(_CHAINS.c.number, _CHAINS.c.beginning)).all()
        beginning = Beginning(
            id=self._id,
            created_at=now().isoformat(),
            key=self._signer.public_key if self._signer else None,
            after=_unseen(connection, [row.beginning for row in chains]),
            by=f"{socket.gethostname()}/{os.getpid()}",
            older={} if chains else _older(connection, entries),
        ).to_bytes()
        OWN.append(self._id)
        number = max((row.number for row in chains), default=0) + 1
        self._tip = Head(chain=number, number=0, seal=beginning_hash(number, beginning))
        connection.execute(_CHAINS.insert(), {"number": number, "id": self._id, "beginning": beginning})
        return self._tip


def _heads() -> Select[int, int, bytes]:
    """The last seal of each chain, each by its index."""
    other = _SEALS.alias()
    last = select(func.max(other.c.number)).where(other.c.chain == _CHAINS.c.number).scalar_subquery()
    joined = _SEALS.join(_CHAINS, (_SEALS.c.chain == _CHAINS.c.number) & (_SEALS.c.number == last))
    return select(_SEALS.c.chain, _SEALS.c.number, _SEALS.c.seal).select_from(joined)


def _unseen(connection: Connection, beginnings: Iterable[bytes]) -> tuple[Head, ...]:
    """The heads that no chain began after."""
    seen: dict[int, int] = {}
    for beginning in beginnings:
        try:
            after = Beginning.from_bytes(beginning).after
        except Exception:  # somebody changed it: `verify` says so, and here it says nothing
            continue
        for head in after:
            seen[head.chain] = max(head.number, seen.get(head.chain, 0))
    rows = connection.execute(_heads().order_by(_SEALS.c.chain))
    heads = (Head(chain=row.chain, number=row.number, seal=row.seal) for row in rows)
    return tuple(head for head in heads if head.number > seen.get(head.chain, 0))


def _older(connection: Connection, entries: Sequence[Entry]) -> dict[str, str]:
    """By table, the last row that was there before those that are being written."""
    older: dict[str, str] = {}
    for tag, name in TABLES.items():
        id = Base.metadata.tables[name].c.id
        last = select(id).order_by(id.desc()).limit(1)
        if first := min((entry.id for entry in entries if entry.tag == tag and entry.digest), default=b""):
            last = last.where(id < first.hex())
        if found := connection.execute(last).scalar():
            older[name] = _bytes(found).hex()
    return older


def _rows_of(connection: Connection, exchange_ids: Sequence[str]) -> Iterable[Entry]:
    """What else goes with these exchanges."""
    comms = select(CommModel.id).where(CommModel.exchange_id.in_(exchange_ids))
    joined = or_(RelationModel.from_comm_id.in_(comms), RelationModel.to_comm_id.in_(comms))
    for name, ids in (
        ("comm", comms),
        ("comm_relationship", select(RelationModel.id).where(joined)),
        ("decision", select(DecisionModel.id).where(DecisionModel.exchange_id.in_(exchange_ids))),
        ("turn", select(TurnModel.id).where(TurnModel.exchange_id.in_(exchange_ids))),
        ("frames", select(FramesModel.id).where(FramesModel.exchange_id.in_(exchange_ids))),
    ):
        for id in connection.execute(ids).scalars():
            yield Entry(tag=TAGS[name], id=_bytes(id), digest=None)


def _bytes(id: str) -> bytes:
    return bytes.fromhex(id.replace("-", ""))
