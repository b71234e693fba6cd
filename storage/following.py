"""What other processes write to the log while one looks: which exchanges ended, and whose they are.

Each writer seals what it writes in a chain of its own, so that the new seals of other chains name what is new. Most of
the time a look is one question, for the ends of the chains.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, func, select

from lockgate.events import Usage
from lockgate.records import ExchangeRow
from lockgate.storage.answers import USAGE_FIELDS
from lockgate.storage.models import ChainModel, ExchangeModel, SealModel
from lockgate.storage.sealer import OWN
from lockgate.storage.seals import TAGS, Beginning, unpack

type Row = Mapping[str, Any]
type Ask = Callable[[Select[*tuple[Any, ...]]], Awaitable[Sequence[Row]]]

CHAINS = 1_000
"""The newest; older writers are long gone."""
SEALS = 50
"""Of one chain, in one look."""
ROWS = 200
"""So many exchanges are told at once."""

_CHAINS, _SEALS, _EXCHANGE = (cast(Table, model.__table__) for model in (ChainModel, SealModel, ExchangeModel))


class Following:
    """Remembers where the chains of others ended when it looked last."""

    def __init__(self, own: Collection[str] = OWN) -> None:
        """`own` are the ids of chains that are this process's: what they seal is known already."""
        self._own = own
        self._ends: dict[int, int] | None = None
        self._names: dict[int, str] = {}

    async def look(self, ask: Ask) -> list[tuple[ExchangeRow, str]] | None:
        """The exchanges that ended since the last look, each with its writer's name; None where some are not told.

        So it is the first time, and where more happened than is told at once.
        """
        before, self._ends = self._ends, await self._found(ask)
        if before is None:
            return None
        whose: dict[str, str] = {}
        for chain, end in self._ends.items():
            start = before.get(chain, 0)
            if end - start > SEALS:
                return None
            if end > start:
                whose |= dict.fromkeys(await _sealed(ask, chain, start), self._names[chain])
        if len(whose) > ROWS:
            return None
        rows = await ask(select(_EXCHANGE).where(_EXCHANGE.c.id.in_(whose)).order_by(_EXCHANGE.c.id)) if whose else ()
        ended = [exchange_of(dict(row)) for row in rows if row["outcome"] != "open"]
        return [(row, whose[row.id]) for row in ended]

    async def _found(self, ask: Ask) -> dict[int, int]:
        """Where the chains of others end."""
        last = select(func.max(_SEALS.c.number)).where(_SEALS.c.chain == _CHAINS.c.number).scalar_subquery()
        ends = select(_CHAINS.c.number, last.label("last")).order_by(_CHAINS.c.number.desc()).limit(CHAINS)
        found = {row["number"]: row["last"] or 0 for row in await ask(ends)}
        new = found.keys() - self._names.keys()
        if new:
            least = select(_CHAINS.c.number, _CHAINS.c.beginning).where(_CHAINS.c.number >= min(new))
            self._names |= {row["number"]: self._name(row["beginning"]) for row in await ask(least)}
        self._names = {chain: self._names.get(chain, "") for chain in found}
        return {chain: end for chain, end in found.items() if self._names[chain]}

    def _name(self, beginning: bytes) -> str:
        """ "" for our own, and for what cannot be read."""
        try:
            begun = Beginning.from_bytes(beginning)
        except Exception:  # `lockgate log verify` says so
            return ""
        return "" if begun.id in self._own else begun.by or "another process"


def exchange_of(row: dict[str, Any]) -> ExchangeRow:
    """The record of a row of `exchange`."""
    usage = {name: row.pop(name) for name in USAGE_FIELDS}
    return ExchangeRow(**row, usage=None if None in usage.values() else Usage(**usage))


async def _sealed(ask: Ask, chain: int, after: int) -> list[str]:
    """The ids of the exchanges that these seals say were written."""
    seals = select(_SEALS.c.entries).where(_SEALS.c.chain == chain, _SEALS.c.number > after)
    found: dict[str, None] = {}
    for row in await ask(seals.order_by(_SEALS.c.number).limit(2 * SEALS)):
        try:
            for entry in unpack(row["entries"])[1]:
                if entry.tag == TAGS["exchange"] and entry.digest is not None:
                    found[str(UUID(bytes=entry.id))] = None
        except (TypeError, ValueError, struct.error):  # `lockgate log verify` says so
            continue
    return list(found)
