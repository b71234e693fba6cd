"""Something that a command runs inside of itself. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

type Where = Literal["", "container", "remote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Something that a command runs: words, or a script in a language."""

    via: str
    words: Sequence[str] = ()
    script: str | None = None
    language: str = "sh"
    positional: Sequence[str] | None = None
    assignments: Mapping[str, str] = field(default_factory=dict[str, str])
    inside: Where = ""
    cwd: str | None = None
    stdin: str | None = None
    """What it reads, where that is known."""
    reads_input: bool = True
    """Whether it gets the command's own input."""
