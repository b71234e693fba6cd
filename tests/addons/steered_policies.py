"""Policies that a test steers from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from lockgate.events import NEW_BLOCK, Event, Request, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy


class Waits(Policy):
    """Holds each call whose arguments hold "wait" until the test lets it go."""

    asked: ClassVar[asyncio.Event]
    verdict: ClassVar[asyncio.Event]
    cancelled: ClassVar[asyncio.Event]

    @classmethod
    def prepare(cls) -> None:
        cls.asked, cls.verdict, cls.cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if "wait" in call.arguments:
            self.asked.set()
            try:
                await self.verdict.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return (call,)


class Crashes(Policy):
    """Fails at the text "crash"."""

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        if "crash" in text.text:
            raise ZeroDivisionError("sk-secret")
        return (text,)


class AddsAWord(Policy):
    """Says one thing more at the end."""

    async def on_end(self, x: Exchange) -> Iterable[Event]:
        return (TextDelta(block=NEW_BLOCK, text="one word more"),)


class OtherModel(Policy):
    """Asks another model."""

    async def on_request(self, request: Request, x: Exchange) -> Request:
        return request.with_values({("model",): "claude-other"})
