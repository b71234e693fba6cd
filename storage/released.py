"""What was released, looked up for a proxy that does not know it: `lockgate.history.history.Archive` in SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lockgate.history.history import Remembered
from lockgate.records import SessionRow, TurnRow
from lockgate.storage.address import Address, parse

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

KEYS_PER_QUERY = 400
TURNS = 1_000
"""So many turns of one meaning or after one node are read, the newest: more tell no more."""


class SqlArchive:
    """Reads one database, over connections that open with the first question."""

    def __init__(self, url: str) -> None:
        self._address = parse(url)
        self._engine: asyncio.Future[AsyncEngine] | None = None

    async def _opened(self) -> AsyncEngine:
        """The engine; SQLAlchemy is imported on a thread, and not again for whoever did not wait for it."""
        if self._engine is None:
            self._engine = asyncio.ensure_future(asyncio.to_thread(_open, self._address))
        return await asyncio.shield(self._engine)

    async def find(
        self,
        *,
        nodes: Sequence[bytes] = (),
        parents: Sequence[bytes] = (),
        meanings: Sequence[bytes] = (),
        names: Sequence[str] = (),
        places: Sequence[tuple[bytes, bytes]] = (),
    ) -> Remembered:
        """Raises what the driver raises."""
        engine = await self._opened()
        from sqlalchemy import and_, select

        from lockgate.storage.models import SessionModel, TurnModel

        turn, session = TurnModel.__table__.columns, SessionModel.__table__.columns
        keyed = ((turn.node, nodes), (turn.parent, parents), (turn.meaning, meanings), (turn.reply_id, names))
        wanted = [column.in_(some) for column, keys in keyed for some in _some(keys)]
        wanted += [and_(turn.parent == parent, turn.words == words) for parent, words in places]
        found: dict[str, TurnRow] = {}
        async with engine.connect() as connection:
            for condition in wanted:
                query = select(*turn).where(condition).order_by(turn.id.desc()).limit(TURNS)
                found |= {row["id"]: TurnRow(**row) for row in (await connection.execute(query)).mappings()}
            sessions: list[SessionRow] = []
            for some in _some(sorted({row.session_id for row in found.values()})):
                query = select(*session).where(session.id.in_(some))
                sessions += [SessionRow(**row) for row in (await connection.execute(query)).mappings()]
        return Remembered(turns=[found[id] for id in sorted(found)], sessions=sessions)

    async def close(self) -> None:
        if self._engine is not None:
            await (await self._engine).dispose()


def _open(address: Address) -> AsyncEngine:
    from lockgate.storage import models  # late: SQLAlchemy
    from lockgate.storage.engine import reader_engine

    assert models
    return reader_engine(address)


def _some[Key](keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield keys[start : start + KEYS_PER_QUERY]
