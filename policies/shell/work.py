"""What all readers of one command share: what was found, and what is left of the bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockgate.policies.shell.model import Command, Redirect, Unclear, shown

MAX_TEXT = 100_000
"""A longer script is not read, and said to be so."""
MAX_TOTAL = 1_000_000
MAX_COMMANDS = 2_000
MAX_NESTING = 60
MAX_SCRIPTS = 12
"""So many scripts in scripts."""
MAX_TURNS = 64
"""So many values of a loop's variable are tried."""
MAX_VALUE = 100_000

MAX_STEPS, ERROR_STEPS = 2_500, 8
"""The parser's work on one text, in its own steps, and what one counts once there is an error."""
MAX_PIECES = 12_000
"""So often the parser may ask for a piece of the text: it reads ahead for the end of each heredoc."""

type Node = Any
"""A node of the parser's tree."""
SILENT = frozenset({"comment", "heredoc_body", "heredoc_start", "heredoc_end", "file_descriptor"})
LEAVES = frozenset({
    *("word", "number", "extglob_pattern", "regex", "variable_name", "special_variable_name", "test_operator"),
})  # fmt: skip
"""Nodes that run nothing."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a command reads: the text where it is known, and the commands that it comes from."""

    text: str | None = None
    piped: bool = False
    commands: Sequence[Command] = ()


Nothing = Feed()


class Work:
    """What was found so far."""

    def __init__(self, parser: Any, lifted: Mapping[str, str] | None = None) -> None:
        self.parser = parser
        self.lifted: Mapping[str, str] = lifted or {}
        """Long heredocs by the marks that stand for them in the text."""
        self.taken: set[str] = set()
        """The marks that were found where a heredoc's text stands."""
        self.commands: list[Command] = []
        self.unclear: list[Unclear] = []
        self.characters = 0
        self.scripts = 0

    def parse(self, source: bytes) -> Node | None:
        """The root of the text's tree; None where the parser would take too long: broken input costs it most."""
        steps = pieces = 0
        bound = MAX_PIECES if source.count(b"<<") < 500 else MAX_PIECES // 6

        def too_long(_offset: int, has_error: bool) -> bool:
            nonlocal steps
            steps += ERROR_STEPS if has_error else 1
            return steps > MAX_STEPS

        def piece(offset: int, _point: object) -> bytes:
            nonlocal pieces
            pieces += 1
            return source[offset : offset + 4_096] if pieces <= bound else b""  # it goes back and forth

        try:
            root = self.parser.parse(piece, progress_callback=too_long).root_node
            return root if pieces <= bound else None
        except ValueError:
            self.parser.reset()
            return None

    @property
    def full(self) -> bool:
        return len(self.commands) >= MAX_COMMANDS

    def note(self, reason: str, text: str) -> None:
        if len(self.unclear) < 20:
            self.unclear.append(Unclear(reason=reason, text=shown(text[:2_000])))

    def add(self, command: Command) -> bool:
        if self.full:
            return False
        self.commands.append(command)
        if self.full:
            self.note("it runs too many commands to be read", str(command))
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a command is started: all but its words."""

    source: str
    feed: Feed = Nothing
    redirects: Sequence[Redirect] = ()
    assignments: Mapping[str, str] = field(default_factory=dict[str, str])
    feeds: Sequence[Command] = ()
