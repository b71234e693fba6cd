"""What `lockgate log verify` answers. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

type Kind = Literal["changed", "removed", "inserted", "chain"]
"""`chain`: the seals themselves do not hold together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that others did to the log. `sentence` says it."""

    kind: Kind
    table: str
    id: str
    """A row's id, a message's hash, or the head of a chain."""
    exchange_id: str = ""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, and what was not looked at. Without findings, all that was compared is as it was written."""

    findings: tuple[Finding, ...]
    """Those of chains first, then rows from the oldest on, then messages and files; at most `KEPT`."""
    found: int
    """How many there are altogether."""
    rows: int
    """Sealed rows that are as they were written."""
    messages: int
    """Messages and nodes of threads that are what their names say."""
    retired: int
    """Rows that retention removed."""
    chains: int
    seals: int
    heads: tuple[str, ...]
    """The ends of chains that no later chain began after: note them elsewhere, and `--head` finds them again."""
    unchecked: tuple[str, ...]
    """What could not be checked, in sentences."""


KEPT = 100
"""Findings that are told one by one."""


def id_text(raw: str | None) -> str:
    """An id as people see it; "" for what is none."""
    try:
        return str(UUID(raw)) if raw else ""
    except ValueError:
        return ""


@dataclass(slots=True)
class Findings:
    """Keeps the first so many of each rank, and counts them all."""

    count: int = 0
    kept: list[tuple[int, str, Finding]] = field(default_factory=list[tuple[int, str, Finding]])

    @property
    def told(self) -> bool:
        """Whether what is found now is only counted."""
        return len(self.kept) >= 10 * KEPT

    def add(self, finding: Finding, *, rank: int, order: str = "") -> None:
        """The lower rank and then order is told first; equals in the order that they came in."""
        self.count += 1
        if not self.told:
            self.kept.append((rank, order, finding))

    def first(self) -> tuple[Finding, ...]:
        return tuple(finding for *_, finding in sorted(self.kept, key=lambda kept: kept[:2])[:KEPT])
