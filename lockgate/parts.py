"""The parts that something is made of: started in the order in which they were added, closed in reverse."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from lockgate.errors import told

log = logging.getLogger(__name__)


class Closable(Protocol):
    def close(self) -> Awaitable[object] | None: ...


class Parts:
    """What stands on a part is added after it, so that each is there as long as it is needed."""

    def __init__(self) -> None:
        self._parts: list[Closable] = []
        self._starts: list[Callable[[], object]] = []

    def add[Part: Closable](self, part: Part, start: Callable[[Part], object] | None = None) -> Part:
        """The part itself; `start` begins what it does of its own."""
        self._parts.append(part)
        if start:
            self._starts.append(lambda: start(part))
        return part

    def start(self) -> None:
        """Raises Error where a part cannot be started."""
        for start in self._starts:
            start()

    async def close(self) -> None:
        """Also what was not started; one that fails says so, and keeps none of the others open."""
        for part in reversed(self._parts):
            try:
                if (closing := part.close()) is not None:
                    await closing
            except Exception as error:
                log.error("%s could not be closed: %s", type(part).__name__, told(error))
