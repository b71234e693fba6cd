"""`rewrite_call`: puts one program in the place of another in shell commands; the call and its id stay."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy
from lockgate.policies.commands import command_of, runs_commands, with_command
from lockgate.policies.shell.read import read

_SETTING = re.compile(r"""(?:[A-Za-z_]\w*+=[^\s"'`$\\]*+\s++)++""")
_OPTIONS = re.compile(r"""^(?:\s+-(?!-(?:\s|$))[^\s"'`$\\]+(?=\s|$))+""")
"""Options that stand as they are, up to the -- that ends them."""
_BEFORE, _AFTER = frozenset({"", *" \t\n;&|({`!"}), frozenset({"", *" \t\n;&|)}`<>"})


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
    """The command with its parts rewritten that begin as a rewrite says, where all that reads so is a command."""
    known = list(rewrites)
    typed = Counter(command.source for command in read(text).commands if not command.via)
    for source, count in typed.items():
        new = _begun(source, known)
        places = _places(text, source) if new != source else []
        if len(places) <= count:
            for at in reversed(places):
                text = text[:at] + new + text[at + len(source) :]
    return text


def _places(text: str, source: str) -> list[int]:
    """Where the words stand by themselves, not as a part of longer ones."""
    found, at = list[int](), text.find(source) if source else -1
    while at >= 0:
        end = at + len(source)
        if text[at - 1 : at] in _BEFORE and text[end : end + 1] in _AFTER:
            found.append(at)
        at = text.find(source, end)
    return found


def _begun(source: str, rewrites: Iterable[Rewrite]) -> str:
    """The command as the first rewrite that fits has it begin; what sets variables for it stays before it."""
    at = found.end() if (found := _SETTING.match(source)) else 0
    words = source[at:].split()
    for rewrite in rewrites:
        first = rewrite.words.split()
        if words[: len(first)] == first:
            rest = _after(source[at:], first)
            if rewrite.without_options:
                rest = _OPTIONS.sub("", rest, count=1)
                if rest.lstrip().startswith("-") and rest.split()[0] != "--":
                    return source  # an option that is quoted, or made by the shell
            return source[:at] + rewrite.by + rest
    return source


def _after(source: str, words: Sequence[str]) -> str:
    for word in words:
        source = source.lstrip().removeprefix(word)
    return source
