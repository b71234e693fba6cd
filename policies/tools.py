"""`tools`: which tools may be called, and with which arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.arguments import values_at
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.commands import Unreadable
from lockgate.policies.patterns import Re2, finds


class Entry(Section):
    """Calls of a tool; where arguments are named, only calls in which every pattern is found."""

    tool: str = Field(default="*", min_length=1)
    """The tool's name; `*` and `?` stand for any letters. Upper and lower case are the same."""
    arguments: dict[str, Re2] = Field(default_factory=dict[str, Re2])
    """Path in the arguments: RE2 pattern found there. In a path `*` is any key, `**` any string below, and `command`
    the shell command, however the agent wraps it."""
    sentence: str = ""
    """What the client is told when this entry denies."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"tool": given} if isinstance(given, str) else given

    def holds(self, call: ToolCall) -> bool:
        """Whether this entry is about the call. Raises Unreadable where its arguments matter and cannot be read."""
        if not fnmatchcase(call.name.lower(), self.tool.lower()):
            return False
        return all(
            any(finds(pattern, value) for value in values_at(call, path)) for path, pattern in self.arguments.items()
        )


class Options(Section):
    """Which tools may be called."""

    default: Literal["allow", "deny"] = "allow"
    """What happens to a call that no entry is about."""
    allow: list[Entry] = Field(default_factory=list[Entry])
    """Calls that pass. An entry may be just a name."""
    deny: list[Entry] = Field(default_factory=list[Entry])
    """Calls that do not pass, even where `allow` names them."""


class Tools(Policy):
    r"""Allows and denies tool calls, by name and by what stands in their arguments.

    What `deny` names never passes, even where `allow` names it too.

    Example:
        default: allow
        deny:
          - tool: "mcp__*"
          - arguments: {command: '\bgit\s+push\b'}
            sentence: Pushing is for people.
    """

    Options = Options

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        options: Options = self.options
        if denied := _first(options.deny, call):
            raise Blocked(denied.sentence or _sentence(denied, call))
        if options.default == "deny" and _first(options.allow, call) is None:
            raise Blocked(f"The tool {call.name} is not allowed here, or not with these arguments.")
        return (call,)


def _first(entries: Sequence[Entry], call: ToolCall) -> Entry | None:
    """The first entry about the call. One that cannot be told is passed over, unless no other settles it."""
    unread: Unreadable | None = None
    for entry in entries:
        try:
            if entry.holds(call):
                return entry
        except Unreadable as error:
            unread = error
    if unread is not None:
        raise unread
    return None


def _sentence(entry: Entry, call: ToolCall) -> str:
    if entry.arguments:
        return f"The tool {call.name} may not be called with such arguments here."
    return f"The tool {call.name} is not allowed here."
