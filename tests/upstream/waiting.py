"""Waiting for what must happen, without sleeping: a wait that never ends fails and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

WAIT_SECONDS = 60.0  # a guard against hanging, never part of what a test asserts


async def soon[T](awaitable: Awaitable[T]) -> T:
    """What the awaitable gives; TimeoutError when it does not come."""
    async with asyncio.timeout(WAIT_SECONDS):
        return await awaitable


class Changes:
    """Lets waiters look again each time something changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds():
                await self._changed.wait()
