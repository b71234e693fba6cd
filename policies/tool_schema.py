"""`tool_schema`: calls that do not follow what the client declared of its tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, Request, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.commands import Unreadable, document_of
from lockgate.policies.definitions import Definition, definitions_in, loaded_names
from lockgate.policies.option_types import doing
from lockgate.policies.schemas import Unusable, ready

type Measure = Literal["allow", "alert", "deny"]
type Case = Literal["undeclared", "unfit", "unreadable", "unusable"]

SCORES: dict[Case, float] = {"undeclared": 0.6, "unfit": 0.4, "unreadable": 0.6, "unusable": 0.2}
MAY_BE = 0.2
"""The score of a call of a tool that may have been loaded where the request does not show it."""
WORK = 200_000_000
"""Values times parts of the schema: more is not looked at, as it would take seconds."""
SMALL = 65_536
"""Arguments of fewer characters are never too much."""
NAMES = 30
"""So many tools are named to a model that calls one that is not there."""
_SEARCHES = frozenset({"toolsearch", "tool_search"})
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
"""Keys of a Responses request that refer to what the provider keeps, tools perhaps among it."""


class Options(Section):
    """What happens in each case: `allow` does nothing, `alert` keeps a score and lets the call pass, `deny` refuses."""

    undeclared: Measure = "deny"
    """The request declares no such tool. Where tools are searched for and loaded on the way, or the provider keeps some
    of them, a tool that is not known is never refused."""
    unfit: Measure = "deny"
    """The tool's schema does not allow the arguments: one is missing, of a wrong type, or not foreseen."""
    unreadable: Measure = "deny"
    """The arguments are no JSON object, or so deeply nested that parsers differ."""
    unusable: Measure = "alert"
    """The schema itself is broken, refers to another place, or would take too long: then nothing can be said."""
    ignore: list[str] = Field(default_factory=list[str])
    """Tools whose calls are not looked at; `*` and `?` stand for any letters."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "undeclared", "unfit", "unreadable", "unusable", off=("allow",))


class ToolSchema(Policy):
    """Holds tool calls to what the client declared: the tool is there, and its schema allows the arguments.

    Free text, tools without a schema, and tools that the provider runs itself pass. Schemas are never fetched.

    Example:
        undeclared: deny
        unfit: alert
    """

    Options = Options

    def __init__(self, options: Options, shared: None = None) -> None:
        super().__init__(options, shared)
        self._tools: _Declared | None = None

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        options: Options = self.options
        if any(fnmatchcase(call.name.lower(), name.lower()) for name in options.ignore):
            return (call,)
        if self._tools is None:
            self._tools = _Declared(x.request)
        if found := self._tools.fault(call):
            self._act(*found)
        return (call,)

    def _act(self, case: Case, why: str) -> None:
        measure: Measure = getattr(self.options, case)
        score, reason = SCORES[case], f"{case}: {why}"
        if case == "undeclared" and self._tools is not None and self._tools.open:
            measure, score = "allow" if measure == "allow" else "alert", MAY_BE
        if measure == "deny":
            raise Blocked(why, reason=reason, score=score)
        if measure == "alert":
            self.score, self.reason = score, reason


class _Declared:
    """The tools of one request, by each name that a call of them may have."""

    def __init__(self, request: Request) -> None:
        self._tools: dict[str, list[Definition]] = {}
        self.open = any(key in request.document for key in _ELSEWHERE)
        """Whether there may be tools that the request does not show."""
        for tool in definitions_in(request):
            for name in _names(tool):
                self._tools.setdefault(name, []).append(tool)
            self.open = self.open or _leads_further(tool)
        self.open = self.open or not self._tools  # a model with no tools calls none
        self._loaded = frozenset(loaded_names(request)) if request.document.get("messages") else frozenset[str]()

    def fault(self, call: ToolCall) -> tuple[Case, str] | None:
        tools = self._tools.get(call.name)
        if tools is None:
            return None if call.name in self._loaded else ("undeclared", self._missing(call.name))
        if call.custom and any(tool.kind == "custom" for tool in tools):
            return None
        found = [_fault(call, tool) for tool in tools]
        return None if None in found else found[0]

    def _missing(self, name: str) -> str:
        names = list(dict.fromkeys(tool.name[:100] for tools in self._tools.values() for tool in tools))
        there = f" There are: {', '.join(names[:NAMES])}{', …' if len(names) > NAMES else ''}." if names else ""
        return f"There is no tool {name[:100]} in this conversation.{there}"


def _names(tool: Definition) -> Sequence[str]:
    if not tool.server or tool.name.startswith("mcp__"):
        return (tool.name,)
    return (tool.name, *(f"{tool.server}{mark}{tool.name}" for mark in ("", "_", "__", ".", "/", ":", "-")))


def _leads_further(tool: Definition) -> bool:
    """Whether more tools may be loaded on the way."""
    return tool.kind.startswith("tool_search") or tool.name.lower() in _SEARCHES or "defer_loading" in tool.outer


def _fault(call: ToolCall, tool: Definition) -> tuple[Case, str] | None:
    """What is wrong with the call, were it one of this tool."""
    if tool.kind == "custom":
        return None
    if call.custom:
        return "unfit", f"The tool {call.name[:100]} takes arguments in JSON, and no free text."
    try:
        arguments = document_of(call)
    except Unreadable as error:
        sentence = str(error)
        return "unreadable", f"{sentence[0].upper()}{sentence[1:]}."
    return _unfit(call, arguments, tool.schema)


def _unfit(call: ToolCall, arguments: Mapping[str, Any], document: Any) -> tuple[Case, str] | None:
    if document is None:
        return None
    try:
        schema = ready(document)
        if len(call.arguments) > SMALL and schema.steps * _values(call.arguments) > WORK:
            return "unusable", "there is too much in the arguments to hold them against the tool's schema"
        fault = schema.fault(arguments)
    except Unusable as error:
        return "unusable", str(error)
    return ("unfit", f"The arguments of {call.name[:100]} are not what its schema allows: {fault}.") if fault else None


def _values(arguments: str) -> int:
    """How many values there are at most."""
    return arguments.count(",") + arguments.count("[") + arguments.count("{") + 1
