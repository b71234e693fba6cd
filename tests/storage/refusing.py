"""A process that refuses access as fast as it can, and says how often it has: for tests that kill it.

`python -m tests.storage.refusing URL SPILL`; a line is a time of the monotonic clock and a count.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from lockgate.access.refusals import WRITE_SECONDS, Refusals
from lockgate.access.writing import Writing
from lockgate.errors import AccessError
from lockgate.storage.log import SqlLog


async def main(url: str, spill: Path) -> None:
    log = SqlLog(url, spill=spill)
    log.start()
    refusals = Refusals(log)
    Writing("refusals", refusals.write, seconds=WRITE_SECONDS).start()
    count = 0
    while True:
        refusals.note(AccessError("no", kind="unknown"), where="10.0.0.1", subject="host h")
        count += 1
        print(time.monotonic(), count, flush=True)
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
