"""`tool_definitions`: definitions of tools that change, that mislead, or that are not the pinned ones."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Request
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.definition_pins import Pins, digest_of, read_pins
from lockgate.policies.definition_signs import Sign, hidden, lookalikes, shadowing
from lockgate.policies.definitions import Definition, definitions_in
from lockgate.policies.option_types import doing

type Measure = Literal["allow", "alert", "deny"]

KEPT = 20_000
"""So many definitions are remembered with what was found in them, and so many alerts as given."""
OWN = 0.4
"""How much a sign tells of a tool of the agent's own, which instructs its model as it likes."""


class Options(Section):
    """What happens in each case: `allow` does nothing, `alert` records it once, `deny` refuses the request."""

    drift: Measure = "alert"
    """A tool is another one than the session showed first, or than the pinned one. A few other words, such as a date,
    do not count; nor does a tool that comes or goes."""
    hidden: Measure = "alert"
    """A definition holds instructions that have nothing to do with the tool, or invisible characters."""
    shadowing: Measure = "alert"
    """A definition says what to do when a tool of another server is used."""
    lookalike: Measure = "alert"
    """Two tools have names that look the same."""
    unpinned: Measure = "allow"
    """A tool does not stand in the file of pinned ones."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """From this score on something is done."""
    pins_file: Path | None = None
    """Pinned definitions in YAML, `tools:` with NAME: DIGEST below it, as `lockgate policy pin ID` prints them of an
    exchange in the log. Each wire format has digests of its own."""
    trusted_agents: list[str] = Field(default=["claude-code", "codex"])
    """Agents whose own tools, those of no server, are the agent's own word: they change with its version and settings,
    and tell the model much."""
    ignore: list[str] = Field(default_factory=list[str])
    """Tools that are not looked at; `*` and `?` stand for any letters, `SERVER/NAME` is a tool of a server."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.unpinned != "allow" and self.pins_file is None:
            raise ValueError("'unpinned' can never apply: name the file of pinned tools in 'pins_file'")
        return doing(self, "drift", "hidden", "shadowing", "lookalike", "unpinned", off=("allow",))


@dataclass(slots=True)
class Shared:
    """What all exchanges of one rule use."""

    file: Mapping[str, str] | None
    pins: Pins = field(default_factory=Pins)
    looked: OrderedDict[tuple[str, ...], tuple[float, str]] = field(
        default_factory=OrderedDict[tuple[str, ...], tuple[float, str]]
    )
    told: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict[tuple[str, str, str], None])


class ToolDefinitions(Policy):
    """Watches the definitions of tools: for changes within a session, hidden instructions, claims on tools of other
    servers, and names that look like another tool's.

    It compares name, description and schema. A tool of an MCP server is known by its name (`mcp__SERVER__TOOL`) or its
    namespace. An alert is given once in a session.

    Example:
        drift: deny
        hidden: deny
    """

    Options = Options

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(read_pins(options.pins_file))

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._shown: list[tuple[Definition, str]] = []
        """Definitions that count from now on, and their digests."""

    async def on_request(self, request: Request, x: Exchange) -> Request:
        signs = await self._signs(request, x)
        for sign in signs:
            if getattr(self.options, sign.case) == "deny":
                raise Blocked(_sentence(sign), reason=_reason(sign), score=sign.score)
        for tool, digest in self._shown:  # what was refused was not shown
            self.shared.pins.pin(x, tool, digest)
        news = [sign for sign in signs if self._is_news(sign, x)]
        if news:
            self.score = max(sign.score for sign in news)
            self.reason = "; ".join(_reason(sign) for sign in news[:5])
        return request

    async def _signs(self, request: Request, x: Exchange) -> list[Sign]:
        """What is to be told of the request's tools."""
        options: Options = self.options
        tools = {digest_of(tool): tool for tool in definitions_in(request) if not self._is_ignored(tool)}
        found = [*self._changes(tools, x), *lookalikes(list(tools.values()))]
        for digest in tools:
            found += await self._scanned(digest, tools, x)
        return [sign for sign in found if sign.score >= options.threshold and getattr(options, sign.case) != "allow"]

    def _changes(self, tools: Mapping[str, Definition], x: Exchange) -> Iterator[Sign]:
        file: Mapping[str, str] | None = self.shared.file
        pins = None if x.purpose == "side" else self.shared.pins.of(x)
        names = Counter(tool.full_name for tool in tools.values())
        for digest, tool in tools.items():
            name = tool.full_name
            if file is not None and name not in file:
                yield Sign("unpinned", name, 0.6, "is not among the pinned tools")
            elif file is not None and file[name] != digest:
                yield Sign("drift", name, 1.0, "is not the pinned one")
            if pins is not None and names[name] == 1 and pins.get(name) != digest:
                yield from self._drift(pins.get(name), tool, digest, x)

    def _drift(self, old: str | None, tool: Definition, digest: str, x: Exchange) -> Iterator[Sign]:
        pins: Pins = self.shared.pins
        score = 0.0 if old is None else 0.2 if pins.is_minor(old, tool) else 0.8
        score *= OWN if self._is_own(tool, x) else 1
        if old is not None and score >= self.options.threshold:
            yield Sign("drift", tool.full_name, round(score, 3), "is another one than at first in this session")
        self._shown.append((tool, digest))

    async def _scanned(self, digest: str, tools: Mapping[str, Definition], x: Exchange) -> list[Sign]:
        tool, every = tools[digest], list(tools.values())
        weight = OWN if self._is_own(tool, x) else 1
        score, why = await self._looked((digest,), partial(hidden, tool))
        signs = [Sign("hidden", tool.full_name, round(score * weight, 3), why)]
        if weight == 1:
            names = (other.full_name for other in every)
            score, why = await self._looked((digest, *names), partial(shadowing, tool, every))
            signs.append(Sign("shadowing", tool.full_name, score, why))
        return signs

    async def _looked(self, key: tuple[str, ...], look: Callable[[], tuple[float, str]]) -> tuple[float, str]:
        """What a look tells, remembered; a first look takes a while, so it is taken beside the event loop."""
        looked: OrderedDict[tuple[str, ...], tuple[float, str]] = self.shared.looked
        if (found := looked.get(key)) is None:
            found = looked[key] = await asyncio.to_thread(look)
            if len(looked) > KEPT:
                looked.popitem(last=False)
        return found

    def _is_news(self, sign: Sign, x: Exchange) -> bool:
        told: OrderedDict[tuple[str, str, str], None] = self.shared.told
        key = (x.session_id or x.id, sign.case, f"{sign.tool}\0{sign.why}\0{sign.score}")
        if sign.case != "drift" and key in told:
            return False
        told[key] = None
        if len(told) > KEPT:
            told.popitem(last=False)
        return True

    def _is_own(self, tool: Definition, x: Exchange) -> bool:
        return not tool.server and x.agent in self.options.trusted_agents

    def _is_ignored(self, tool: Definition) -> bool:
        names = (tool.name.lower(), tool.full_name.lower())
        return any(fnmatchcase(name, glob.lower()) for glob in self.options.ignore for name in names)


def _sentence(sign: Sign) -> str:
    return f"The tool {sign.tool[:100]} cannot be used here: its definition {_WORDS[sign.case]}. Leave it out, or ask."


def _reason(sign: Sign) -> str:
    return f"{sign.case}: {sign.tool[:100]}: {sign.why}"


_WORDS = {
    "drift": "is not the one that was there before",
    "hidden": "holds instructions",
    "shadowing": "is about other tools",
    "lookalike": "has the name of another tool",
    "unpinned": "is not pinned",
}
