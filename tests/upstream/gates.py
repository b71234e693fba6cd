"""Waits by name, between the provider and a test."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Gates:
    """The waits of a script, by name: the provider reaches them, the test opens them."""

    def __init__(self) -> None:
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def wait(self, name: str) -> None:
        self._reached[name].set()
        await self._open[name].wait()

    async def reached(self, name: str) -> None:
        await self._reached[name].wait()

    def open(self, name: str) -> None:
        self._open[name].set()
