"""How long it takes to open a very long session: the list of its exchanges, and the last of them with all it says.

Only the last exchange is written as the log does it. The ones before are copies of its rows that end at earlier nodes
of its thread, since writing each would take a minute; they are listed, and not opened.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg

from lockgate.bench.sessions import last_turn
from lockgate.bench.storing import exchange
from lockgate.records import SessionRow, new_id, now
from lockgate.storage.address import parse
from lockgate.storage.answers import Filter
from lockgate.storage.queries import Queries
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer

SESSION = "0" * 36


def make(url: str, turns: int) -> None:
    """An empty database with one session of so many turns."""
    upgrade(url)
    address = parse(url)
    ids = [(new_id(), new_id(), new_id()) for _ in range(turns - 1)]  # before the last ones in their order
    with Writer(address) as writer:
        writer.write([SessionRow(id=SESSION, started_at=now(), agent="claude-code", title="A very long session.")])
        for records in exchange(turns, *last_turn(turns), session=SESSION):
            writer.write(records)
    if address.kind == "sqlite":
        with closing(sqlite3.connect(address.path)) as connection:
            _copy(connection, [tuple(id.replace("-", "") for id in three) for three in ids], "?")
            connection.commit()
    else:
        with psycopg.connect(address.libpq_url) as server:
            _copy(server.cursor(), ids, "CAST(%s AS uuid)")


def _copy(to: Any, ids: Sequence[tuple[str, ...]], id: str) -> None:
    """The last exchange as often as there are ids: each time of an exchange, its request and its reply."""
    value = id.replace("CAST(%s AS uuid)", "%s")
    (last,) = to.execute("SELECT id FROM exchange").fetchone()
    comms = [comm for (comm,) in to.execute("SELECT id FROM comm ORDER BY id").fetchall()]
    nodes = [node for (node,) in to.execute("SELECT hash FROM thread ORDER BY depth").fetchall()]
    columns = _columns(to, "exchange", "id")
    copy = f"INSERT INTO exchange (id, {columns}) SELECT {id}, {columns} FROM exchange WHERE id = {value}"
    to.executemany(copy, [(exchange_id, last) for exchange_id, *_ in ids])
    columns = _columns(to, "comm", "id", "exchange_id", "thread")
    copy = (
        f"INSERT INTO comm (id, exchange_id, thread, {columns}) SELECT {id}, {id}, {value}, {columns} FROM comm"
        f" WHERE id = {value}"
    )
    for place, comm in enumerate(comms):
        rows = [
            (three[1 + place], three[0], nodes[min(len(nodes) - 1, 2 * turn + place)], comm)
            for turn, three in enumerate(ids)
        ]
        to.executemany(copy, rows)


def _columns(to: Any, table: str, *without: str) -> str:
    found = to.execute(f"SELECT * FROM {table} LIMIT 0").description
    return ", ".join(f'"{name}"' for name, *_ in found if name not in without)


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
