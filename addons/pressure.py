"""Back-pressure: an upstream connection that is not read while what it feeds holds too much."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Hashable


class UpstreamGate:
    """Keeps one upstream connection from being read while streams that it feeds are congested."""

    def __init__(self) -> None:
        self.congested: set[Hashable] = set()
        self._opened = asyncio.Event()

    def mark(self, stream: Hashable, is_congested: bool) -> None:
        if is_congested:
            self.congested.add(stream)
            self._opened.clear()
        else:
            self.congested.discard(stream)
            if not self.congested:
                self._opened.set()

    async def opened(self) -> None:
        while self.congested:
            await self._opened.wait()


class GatedReader:
    """Stands in for the reader of an upstream connection."""

    def __init__(self, reader: asyncio.StreamReader, gate: UpstreamGate) -> None:
        self._reader, self._gate = reader, gate

    def read(self, size: int) -> Awaitable[bytes]:
        return self._read_later(size) if self._gate.congested else self._reader.read(size)

    async def _read_later(self, size: int) -> bytes:
        await self._gate.opened()
        return await self._reader.read(size)
