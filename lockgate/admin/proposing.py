"""A rule made from one call: never again, or always allow. Only proposes; a person reads it before it is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import re2  # pyright: ignore[reportMissingTypeStubs]
from pydantic import Field

from lockgate.errors import Error
from lockgate.events import ToolCall
from lockgate.policies import commands
from lockgate.sections import Section
from lockgate.wire.document import loads_object

LONGEST = 1_000
"""Characters of an argument that a rule names whole."""
ARGUMENTS = 8


class Call(Section):
    """A tool call, as a model made it."""

    tool: str = Field(min_length=1, max_length=300)
    arguments: str = Field(default="{}", max_length=200_000)
    custom: bool = False


class Wish(Section):
    """What should become of calls like this one."""

    wish: Literal["never", "always"]
    call: Call
    rule: str = Field(default="", max_length=300)
    """For `always`: the rule in force that blocked or held the call."""
    any_arguments: bool = False
    """Whether all calls of the tool are meant."""


type Proposed = tuple[dict[str, Any], int, bool, str]
"""The rule, its place, whether it replaces the rule there, and what it does."""


def proposed(wish: Wish, rules: Sequence[Mapping[str, Any]]) -> Proposed:
    """Raises Error where no rule can say it."""
    entry = entry_of(wish)
    if wish.wish == "never":
        return _never(wish, entry, rules)
    names = [rule["name"] for rule in rules]
    if wish.rule not in names:
        raise Error(f"name the rule that stopped the call: it stands at the top of the policy set; there are: {names}")
    at = names.index(wish.rule)
    rule, sentence = _always(wish, entry, rules[at])
    return rule, at, True, sentence


def entry_of(wish: Wish) -> dict[str, Any]:
    """Names the call for the policy `tools`: its tool, and its arguments as they are."""
    call = wish.call
    entry: dict[str, Any] = {"tool": call.tool}
    if not wish.any_arguments and (patterns := _patterns(call)):
        entry["arguments"] = patterns
    return entry


def command_of(call: Call) -> str | None:
    try:
        return commands.command_of(
            ToolCall(block=0, id="", name=call.tool, arguments=call.arguments, custom=call.custom)
        )
    except commands.Unreadable:
        return None


def _patterns(call: Call) -> dict[str, str]:
    if (command := command_of(call)) is not None:
        return {"command": _exactly(command)}
    if call.custom:
        raise Error("the input of this tool is free text: name all its calls")
    given = loads_object(call.arguments).items()
    texts = {name: value for name, value in given if isinstance(value, str) and len(value) <= LONGEST}
    if given and not texts:
        raise Error("no argument of this call is a short text: name all calls of the tool")
    return {name: _exactly(value) for name, value in list(texts.items())[:ARGUMENTS]}


def _exactly(text: str) -> str:
    return rf"\A{re2.escape(text)}\z"  # pyright: ignore[reportUnknownMemberType]


def _never(wish: Wish, entry: dict[str, Any], rules: Sequence[Mapping[str, Any]]) -> Proposed:
    name = _free(f"never-{_slug(wish.call.tool)}", rules)
    what = "calls" if wish.any_arguments else "this call"
    return (
        {"name": name, "use": "tools", "with": {"deny": [entry]}}, 0, False,
        f"Never again: {what} of {wish.call.tool} will not pass, whatever other rules say.",
    )  # fmt: skip


def _always(wish: Wish, entry: dict[str, Any], rule: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    options = dict(rule.get("with", {}))
    tool, made = wish.call.tool, dict(rule)
    if rule.get("use") == "tools" and options.get("default") == "deny" and not options.get("deny"):
        made["with"] = options | {"allow": [*options.get("allow", ()), entry]}
        return made, f"{rule['name']} will allow this call of {tool} too."
    command = command_of(wish.call)
    if rule.get("use") == "dangerous_command" and command is not None and not wish.any_arguments:
        made["with"] = options | {"allow": [*options.get("allow", ()), f"^{re2.escape(command)}$"]}  # pyright: ignore[reportUnknownMemberType]
        return made, f"{rule['name']} will let exactly this command pass; other rules still look at it."
    if not wish.any_arguments:
        raise Error(f"the rule {wish.rule} knows no exception for one call: only all calls of {tool} can be left out")
    without = {"not": {"tool": tool}}
    made["match"] = {"all": [rule["match"], without]} if rule.get("match") else without
    return made, f"{rule['name']} will not look at calls of {tool} any more, whatever their arguments are."


def _slug(text: str) -> str:
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:40] or "call"


def _free(name: str, rules: Sequence[Mapping[str, Any]]) -> str:
    taken = {rule["name"] for rule in rules}
    number = 1
    while (tried := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return tried
