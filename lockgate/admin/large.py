"""Reads what may be large, and makes answers of it, on a thread with a loop of its own: the proxy's streams go on.

A conversation of megabytes takes a second to put together, check and write as a page. A few are under way at once,
some more wait, and others are told to come again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from lockgate.admin.problems import Problem
from lockgate.storage.queries import Queries

AT_ONCE = 4
"""As many as the reader has connections."""
MOST = 64
"""Those under way, and those that wait."""
STOP_SECONDS = 5.0


class Large:
    """The thread begins with the first question."""

    def __init__(self, url: str) -> None:
        """Touches nothing yet. Raises ConfigError for a bad URL."""
        self._log = Queries(url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._places = asyncio.Semaphore(AT_ONCE)
        self._count = 0

    async def do[Result](self, act: Callable[[Queries], Coroutine[Any, Any, Result]]) -> Result:
        """What the act gives, on the thread. Raises what it raises, and Problem 503 where too many wait."""
        if self._count >= MOST:
            raise Problem(503, "too much is read at the same time", headers={"retry-after": "1"})
        self._count += 1
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._turn(act), self._begun()))
        finally:
            self._count -= 1

    async def close(self) -> None:
        """What is under way is given up."""
        if self._loop is None or self._thread is None:
            return
        loop, thread, self._loop = self._loop, self._thread, None
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join, STOP_SECONDS)
        if not thread.is_alive():
            loop.close()

    def _begun(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="lockgate-large", daemon=True)
            self._thread.start()
        return self._loop

    # On the thread.

    async def _turn[Result](self, act: Callable[[Queries], Coroutine[Any, Any, Result]]) -> Result:
        async with self._places:
            return await act(self._log)

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        await self._log.close()
