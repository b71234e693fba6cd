"""Monitors that a test steers by what is said to them."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar

from lockgate.errors import Error
from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Monitor


class ByNumber(Monitor):
    """The score is the last number that is said: "echo 0.7" is 0.7. It is down where "down" is said."""

    asked: ClassVar[list[str]] = []

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        return self._score(call.arguments)

    async def score_text(self, text: str, x: Exchange) -> tuple[float, str]:
        return self._score(text)

    def _score(self, said: str) -> tuple[float, str]:
        self.asked.append(said)
        if "down" in said:
            raise Error("it is down")
        return float(re.findall(r"\d\.\d+|\d", said)[-1]), "so it says"


class Late(Monitor):
    """Never answers."""

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")
