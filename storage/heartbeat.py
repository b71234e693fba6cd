"""Tells the database every few seconds that this proxy is there, so that one at rest is told from one that is gone.

What it says is gathered on the event loop and written on a thread of its own; nothing waits for it but its own end,
and that for a moment only. SQLAlchemy is imported on the thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from lockgate.errors import told
from lockgate.health import Degraded
from lockgate.records import new_id, now

if TYPE_CHECKING:
    from lockgate.storage.acts import Acts
    from lockgate.storage.proxies import Clock

logger = logging.getLogger("lockgate.log")

BEAT_SECONDS = 10.0
FIRST_SECONDS = 1.0
"""By then it listens, mostly."""
FAREWELL_SECONDS = 2.0
"""How long an end waits for the database to hear of it; else the proxy is taken for lost, half a minute later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a proxy says of itself."""

    listen: tuple[str, ...] = ()
    """How and where clients reach it: a mode of mitmproxy's, and addresses."""
    policy_set: str = ""
    """The version in force."""
    open_exchanges: int = 0
    held: int = 0
    """Replies that wait for rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a proxy: what stays as it is until its end."""

    started_at: datetime = field(default_factory=now)
    id: str = field(default_factory=new_id)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = field(default_factory=lambda: version("lockgate"))


class Heartbeat:
    """`start` needs a running loop; `close` says that the proxy ended."""

    def __init__(
        self,
        url: str,
        serving: Callable[[], Serving],
        *,
        started_at: datetime | None = None,
        clock: Clock | None = None,
        every_seconds: float = BEAT_SECONDS,
    ) -> None:
        """`clock` stands in for the database's own."""
        self._url, self._serving, self._clock, self._every = url, serving, clock, every_seconds
        self._run = Run(started_at=started_at or now())
        self._last = Serving()
        self._has_begun = False
        self._failing: Degraded | None = None
        self._acts: Acts | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lockgate-heartbeat")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_beating(), name="lockgate-heartbeat")

    def state(self) -> Degraded | None:
        """A part of the proxy's health."""
        return self._failing

    async def beat(self) -> None:
        """Say once that it is there. A failure is told to health, and in the log where it is the first."""
        try:
            self._last = self._serving()
            self._has_begun = True  # also where an end comes before it is written
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write)
            self._failing = None
        except Exception as error:  # exchanges go on all the same
            if self._failing is None:
                logger.warning("that this proxy is there cannot be written down: %s; trying again", told(error))
            since = self._failing.since if self._failing else now()
            what = "the database does not hear from this proxy: others take it for lost"
            self._failing = Degraded(what=what, since=since, detail=told(error))

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
        if self._has_begun:
            farewell = asyncio.get_running_loop().run_in_executor(self._thread, self._end)
            await asyncio.wait({farewell}, timeout=FAREWELL_SECONDS)
        self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=False)

    async def _keep_beating(self) -> None:
        pause = min(FIRST_SECONDS, self._every)
        while True:
            await asyncio.sleep(pause)
            await self.beat()
            pause = self._every

    # From here on: its thread.

    def _write(self, *, ended: bool = False) -> None:
        from lockgate.storage.acts import Acts
        from lockgate.storage.proxies import beat, database_clock

        if self._acts is None:
            self._acts = Acts(self._url)
        clock = self._clock or database_clock
        self._acts.do(lambda at: beat(at, self._run, self._last, clock=clock, ended=ended))

    def _end(self) -> None:
        with suppress(Exception):  # nobody is left to be told
            self._write(ended=True)

    def _disconnect(self) -> None:
        if self._acts is not None:
            self._acts.close()
