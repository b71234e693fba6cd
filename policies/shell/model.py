"""What a shell command is made of, once it is read. Values only.

Words are plain texts. What is not known of a word stands in it between marks from Unicode's private use area, which are
taken out of whatever is read, so that no command can bring its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

UNSET, UNSET_END = "\ue000", "\ue001"
"""Around the name of a variable that nothing in the command sets: it may well be empty."""
SOME, SOME_END = "\ue002", "\ue003"
"""Around what is known of a text that is there but unknown, such as a command's output."""
SPLIT = "\ue004"
"""Where an unquoted expansion splits a word."""
HERE = "\ue005"
"""The folder that the command starts in, which is taken for the workspace."""
_QUOTED = tuple(zip("{},~", "\ue006\ue007\ue008\ue009", strict=True))
"""Characters that would mean something without their quotes."""
PRIVATE = re.compile("[\ue000-\ue00f]")

_SPACE, _SOLID = re.compile(r"[ \t\n]+"), "\xa0"
"""White space within a mark would split a word."""
_UNKNOWN = re.compile(f"{UNSET}([^{UNSET_END}]*){UNSET_END}|{SOME}([^{SOME_END}]*){SOME_END}")


def quoted(text: str) -> str:
    """The text with marks for the characters that would mean something without their quotes."""
    for plain, mark in _QUOTED:
        text = text.replace(plain, mark)
    return text


def unquoted(text: str) -> str:
    """The text with those characters as they are."""
    if not text.isascii():
        for plain, mark in _QUOTED:
            text = text.replace(mark, plain)
    return text


def unset(name: str) -> str:
    return f"{UNSET}{name}{UNSET_END}"


def some(label: str) -> str:
    return f"{SOME}{_SPACE.sub(_SOLID, PRIVATE.sub('', label))[:80]}{SOME_END}"


def known(text: str) -> bool:
    """Whether nothing in the text is unknown."""
    return UNSET not in text and SOME not in text


def shown(text: str) -> str:
    """The text for people: what is unknown as a variable or in angle brackets."""
    if text.isascii():
        return text
    text = _UNKNOWN.sub(lambda m: f"${m[1]}" if m[1] is not None else f"<{m[2].replace(_SOLID, ' ')}>", text)
    return PRIVATE.sub("", unquoted(text.replace(HERE, ".").replace(SPLIT, " ")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """`> target`, `< target` or a text that is given as input."""

    kind: Literal["read", "write", "append", "text"]
    target: str = ""
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One simple command as it would run."""

    words: Sequence[str]
    """The program and its arguments, resolved as far as can be known."""
    source: str = ""
    """The node that it was read from, as it is written."""
    via: Sequence[str] = ()
    """What it is run by, outermost first: `sudo`, `sh -c`, `xargs` …"""
    redirects: Sequence[Redirect] = ()
    assignments: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables set for this command only."""
    stdin: str | None = None
    """What it reads, where that is known."""
    piped: bool = False
    """Whether it reads another command's output."""
    feeds: Sequence[Command] = ()
    """The commands whose output it reads or has in its words."""
    cwd: str = HERE
    """The folder it runs in."""
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    """Symbolic links that the same script makes, and where they lead."""
    endless: bool = False
    """Whether it is a function that starts itself in the background or in a pipe."""
    inside: Literal["", "container", "remote"] = ""
    """Whether it runs on another machine."""
    tried: bool = False
    """Whether it is only looked at, as with `--dry-run`, or stands behind a program that prints it."""
    name: str = field(init=False, compare=False)
    """The program without its folder, in lower case."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", program_name(self.words[0]) if self.words else "")

    @property
    def args(self) -> Sequence[str]:
        return self.words[1:]

    def __str__(self) -> str:
        return " ".join(map(shown, self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A part of the command that was not understood."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Everything that a shell command would run, in order, and what of it was not understood."""

    text: str
    commands: Sequence[Command]
    unclear: Sequence[Unclear]
    files: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """What is known of files afterwards, by their place; None where a file was written and nobody knows what."""


def program_name(word: str) -> str:
    """The last part of a program's path, in lower case and without Windows' `.exe`."""
    name = word.rstrip("/").rpartition("/")[2].rpartition("\\")[2].lower().removesuffix(".exe")
    return name[1:] if name in _GNU else name


_GNU = frozenset(
    {"grm", "gmv", "gcp", "gdd", "gchmod", "gchown", "gln", "gtee", "gshred", "gtruncate", "gunlink", "grmdir", "gcat"}
)
"""GNU's programs as a Mac has them beside its own."""


_VERSION = re.compile(r"(?<=[a-z])[\d.]+$")


def versionless(name: str) -> str:
    """A program's name without its version: `python` for `python3.12`."""
    return _VERSION.sub("", name) if name[-1:] in _LAST else name


_LAST = frozenset("0123456789.")
