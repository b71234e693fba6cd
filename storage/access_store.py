"""Tokens, keys and budgets for a proxy: `TokenStore`, `KeyStore` and `SumStore` of `lockgate.access`, in SQL.

Short transactions beside the log's writer, one at a time on a thread: a quota is counted in one statement, so that any
number of proxies count it exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lockgate.access.budgets import Key, Sum
from lockgate.access.keyring import Keyring
from lockgate.access.keys import KeptKey
from lockgate.access.records import Token
from lockgate.access.tokens import Used

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lockgate.storage.acts import Acts


class SqlAccess:
    """Connects with the first question."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        self._url, self._keyring = url, keyring
        self._acts: Acts | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lockgate-tokens")

    async def find(self, digests: Sequence[bytes]) -> Token | None:
        def find(at: Connection) -> Token | None:
            from lockgate.storage.access import token_with  # on the thread: it takes a while

            return token_with(at, digests)

        return await self._do(find)

    async def charge(self, id: str) -> bool:
        return await self._count(id, 1)

    async def give_back(self, id: str) -> None:
        await self._count(id, -1)

    async def _count(self, id: str, requests: int) -> bool:
        def count(at: Connection) -> bool:
            from lockgate.storage.access import count

            return count(at, id, requests)

        return await self._do(count)

    async def add_used(self, used: Mapping[str, Used]) -> None:
        def add(at: Connection) -> None:
            from lockgate.storage.access import add_used

            add_used(at, used)

        await self._do(add)

    async def sums(self, keys: Sequence[Key]) -> Mapping[Key, Sum]:
        def read(at: Connection) -> Mapping[Key, Sum]:
            from lockgate.storage.budgets import sums

            return sums(at, keys)

        return await self._do(read)

    async def add(self, more: Mapping[Key, Sum]) -> Mapping[Key, Sum]:
        def add(at: Connection) -> Mapping[Key, Sum]:
            from lockgate.storage.budgets import add

            return add(at, more)

        return await self._do(add)

    async def keys(self) -> Sequence[KeptKey]:
        def read(at: Connection) -> Sequence[KeptKey]:
            from lockgate.storage.provider_keys import usable

            return usable(at, self._keyring)

        return await self._do(read)

    async def clean_up(self, *, ended_before: datetime) -> int:
        def clean(at: Connection) -> int:
            from lockgate.storage.access import clean_up

            return clean_up(at, ended_before)

        return await self._do(clean)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        if self._acts is not None:
            self._acts.close()

    async def _do[Result](self, act: Callable[[Connection], Result]) -> Result:
        """Raises StorageError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, act)

    def _done(self, act: Callable[[Connection], Any]) -> Any:
        if self._acts is None:
            from lockgate.storage.acts import Acts

            self._acts = Acts(self._url)
        return self._acts.do(act)
