"""Tells whoever watches which exchanges ended in other proxies at the same database; nobody watching, nobody looks."""

from __future__ import annotations

import asyncio
import logging

from starlette.exceptions import HTTPException

from lockgate.activity import Activity
from lockgate.admin.large import Large
from lockgate.errors import Error, told
from lockgate.storage.following import Following

logger = logging.getLogger("lockgate.admin")

LOOK_SECONDS = 1.0


class Others:
    """`run` until it is cancelled."""

    def __init__(self, large: Large, activity: Activity, following: Following | None = None) -> None:
        self._large, self._activity = large, activity
        self._following = following or Following()

    async def run(self) -> None:
        while True:
            if self._activity.is_watched:
                try:
                    await self.look()
                except (Error, HTTPException) as error:  # the page System says how the database is
                    logger.debug("what other proxies do is not known: %s", told(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Raises StorageError, and Problem where too much is read already."""
        found = await self._large.do(lambda log: log.others(self._following))
        if found is None:
            self._activity.tell_gap()
        for row, by in found or ():
            self._activity.tell(row, by=by)
