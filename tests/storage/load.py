"""A process that logs exchanges as fast as it is let, and says of each when its reply ended: for tests that kill it.

`python -m tests.storage.load URL SPILL`; a line is a time of the monotonic clock, which all processes share, and an id.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from lockgate.records import ExchangeRow
from lockgate.storage.log import SqlLog
from tests.storage.records import whole_exchange

EXCHANGES_PER_TURN = 2
TURN_SECONDS = 0.01


async def main(url: str, spill: Path) -> None:
    log = SqlLog(url, spill=spill)
    log.start()
    while True:
        await log.ready()
        for _ in range(EXCHANGES_PER_TURN):
            begun, *rest = whole_exchange(outcome="open")
            assert isinstance(begun, ExchangeRow)
            log.put([begun, *rest[:2]])
            log.put([replace(begun, outcome="changed"), *rest[2:]])
            print(time.monotonic(), begun.id, flush=True)
        await asyncio.sleep(TURN_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
