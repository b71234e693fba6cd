"""What a step of a flow rule says about one call: options, and whether a call fits them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lockgate.config import Section
from lockgate.events import ToolCall
from lockgate.policies.commands import runs_commands
from lockgate.policies.danger.hosts import local
from lockgate.policies.danger.judge import load_packs
from lockgate.policies.danger.rules import PACKS, RULES
from lockgate.policies.flows.deeds import Acts
from lockgate.policies.flows.labels import Label
from lockgate.policies.flows.places import Doing
from lockgate.policies.patterns import Re2, finds
from lockgate.policies.protected_paths import Guarded, guarded


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


type Names = Annotated[list[str], BeforeValidator(_listed)]
type Doings = Annotated[list[Doing], BeforeValidator(_listed)]
type Labels = Annotated[list[Label], BeforeValidator(_listed)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call as conditions see it; `result` is None while there is none yet."""

    acts: Acts
    result: str | None = None
    labels: Collection[Label] = ()
    """Of the session so far."""


class Condition(Section):
    """What a call has to be; all that is given has to hold, and of a list one member. One word needs no list."""

    tool: Names = Field(default_factory=list[str])
    """The tool's name, with `*` and `?`; upper and lower case are the same."""
    does: Doings = Field(default_factory=list[Doing])
    """What the call does, as its command, its arguments and the programs that it runs tell."""
    reads: Names = Field(default_factory=list[str])
    """Paths that it reads, as in `protected_paths`."""
    writes: Names = Field(default_factory=list[str])
    """Paths that it writes."""
    host: Names = Field(default_factory=list[str])
    """Hosts that it reaches, with `*`; `outside` is any host beyond this machine and its own network."""
    danger: Names = Field(default_factory=list[str])
    """Packs of `dangerous_command`, or its rules as `lockgate policy explain` tells them: `git`, `git/force-pushes`."""
    command: Re2 = ""
    """RE2, found in one command's words with its quotes, variables and wrappers resolved."""
    taint: Labels = Field(default_factory=list[Label])
    """Where earlier results of the session came from."""
    arguments: Re2 = ""
    """RE2, found in any string of the arguments."""
    result: Re2 = ""
    """RE2, found in the result: only for steps before the last, as the last is decided before it has one."""

    @field_validator("danger")
    @classmethod
    def _known_danger(cls, names: list[str]) -> list[str]:
        load_packs()
        for name in names:
            pack, _, rule = name.partition("/")
            if pack not in PACKS or (rule and (rule not in RULES or RULES[rule].pack != pack)):
                what = f"rule '{name}'" if pack in PACKS else f"pack '{pack}'"
                raise ValueError(f"dangerous_command has no {what}; its packs are: {', '.join(PACKS)}")
        return names

    @model_validator(mode="after")
    def _runs_commands(self) -> Condition:
        fixed = [name for name in self.tool if not any(letter in name for letter in "*?[")]
        if (self.command or self.danger) and fixed and fixed == self.tool and not any(map(_runs, fixed)):
            what = "command" if self.command else "danger"
            raise ValueError(
                f"no call can be both: the tool {' or '.join(fixed)} runs no command, and '{what}' wants one"
            )
        return self

    @property
    def empty(self) -> bool:
        return not any(getattr(self, name) for name in Condition.model_fields)

    def fits(self, seen: Seen) -> bool:
        """Whether the call is what this says."""
        acts = seen.acts
        return (
            (not self.does or not acts.does.isdisjoint(self.does))
            and (not self.tool or _called(acts.tool, tuple(self.tool)))
            and (not self.taint or any(label in seen.labels for label in self.taint))
            and (not self.reads or _holds(self.reads, acts, "read"))
            and (not self.writes or _holds(self.writes, acts, "write"))
            and (not self.host or any(_reached(name, reach.host) for name in self.host for reach in acts.reaches))
            and (not self.danger or any(_found(name, acts) for name in self.danger))
            and (not self.command or any(finds(self.command, str(one)) for one in acts.commands))
            and (not self.arguments or any(finds(self.arguments, text) for text in acts.texts))
            and (not self.result or (seen.result is not None and finds(self.result, seen.result)))
        )


def _runs(tool: str) -> bool:
    return runs_commands(ToolCall(block=0, id="", name=tool, arguments='{"command": "true"}'))


@lru_cache(maxsize=4096)
def _called(tool: str, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(tool.lower(), name.lower()) for name in names)


@lru_cache(maxsize=1024)
def _guarded(pattern: str) -> Guarded:
    return guarded(pattern)


def _holds(patterns: list[str], acts: Acts, way: str) -> bool:
    places = acts.reads if way == "read" else acts.writes
    return any(_guarded(pattern).holds(found, whole=False) for pattern in patterns for found in places)


def _reached(name: str, host: str) -> bool:
    return not local(host) if name == "outside" else fnmatchcase(host.lower(), name.lower())


def _found(name: str, acts: Acts) -> bool:
    pack, _, rule = name.partition("/")
    return any(
        one.rule.pack == pack and rule in ("", one.rule.name) for one in acts.findings if one.score >= DANGER_FROM
    )


DANGER_FROM = 0.3
"""What scores lower is hardly harm."""
