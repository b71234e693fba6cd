"""`replace`: puts other words in place of what it finds, in requests, in text and in the arguments of tool calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, Path, Request, Role, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies import commands, patterns
from lockgate.policies.json_strings import changed_strings
from lockgate.policies.patterns import MAX_WINDOW_CHARS, Finder, Found, Re2
from lockgate.policies.window import TextWindow, replace_finds

type Place = Literal["request", "text", "arguments"]

_REFERENCE = re.compile(r"\\(.?)", re.DOTALL)


class Replacement(Section):
    """One thing to find, and what to put in its place."""

    find: str | None = Field(default=None, min_length=1, max_length=MAX_WINDOW_CHARS)
    """The text to find, as it stands."""
    pattern: Re2 | None = None
    """Or a pattern in RE2's syntax."""
    instead: str = ""
    """What to put in its place; for a pattern, \\1 is what its first group found and \\0 the whole."""
    ignore_case: bool = False
    """Whether upper and lower case are the same."""
    window_chars: int = Field(default=256, gt=0, le=MAX_WINDOW_CHARS)
    """The longest text that the pattern finds; streamed text is held back by as much."""

    @model_validator(mode="after")
    def _is_one(self) -> Replacement:
        if (self.find is None) == (self.pattern is None):
            raise ValueError("a replacement has either 'find' or 'pattern'")
        if self.pattern is not None:
            groups = patterns.compile_pattern(self.pattern).groups
            for reference in _REFERENCE.findall(self.instead):
                if reference != "\\" and not (reference.isdecimal() and int(reference) <= groups):
                    raise ValueError(f"'instead' refers to \\{reference}, but the pattern has {groups} groups")
        return self

    def finder(self) -> Finder:
        if self.find is not None:
            return patterns.Literal(self.find, self.ignore_case)
        return patterns.Pattern(cast(str, self.pattern), self.window_chars, self.ignore_case)


class Options(Section):
    """What to find, what to put in its place, and where."""

    secret: str | None = Field(default=None, min_length=1, max_length=MAX_WINDOW_CHARS)
    """The short form: a text to find everywhere."""
    instead: str = "[removed]"
    """What the short form puts in its place."""
    replacements: list[Replacement] = Field(default_factory=list[Replacement], max_length=1_000)
    """What to find, in order: where two begin at the same place, the first one wins."""
    where: list[Place] = Field(default=["request", "text", "arguments"])
    """Where to look: in what is sent to the model, in its text, in the arguments of its tool calls."""
    roles: list[Role] = Field(default=["system", "user", "assistant", "tool", "definition"])
    """In requests: whose texts to look at. `tool` are results of tools, `definition` the descriptions of tools."""

    @model_validator(mode="after")
    def _finds_something(self) -> Options:
        if self.secret is None and not self.replacements:
            raise ValueError("say what to replace: 'secret' or 'replacements'")
        return self


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    replacements: Sequence[Replacement]
    finders: Sequence[Finder]

    def instead(self, number: int, found: Found) -> str:
        replacement = self.replacements[number]
        if replacement.pattern is None:
            return replacement.instead
        return _REFERENCE.sub(lambda reference: _referred(reference[1], found), replacement.instead)

    def replaced(self, text: str) -> str:
        return replace_finds(self.finders, self.instead, text)


def _referred(reference: str, found: Found) -> str:
    return found.groups[int(reference)] if reference.isdecimal() else reference


class Replace(TextWindow):
    r"""Replaces texts and patterns in requests, in the model's text and in the arguments of its tool calls.

    What is found in streamed text does not depend on where the provider cut it. Thinking is not touched.

    Example:
        where: [request, text]
        replacements:
          - {find: hunter2, instead: "[password]"}
          - {pattern: '([a-z0-9.]+)@example\.com', instead: '\1@[removed]', ignore_case: true}
    """

    Options = Options

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        names = {"request": {"request"}, "text": super().sees(options), "arguments": {"call"}}
        return frozenset[str]().union(*(names[place] for place in options.where))

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self.finders = shared.finders if "text" in options.where else ()

    @classmethod
    def provision(cls, options: Options) -> Shared:
        short = [Replacement(find=options.secret, instead=options.instead)] if options.secret is not None else []
        replacements = (*short, *options.replacements)
        return Shared(replacements, tuple(replacement.finder() for replacement in replacements))

    def instead(self, number: int, found: Found) -> str:
        return self.shared.instead(number, found)

    async def on_request(self, request: Request, x: Exchange) -> Request:
        if "request" not in self.options.where:
            return request
        values: dict[Path, Any] = {}
        for spot in request.texts():
            if spot.role in self.options.roles and (text := self.shared.replaced(spot.text)) != spot.text:
                values[spot.path] = text
        return request.with_values(values) if values else request

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        if "arguments" not in self.options.where:
            return (call,)
        if call.custom:
            text = self.shared.replaced(call.arguments)
            return (call,) if text == call.arguments else (replace(call, arguments=text),)
        commands.document_of(call)  # raises where it is not JSON
        text = changed_strings(call.arguments, self.shared.replaced)
        return (call,) if text == call.arguments else (replace(call, arguments=text),)
