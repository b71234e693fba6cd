"""Policies that a test steers from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

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


class WaitsForRequests(Policy):
    """Holds each request, and does not stop when it is told to: a judge's client may swallow what cancels it."""

    asked: ClassVar[asyncio.Event]
    verdict: ClassVar[asyncio.Event]

    @classmethod
    def prepare(cls) -> None:
        cls.asked, cls.verdict = asyncio.Event(), asyncio.Event()

    async def on_request(self, request: Request, x: Exchange) -> Request:
        self.asked.set()
        while not self.verdict.is_set():
            with suppress(asyncio.CancelledError):
                await self.verdict.wait()
        return request


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


class ForgetsToReturn(Policy):
    """Has no return statement where it means to forward."""

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Any:
        pass


class GivesWords(Policy):
    """Gives back what is no event."""

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Any:
        return ("go on",)


class BreaksOffGiving(Policy):
    """Gives a generator, which fails only when it is read."""

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        def given() -> Iterable[Event]:
            yield call
            raise ZeroDivisionError("sk-secret")

        return given()


class Cancels(Policy):
    """Cancels itself, as a task group in it might."""

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        raise asyncio.CancelledError


class IsNotAsync(Policy):
    """Fails before there is anything to await."""

    def on_tool_call(self, call: ToolCall, x: Exchange) -> Any:
        raise ZeroDivisionError("sk-secret")


class ForgetsTheRequest(Policy):
    async def on_request(self, request: Request, x: Exchange) -> Any:
        pass


class GivesADocument(Policy):
    async def on_request(self, request: Request, x: Exchange) -> Any:
        return request.document


class CancelsTheRequest(Policy):
    async def on_request(self, request: Request, x: Exchange) -> Request:
        raise asyncio.CancelledError


class FailsAtBirth(Policy):
    """Cannot be made."""

    def __init__(self, options: Any, shared: Any = None) -> None:
        super().__init__(options, shared)
        raise ZeroDivisionError("sk-secret")

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        return (call,)


class FailsToProvision(Policy):
    """Cannot be loaded, with an error of its own kind."""

    asked: ClassVar[asyncio.Event]

    @classmethod
    def provision(cls, options: Any) -> Any:
        cls.asked.set()
        raise ZeroDivisionError("sk-secret")
