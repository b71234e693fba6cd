"""What is asked of the log, and what it answers, beside the records of `lockgate.records`. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lockgate.events import Usage
from lockgate.records import (
    Action,
    Attested,
    Comm,
    CommType,
    Decision,
    ExchangeRow,
    Mode,
    Outcome,
    Purpose,
    Relation,
    SessionRow,
)
from lockgate.storage.words import Excerpt

USAGE_FIELDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
"""What is kept of a usage; what the cache keeps for an hour is in the cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which exchanges a list shows; None does not look. Times are aware; `since` is included, `until` is not."""

    kind: Literal["model", "other"] | None = None
    provider: str | None = None
    model: str | None = None
    agent: str | None = None
    session_id: str | None = None
    """A session's id, the end of it, or the agent's own marker, which several sessions may have."""
    project: str | None = None
    token: str | None = None
    """The id of a token."""
    trigger: str | None = None
    """"" is the clients' own exchanges, "judge" and the like are Lockgate's."""
    outcome: Outcome | None = None
    status: int | None = None
    tool: str | None = None
    """A tool that the model called, whether or not the call went through."""
    rule: str | None = None
    """A rule that decided anything in the exchange, in shadow mode too."""
    action: Action | None = None
    """What a rule did, or, with `rule`, what that rule did."""
    label: str | None = None
    """Of the exchange or its session."""
    attested: Attested | None = None
    purpose: Purpose | None = None
    min_cost_nano_usd: int | None = None
    min_tokens: int | None = None
    """Of all four kinds together."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """How a body that is stored in parts came back, as a comm's `content`. It is equal to what was sent, as JSON."""

    as_sent: bool = False
    """Whether these are the very bytes that were sent."""
    damage: str = ""
    """Why it did not come back, where the database was changed by others: a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeDetail:
    """One exchange whole: its row, and each in the order they were made, its comms, relations and decisions."""

    exchange: ExchangeRow
    comms: tuple[Comm, ...]
    relations: tuple[Relation, ...]
    decisions: tuple[Decision, ...]
    related: tuple[ExchangeRow, ...] = ()
    """Other exchanges that a comm of this one is joined to, such as a judge's about it."""
    joined: Mapping[str, Joined] = field(default_factory=dict[str, Joined])
    """By the id of its comm, each body that is stored in parts; all others are stored whole."""

    def chain(self, type: CommType) -> tuple[Comm, ...]:
        """The request, a client's or our own, or the reply to it: as it came, and then as each change left it."""
        own = self.exchange.trigger
        known = {comm.id: comm for comm in self.comms if comm.type == type and comm.trigger == own}
        changes = {one.from_comm_id: one.to_comm_id for one in self.relations if one.type == "modified_to"}
        changed = set(changes.values())
        here = next((id for id in known if id not in changed), None)
        chain: list[Comm] = []
        while here is not None and here in known:
            chain.append(known.pop(here))
            here = changes.get(here)
        return tuple(chain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person wrote about an exchange, or about its session."""

    text: str
    created_at: datetime
    about: Literal["exchange", "session"] = "exchange"
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What people left on an exchange and on its session. Labels are in alphabetical order."""

    labels: tuple[str, ...] = ()
    session_labels: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A text that a search found. The higher the score, the better it fits; scores of two databases do not compare."""

    exchange: ExchangeRow
    comm_id: str
    role: str
    """user, tool, assistant, thinking or call; "" without an excerpt where others changed what was said."""
    excerpt: Excerpt
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session and what it took: of its exchanges, `side` were about something beside it."""

    row: SessionRow
    depth: int = 0
    """How many sessions of the same answer it descends from."""
    exchanges: int = 0
    side: int = 0
    usage: Usage = field(default_factory=Usage)
    nano_usd: int = 0
    """Of those whose price is known."""
    unpriced: int = 0
    """How many have tokens and no known price."""
    blocked: int = 0
    """Calls and replies that a rule blocked."""
    last_at: datetime | None = None
    """When its last exchange began."""
    attested: tuple[Attested, ...] = ()
    """What its requests' histories were, in alphabetical order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An exchange of a session, and what was new in it: who said what, in order."""

    exchange: ExchangeRow
    texts: tuple[tuple[str, str], ...]
    """user, tool, assistant, thinking or call; and the text."""


type CostBy = Literal["session", "model", "project", "agent", "provider", "token", "day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some exchanges took. `key` is the session, the model … or the day in UTC as 2026-11-21."""

    key: str
    exchanges: int
    usage: Usage
    nano_usd: int
    """Of those whose price is known."""
    unpriced: int
    """How many have tokens and no known price."""
    estimated: int
    """How many were counted by Lockgate."""


type Step = Literal["minute", "hour", "day"]
type SeriesBy = Literal["", "model", "agent", "project", "outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What happened within one minute, hour or day, from `at` on; `key` is the model, agent … or ""."""

    at: datetime
    key: str
    exchanges: int
    tokens: int
    nano_usd: int
    """Of those whose price is known."""
    blocked: int
    """Exchanges in which a rule blocked something, and those that were refused."""
    first_byte_ms: float | None
    """The mean."""
    duration_ms: float | None
    """The mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """How often a rule did one thing other than forwarding."""

    rule: str
    mode: Mode
    action: Action
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Some exchanges in numbers."""

    exchanges: int = 0
    """Conversations with a model that clients had; not Lockgate's own, and no side calls."""
    side_calls: int = 0
    own_calls: int = 0
    """Those of Lockgate itself, such as a judge's."""
    outcomes: tuple[tuple[Outcome, int], ...] = ()
    """Of `exchanges`, the most frequent first."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of all of them, Lockgate's own too."""
    decisions: tuple[RuleCount, ...] = ()
    """The most frequent first."""


def add(parts: Sequence[Summary]) -> Summary:
    """The numbers of all parts together."""
    outcomes: dict[Outcome, int] = {}
    decisions: dict[tuple[str, Mode, Action], int] = {}
    for part in parts:
        for outcome, count in part.outcomes:
            outcomes[outcome] = outcomes.get(outcome, 0) + count
        for one in part.decisions:
            key = (one.rule, one.mode, one.action)
            decisions[key] = decisions.get(key, 0) + one.count
    counts = [RuleCount(rule=r, mode=m, action=a, count=count) for (r, m, a), count in decisions.items()]
    return Summary(
        exchanges=sum(part.exchanges for part in parts),
        side_calls=sum(part.side_calls for part in parts),
        own_calls=sum(part.own_calls for part in parts),
        outcomes=tuple(sorted(outcomes.items(), key=lambda item: (-item[1], item[0]))),
        usage=Usage(**{name: sum(getattr(part.usage, name) for part in parts) for name in USAGE_FIELDS}),
        decisions=tuple(sorted(counts, key=lambda one: (-one.count, one.rule, one.mode, one.action))),
    )
