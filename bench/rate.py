"""How fast the log takes exchanges, as a process of its own: `python -m lockgate.bench.rate URL SESSIONS TURNS`.

Sessions of agents that work side by side are put as fast as the log lets them in, until all is in the database.
Meanwhile the event loop asks to be woken every millisecond: how much later it is, is its lag. Prints JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence

from lockgate.bench.result import percentile
from lockgate.bench.sessions import session
from lockgate.bench.storing import exchange
from lockgate.records import Record
from lockgate.storage.log import SqlLog
from lockgate.storage.schema import upgrade

TICK_SECONDS = 0.001
WARM_EXCHANGES = 20


async def measure(url: str, sessions: int, turns: int) -> dict[str, float]:
    upgrade(url)
    log = SqlLog(url)
    log.start()
    first = [list(exchange(number, *turn)) for number, turn in enumerate(session(WARM_EXCHANGES, seed=0), 1)]
    bodies = list(zip(*(session(turns, seed=seed) for seed in range(1, sessions + 1)), strict=True))
    await _put(log, first)
    exchanges = [
        list(exchange(number, *body, session=f"{seed:036d}"))
        for number, side_by_side in enumerate(bodies, 1)
        for seed, body in enumerate(side_by_side)
    ]
    gc.freeze()
    lags: list[float] = []
    watch = asyncio.create_task(_watch(lags))
    began, cpu = time.perf_counter(), time.process_time()
    await _put(log, exchanges)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    watch.cancel()
    await log.close()
    lags_ms = [lag * 1e3 for lag in lags]
    return {
        "exchanges": len(exchanges), "per_second": len(exchanges) / seconds, "cpu_ms": cpu / len(exchanges) * 1e3,
        "lag_p50_ms": percentile(lags_ms, 50), "lag_p99_ms": percentile(lags_ms, 99), "lag_most_ms": max(lags_ms),
        "request_bytes": sum(len(body[0]) for side in bodies for body in side) // len(exchanges),
    }  # fmt: skip


async def _put(log: SqlLog, exchanges: Sequence[Sequence[Sequence[Record]]]) -> None:
    """Returns when all of it is in the database."""
    for groups in exchanges:
        await log.ready()
        for records in groups:
            log.put(records)
        await asyncio.sleep(0)
    while log.waiting_rows:  # noqa: ASYNC110  (it tells nobody)
        await asyncio.sleep(TICK_SECONDS)


async def _watch(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        lags.append(max(0.0, time.perf_counter() - due))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], *map(int, sys.argv[2:])))))
