"""Which proxies write to a database, as far as its seals tell: a chain is one run of one process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import Connection, Table, func, select

from lockgate.storage.models import ChainModel, SealModel
from lockgate.storage.sealer import OWN
from lockgate.storage.seals import Beginning, unpack

_CHAINS, _SEALS = (cast(Table, model.__table__) for model in (ChainModel, SealModel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """One run of a proxy, or of a command that wrote."""

    chain: int
    began: datetime | None
    """By the writer's clock; None where it cannot be read."""
    batches: int
    """How many transactions it sealed."""
    signed: bool
    by: str = ""
    """Its machine, and its number there; "" where an earlier Lockgate did not say."""
    wrote: datetime | None = None
    """About when it wrote last, by its own clock."""
    is_here: bool = False
    """Whether it is this process."""


def writers(at: Connection, limit: int = 20) -> list[Writer]:
    """The newest first."""
    seal = _SEALS.alias()
    last = select(func.max(seal.c.number)).where(seal.c.chain == _CHAINS.c.number).correlate(_CHAINS).scalar_subquery()
    query = select(_CHAINS.c.number, _CHAINS.c.beginning, last.label("last"), _SEALS.c.entries)
    newest = (_SEALS.c.chain == _CHAINS.c.number) & (_SEALS.c.number == last)
    query = query.select_from(_CHAINS.outerjoin(_SEALS, newest))
    found = at.execute(query.order_by(_CHAINS.c.number.desc()).limit(limit))
    return [_writer(row.number, row.beginning, row.last or 0, row.entries) for row in found]


def _writer(number: int, beginning: bytes, batches: int, last: bytes | None) -> Writer:
    try:
        begun = Beginning.from_bytes(beginning)
        return Writer(
            chain=number, began=datetime.fromisoformat(begun.created_at), batches=batches,
            signed=begun.key is not None, by=begun.by, wrote=_moment(last), is_here=begun.id in OWN,
        )  # fmt: skip
    except Exception:  # `lockgate log verify` says so; here the others are shown all the same
        return Writer(chain=number, began=None, batches=batches, signed=False)


def _moment(entries: bytes | None) -> datetime | None:
    """When the newest of these rows was made: ids begin with that, in milliseconds."""
    made = [int.from_bytes(entry.id[:6]) for entry in unpack(entries)[1] if entry.digest] if entries else []
    return datetime.fromtimestamp(max(made) / 1e3, UTC) if made else None
