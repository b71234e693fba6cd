"""What reads a database, or is asked about it: opened with a look at its version, closed with its connections."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from lockgate.storage.address import parse
from lockgate.storage.engine import reader_engine
from lockgate.storage.schema import require_current


class Opened:
    """`async with …(url) as it:` checks that the database is there and up to date.

    Raises ConfigError for a bad URL, StorageError for a database that is missing, behind, newer, or not ours.
    """

    def __init__(self, url: str) -> None:
        self._address = parse(url)

    async def __aenter__(self) -> Self:
        require_current(self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Also of one that was never opened."""
        raise NotImplementedError


class Reader(Opened):
    """Over connections that never write."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._engine = reader_engine(self._address)

    async def close(self) -> None:
        await self._engine.dispose()
