"""How long it takes to open a very long session: the list of its exchanges, and the last of them with all it says.

Only the last exchange is written as the log does it. The ones before are copies of its rows that end at earlier nodes of
its thread, since writing each would take a minute; they are listed, and not opened.
"""

from __future__ import annotations

import time
from typing import Any, cast

from sqlalchemy import Table, insert, select

from lockgate.bench.sessions import last_turn
from lockgate.bench.storing import exchange
from lockgate.exchange import new_id
from lockgate.storage.address import parse
from lockgate.storage.answers import Filter
from lockgate.storage.engine import writer_engine
from lockgate.storage.models import CommModel, ExchangeModel, ThreadModel
from lockgate.storage.queries import Queries
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer

SESSION = "0" * 36
_EXCHANGE, _COMM, _THREAD = (cast(Table, model.__table__) for model in (ExchangeModel, CommModel, ThreadModel))


def make(url: str, turns: int) -> None:
    """An empty database with one session of so many turns."""
    upgrade(url)
    address = parse(url)
    earlier = [(new_id(), new_id(), new_id()) for _ in range(turns - 1)]  # before the last one, in the order of ids
    with Writer(address) as writer:
        for records in exchange(turns, *last_turn(turns), session=SESSION):
            writer.write(records)
    engine = writer_engine(address)
    with engine.begin() as connection:
        one = dict(connection.execute(select(_EXCHANGE)).mappings().one())
        comms = [dict(row) for row in connection.execute(select(_COMM).order_by(_COMM.c.id)).mappings()]
        chain: list[Any] = [row.hash for row in connection.execute(select(_THREAD).order_by(_THREAD.c.depth))]
        connection.execute(insert(_EXCHANGE), [one | {"id": id} for id, *_ in earlier])
        rows = [
            comm | {"id": comm_id, "exchange_id": id, "thread": chain[min(len(chain) - 1, 2 * turn + place)]}
            for turn, (id, *comm_ids) in enumerate(earlier)
            for place, (comm, comm_id) in enumerate(zip(comms, comm_ids, strict=True))
        ]
        connection.execute(insert(_COMM), rows)
    engine.dispose()


async def measure(url: str, rounds: int) -> list[float]:
    """Milliseconds, for each time that it is opened; each time by a reader of its own."""
    times: list[float] = []
    for _ in range(rounds + 1):
        async with Queries(url) as log:
            began = time.perf_counter()
            rows = await log.exchanges(where=Filter(session_id=SESSION), limit=10_000)
            detail = await log.exchange(rows[0].id)
            times.append((time.perf_counter() - began) * 1e3)
        assert detail
        assert all(how.as_sent for how in detail.joined.values())
    return times[1:]
