"""`refuse`: blocks what matches, or everything: for lockdowns and tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, Request, TextDelta, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.arguments import texts_of
from lockgate.policies.base import Blocked
from lockgate.policies.patterns import MAX_WINDOW_CHARS, Found, Pattern, Re2, finds
from lockgate.policies.window import TextWindow


class Options(Section):
    """What is blocked."""

    what: list[Literal["request", "calls", "text"]] = Field(default=["request"], min_length=1)
    """Requests to the model, its tool calls, its text."""
    pattern: Re2 | None = None
    """Only where this RE2 pattern is found: in the request's texts, in the call's name or arguments, in the text."""
    sentence: str = "This is not allowed here."
    """What the client is told."""
    window_chars: int = Field(default=256, gt=0, le=MAX_WINDOW_CHARS)
    """The longest text that the pattern finds in the model's text, which is held back by as much."""


class Refuse(TextWindow):
    """Blocks requests, tool calls or text: all, or those in which a pattern is found.

    Example:
        what: [request]
        pattern: '(?i)project nightingale'
        sentence: This project's name does not leave the house.
    """

    Options = Options

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        names = {"request": {"request"}, "text": super().sees(options), "calls": {"call"}}
        return frozenset[str]().union(*(names[what] for what in options.what))

    def __init__(self, options: Options, shared: None = None) -> None:
        super().__init__(options, shared)
        if "text" in options.what and options.pattern is not None:
            self.finders = (Pattern(options.pattern, options.window_chars),)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        if "request" in self.options.what and self._matches(spot.text for spot in request.texts()):
            raise Blocked(self.options.sentence)
        return request

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if "calls" in self.options.what and (self.options.pattern is None or self._matches(texts_of(call))):
            raise Blocked(self.options.sentence)
        return (call,)

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        if "text" in self.options.what and self.options.pattern is None:
            raise Blocked(self.options.sentence)
        return await super().on_text(text, x)

    def instead(self, number: int, found: Found) -> str:
        raise Blocked(self.options.sentence)

    def _matches(self, texts: Iterable[str]) -> bool:
        pattern: str | None = self.options.pattern
        return pattern is None or any(finds(pattern, text) for text in texts)
