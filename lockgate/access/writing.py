"""What is counted in memory is written down now and then, and once more at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from lockgate.errors import told

logger = logging.getLogger("lockgate.access")


class Writing:
    """Calls `write` every so many seconds. `what` begins the sentences that say that it failed."""

    def __init__(self, what: str, write: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        self._what, self._write, self._seconds = what, write, seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on; needs a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep_writing(), name=f"lockgate: {self._what}")

    async def close(self) -> None:
        """Once more, where that can be done."""
        if self._task:
            self._task.cancel()
        try:
            await self._write()
        except Exception as error:
            logger.warning("%s in the last moment could not be written down: %s", self._what, told(error))

    async def _keep_writing(self) -> None:
        is_away = False
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._write()
                is_away = False
            except Exception as error:
                if not is_away:
                    logger.warning("%s cannot be written down: %s; trying again", self._what, told(error))
                is_away = True
