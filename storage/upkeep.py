"""What a log needs while a proxy runs, on a thread that mostly rests: retention, and sums of days that are over.

Several proxies at one database share the work; none of them waits for it, and a failure is told and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta

from lockgate.config import Retention
from lockgate.errors import Error
from lockgate.records import now
from lockgate.storage.address import parse
from lockgate.storage.seals import Signer

logger = logging.getLogger("lockgate.log")

FIRST_SECONDS = 60.0
EVERY_SECONDS = 3600.0
"""Each piece that finds something makes a file where there is an archive."""
MOST_EXCHANGES = 5_000
"""In one piece; where that was not all, the next one comes soon."""
REST = 5.0
"""It works a sixth of the time at most."""
STOP_SECONDS = 5.0


class Upkeep:
    """`start` and `close`; without a limit in the configuration it removes nothing."""

    def __init__(
        self, url: str, retention: Retention, *, signer: Signer | None = None, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._url, self._retention, self._signer, self._every = url, retention, signer, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockgate-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def close(self) -> None:
        """What it is at is brought to its end; a piece is short."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _run(self) -> None:
        soon = pause = min(FIRST_SECONDS, self._every)
        first = True
        while not self._stop.wait(pause):
            pause = self._every
            try:
                if self._is_limited and self._piece(sweep=first) >= MOST_EXCHANGES:
                    pause = soon
                first = False
                if self._fold():
                    pause = soon
            except Exception as error:  # the log itself goes on, and says what it is about the database
                why = str(error) if isinstance(error, Error) else type(error).__name__
                logger.warning("the log's upkeep waits for the next time: %s", why)

    @property
    def _is_limited(self) -> bool:
        keep = self._retention
        return (keep.days, keep.bytes, keep.audit_days) != (None, None, None)

    def _fold(self) -> bool:
        """Whether there may be more to add up."""
        from lockgate.storage.backup import opened
        from lockgate.storage.usage_days import DAYS_AT_ONCE, fold

        with opened(parse(self._url)) as engine:
            return fold(engine) == DAYS_AT_ONCE

    def _piece(self, *, sweep: bool) -> int:
        from lockgate.storage.backup import opened
        from lockgate.storage.pace import Pace
        from lockgate.storage.prune import Plan, Pruner

        keep = self._retention
        plan = Plan(
            until=None if keep.days is None else now() - timedelta(days=keep.days),
            max_bytes=keep.bytes,
            keep_labels=keep.keep_labels,
            archive=keep.archive,
            audit_until=None if keep.audit_days is None else now() - timedelta(days=keep.audit_days),
            most=MOST_EXCHANGES,
        )
        with opened(parse(self._url)) as engine:
            pruner = Pruner(engine, plan, Pace(REST, self._stop), self._signer)
            done = pruner.run(sweep=sweep)
            if done.exchanges or done.audit:
                pruner.note("retention")
        if done.exchanges:
            logger.info("retention removed %d exchanges from the log, %d bytes", done.exchanges, done.sizes.total)
        return done.exchanges
