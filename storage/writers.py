"""Which proxies write to a database, as far as its seals tell: a chain is one run of one process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Table, func, select

from lockgate.storage.models import ChainModel, SealModel
from lockgate.storage.seals import Beginning

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


def writers(at: Connection, limit: int = 20) -> list[Writer]:
    """The newest first."""
    last = select(func.max(_SEALS.c.number)).where(_SEALS.c.chain == _CHAINS.c.number).scalar_subquery()
    query = select(_CHAINS.c.number, _CHAINS.c.beginning, last.label("last")).order_by(_CHAINS.c.number.desc())
    return [_writer(row.number, row.beginning, row.last or 0) for row in at.execute(query.limit(limit))]


def _writer(number: int, beginning: bytes, batches: int) -> Writer:
    try:
        begun = Beginning.from_bytes(beginning)
        at = datetime.fromisoformat(begun.created_at)
    except Exception:  # `lockgate log verify` says so; here the others are shown all the same
        return Writer(chain=number, began=None, batches=batches, signed=False)
    return Writer(chain=number, began=at, batches=batches, signed=begun.key is not None)
