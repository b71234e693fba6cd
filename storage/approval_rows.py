"""The table of approvals, as its two sides change it: the proxies that ask, and whoever decides.

Every step is one UPDATE that names the state it begins with, so that of two at once one wins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from lockgate.errors import StorageError
from lockgate.records import Approval, now
from lockgate.storage.address import Address
from lockgate.storage.engine import changing_engine
from lockgate.storage.people_models import ApprovalModel
from lockgate.storage.schema import cannot_open
from lockgate.storage.signals import APPROVALS, tell
from lockgate.wire.document import dumps, loads

CLOSE_SECONDS = 5.0
ALIVE = ("pending", "approved", "denied", "edited")
"""States in which a request that is sent again finds its approval."""

_TABLE = cast(Table, ApprovalModel.__table__)
COLUMNS = _TABLE.columns
_C = COLUMNS


class ApprovalRows:
    """Over connections of its own, which open with the first question. Everything raises StorageError."""

    def __init__(self, address: Address) -> None:
        self._address, self._engine = address, changing_engine(address)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def close(self) -> None:
        """Nothing is begun any more, and what is under way comes to its end."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_SECONDS)
        await self._engine.dispose()

    async def _transact[T](self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """In a task of its own: a client that leaves must not tear at a connection in the midst of a statement."""
        if self._closed:
            raise StorageError("approvals are closed: this proxy stops")
        task = asyncio.create_task(self._transaction(work))
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def _transaction[T](self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._engine.begin() as connection:
                return await work(connection)
        except DBAPIError as error:
            raise cannot_open(self._address, error) from error

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: whoever asked may be gone

    async def read(self, query: Select[*tuple[Any, ...]]) -> list[Approval]:
        async def work(connection: AsyncConnection) -> list[Approval]:
            return [_approval_of(dict(row)) for row in (await connection.execute(query)).mappings()]

        return await self._transact(work)

    async def ids(self, which: ColumnElement[bool]) -> list[str]:
        async def work(connection: AsyncConnection) -> list[str]:
            return list(await connection.scalars(select(_C.id).where(which).order_by(_C.id)))

        return await self._transact(work)

    async def noted(self, note: Callable[[Connection], object]) -> None:
        """In a transaction of its own."""
        await self._transact(lambda connection: connection.run_sync(note))

    async def change(
        self, which: ColumnElement[bool], values: Mapping[str, Any], note: Callable[[Connection], object] | None = None
    ) -> int:
        """How many rows were changed; who watches hears of it, and it is noted in the same transaction."""

        async def work(connection: AsyncConnection) -> int:
            changed = (await connection.execute(update(_TABLE).where(which).values(**values))).rowcount
            if changed:
                await connection.run_sync(tell, APPROVALS)
            if changed and note:
                await connection.run_sync(note)
            return changed

        return await self._transact(work)

    # What a proxy does; `mine` is the approval as its exchange waits for it.

    async def insert(self, asked: Approval) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(_TABLE).values(**_row_of(asked)))
            await connection.run_sync(tell, APPROVALS)

        await self._transact(work)

    async def take_over(self, asked: Approval) -> Approval | None:
        """The approval of the same call in the same request sent before, now of this exchange; None for none."""
        alive = and_(_C.state.in_(ALIVE), _C.used_at.is_(None), _C.deadline > now())
        alive = and_(alive, _C.digest == asked.digest, _C.arguments == asked.arguments)
        query = select(*_C).where(_C.key == asked.key, alive).order_by(_C.id.desc()).limit(1)
        for found in await self.read(query):
            mine = and_(_C.id == found.id, _C.exchange_id == found.exchange_id, alive)
            if await self.change(mine, {"exchange_id": asked.exchange_id, "left_at": None}):
                [taken] = await self.read(select(*_C).where(_C.id == found.id))
                return taken
        return None

    async def get(self, mine: Approval) -> Approval | None:
        found = await self.read(select(*_C).where(_C.id == mine.id))
        return found[0] if found else None

    async def news(self, waiting: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Of these, each the id of an approval and of its exchange, those that need not wait any more."""
        ids = sorted({id for id, _ in waiting})
        query = select(_C.id, _C.exchange_id).where(_C.id.in_(ids), _C.state == "pending")

        async def work(connection: AsyncConnection) -> set[tuple[str, str]]:
            return {(row.id, row.exchange_id) for row in await connection.execute(query)}

        still = await self._transact(work)
        return [one for one in waiting if one not in still]

    async def use(self, mine: Approval) -> bool:
        """Whether the answer is this exchange's to go on with: the first time, and no other's."""
        unused = and_(_mine(mine), _C.state == mine.state, _C.digest == mine.digest, _C.used_at.is_(None))
        return bool(await self.change(unused, {"used_at": now()}))

    async def expire(self, mine: Approval) -> None:
        """Unless someone has decided."""
        moment = now()
        await self.change(_pending(mine), {"state": "expired", "decided_at": moment, "used_at": moment})

    async def leave(self, mine: Approval) -> datetime | None:
        """Since when nobody waits for it; None where that is so already, or someone else does."""
        moment = now()
        return moment if await self.change(_pending(mine), {"left_at": moment}) else None

    async def withdraw(self, mine: Approval, left_at: datetime | None = None) -> None:
        """Where it still is as it was left."""
        await self.change(and_(_pending(mine), _C.left_at == left_at), {"state": "withdrawn", "decided_at": now()})


def _mine(mine: Approval) -> ColumnElement[bool]:
    return and_(_C.id == mine.id, _C.exchange_id == mine.exchange_id)


def _pending(mine: Approval) -> ColumnElement[bool]:
    return and_(_mine(mine), _C.state == "pending")


def _approval_of(row: dict[str, Any]) -> Approval:
    context = cast(list[list[str]], loads(row.pop("context")))
    return Approval(**row, context=tuple((role, text) for role, text in context))


def _row_of(approval: Approval) -> dict[str, Any]:
    values = {column.name: getattr(approval, column.name) for column in _TABLE.columns}
    return values | {"context": dumps([list(one) for one in approval.context])}
