"""argon2 beside the event loop: so many at a time, and so many that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lockgate.access import passwords
from lockgate.errors import StorageError

AT_ONCE = 2
"""64 MiB each."""
WAITING = 64


class Passwords:
    """Raises StorageError where too many wait already."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lockgate-passwords")
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        return await self._do(lambda: passwords.hashed(password))

    async def fits(self, kept: str | None, password: str) -> bool:
        """It takes as long where nothing is kept."""
        return await self._do(lambda: passwords.fits(kept, password))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _do[Result](self, work: Callable[[], Result]) -> Result:
        if self._waiting >= WAITING:
            raise StorageError("too many passwords are checked at the same time")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
