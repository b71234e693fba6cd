"""`rewrite_call`: puts one program in the place of another in shell commands; the call and its id stay."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy
from lockgate.policies.commands import command_of, runs_commands, with_command
from lockgate.policies.shell.read import read


class Rewrite(Section):
    """What a command begins with, and what it is to begin with instead."""

    words: str = Field(min_length=1)
    """The first words of a command: `pip install`."""
    by: str = Field(min_length=1)
    """What stands there instead: `uv pip install`."""
    without_options: bool = False
    """Leaves out the command's options, for a program that takes others."""


def _usual() -> list[Rewrite]:
    return [
        Rewrite(words="pip install", by="uv pip install"),
        Rewrite(words="pip3 install", by="uv pip install"),
        Rewrite(words="python -m pip install", by="uv pip install"),
        Rewrite(words="rm", by="trash", without_options=True),
    ]


class Options(Section):
    """Which commands become which; the first that fits counts."""

    rewrites: list[Rewrite] = Field(default_factory=_usual, min_length=1)
    """By default pip becomes uv, and rm becomes trash."""


class RewriteCall(Policy):
    """Rewrites the beginning of shell commands, each where it is typed: all else in the call stays as it is.

    A command that another one runs (`sudo`, `sh -c`, `xargs`) stays as it is.

    Example:
        rewrites:
          - {words: pip install, by: uv pip install}
          - {words: rm, by: trash, without_options: true}
    """

    Options = Options

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        command = command_of(call)
        if command is None or not runs_commands(call):
            return (call,)
        changed = rewritten(command, self.options.rewrites)
        return (call,) if changed == command else (with_command(call, changed),)


def rewritten(text: str, rewrites: Iterable[Rewrite]) -> str:
    """The command with its parts rewritten that begin as a rewrite says, and stand in it only once."""
    known = list(rewrites)
    for command in read(text).commands:
        if command.via or text.count(command.source) != 1:
            continue
        typed = command.source.split()
        fits = (one for one in known if typed[: len(one.words.split())] == one.words.split())
        if (rewrite := next(fits, None)) is not None:
            text = text.replace(command.source, _begun(command.source, rewrite))
    return text


def _begun(source: str, rewrite: Rewrite) -> str:
    rest = source
    for word in rewrite.words.split():
        rest = rest.lstrip().removeprefix(word)
    while rewrite.without_options and rest.lstrip().startswith("-"):
        rest = " " + rest.lstrip().partition(" ")[2]
    return rewrite.by + rest
