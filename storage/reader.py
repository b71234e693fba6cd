"""What reads a database: opened with a look at its version, closed with its connections. Nothing here writes."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from lockgate.storage.address import parse
from lockgate.storage.engine import reader_engine
from lockgate.storage.schema import require_current


class Reader:
    """`async with …(url) as it:` checks that the database is there and up to date.

    Raises ConfigError for a bad URL, StorageError for a database that is missing, behind, newer, or not ours.
    """

    def __init__(self, url: str) -> None:
        self._address = parse(url)
        self._engine = reader_engine(self._address)

    async def __aenter__(self) -> Self:
        require_current(self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._engine.dispose()
