"""What is recorded of an exchange, of what people do, and of what they decide. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import uuid_utils

from lockgate.events import Usage

type CommType = Literal["REQUEST", "RESPONSE"]
type RelationType = Literal[
    "request_response", "modified_to", "judged_by", "retry_of", "resample_of", "continues", "served_from_cache"
]
type Action = Literal["forwarded", "replaced", "dropped", "blocked", "held", "failed"]
type Mode = Literal["enforce", "shadow"]
type Outcome = Literal["open", "passed", "changed", "blocked", "refused", "error", "cut", "gone"]
"""How an exchange ended: `passed` as it came, `changed` by a rule, `blocked` (a rule stopped some or all of it),
`refused` (never sent), `error` (the provider said so), `cut` (the provider broke off), `gone` (the client left)."""

type Attested = Literal["", "attested", "compacted", "altered", "foreign", "unknown"]
"""What a request's history is, next to what was released here: all of it `attested`; `compacted`, the beginning taken
away or put into a summary; `altered`, a released turn changed or taken out; `foreign`, a turn that never passed here;
`unknown` where the log could not be asked in time, or the provider keeps what the request goes on from; "" where
nothing was compared."""

type Purpose = Literal["", "side", "compaction"]
"""What a request is for: "" goes on with a conversation, `side` is about something beside it (a title, a probe, a
count), `compaction` asks for the summary that a conversation will go on from."""

type SessionRelation = Literal["", "forked_from", "compacted_from", "subagent_of"]
"""How a session began: by itself, or from another one: with the same history, with a summary of it, or sent by it."""

type KillScope = Literal["session", "agent", "model", "host", "project", "token", "all"]
"""What a kill stops."""

type ApprovalState = Literal["pending", "approved", "denied", "edited", "expired", "withdrawn"]
"""`edited`: approved with other arguments; `expired`: nobody decided in time; `withdrawn`: the client left for good."""

type AuditOutcome = Literal["success", "denied", "error"]
"""`denied`: who asked may not; `error`: it failed, and nothing was changed."""

type CountedBy = Literal["provider", "tiktoken", "none"]
"""Who counted the tokens: `tiktoken` is Lockgate's own count where the provider sent none."""


def new_id() -> str:
    """A UUIDv7 in its usual form: ids sort by the time they were made."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comm:
    """One recorded communication between two parties. `content` is JSON text; `headers` hold no credential."""

    id: str
    exchange_id: str
    type: CommType
    source: str
    destination: str
    endpoint: str
    created_at: datetime
    session_id: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The query string and, for requests of Lockgate's own, why and for what they were sent."""
    content: bytes | None = None
    headers: Sequence[tuple[str, str]] = ()
    trigger: str = ""
    """Why Lockgate itself sent it: "" for the client's own, "judge" …"""
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Joins two comms: `from_comm_id` came first."""

    from_comm_id: str
    to_comm_id: str
    type: RelationType
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one rule did with one thing said."""

    exchange_id: str
    rule: str
    policy: str
    policy_set: str
    """The version of the policy set in force."""
    mode: Mode
    subject: str
    """What it looked at: "request", or the event's type in lower case: "toolcall", "textdelta" …"""
    action: Action
    given: bytes = b""
    """What it was given, as JSON text."""
    out: bytes = b""
    """What went on instead, as JSON text; b"" where nothing changed."""
    score: float | None = None
    reason: str = ""
    milliseconds: float = 0.0
    created_at: datetime = field(default_factory=now)
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRow:
    """The light row that lists show. It is written when the exchange begins and again, whole, when it ends."""

    id: str
    started_at: datetime
    kind: Literal["model", "other"]
    """`other`: an endpoint of a model host that carries no conversation."""
    provider: str
    host: str
    endpoint: str
    model: str = ""
    agent: str = ""
    session_id: str = ""
    project: str = ""
    token: str = ""
    trigger: str = ""
    client: str = ""
    policy_set: str = ""
    streamed: bool = False
    status: int | None = None
    outcome: Outcome = "open"
    stop_reason: str = ""
    usage: Usage | None = None
    counted_by: CountedBy = "none"
    cost_nano_usd: int | None = None
    """List price in 1e-9 USD; None where no price is known. The log works it out."""
    first_byte_ms: float | None = None
    duration_ms: float | None = None
    tool_calls: int = 0
    blocked: int = 0
    rules: tuple[str, ...] = ()
    """The enforced rules that held, changed or blocked something."""
    error: str = ""
    attested: Attested = ""
    purpose: Purpose = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """The exchanges of one conversation of one agent. It is written when the session begins, and stays."""

    id: str
    started_at: datetime
    parent_id: str = ""
    """The session that it began from; nobody promises that this one is still there."""
    relation: SessionRelation = ""
    node: bytes = b""
    """Where in the parent's history; b"" at its beginning, or where that is not known."""
    agent: str = ""
    marker: str = ""
    """What the agent itself calls its session; for a sub-agent, with the sub-agent's own name."""
    project: str = ""
    token: str = ""
    client: str = ""
    title: str = ""
    """The first words of a person."""
    opening: bytes = b""
    """A digest of all the first words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """A turn of the model's as a client got it, after all turns before it. Digests only: see `lockgate.history`."""

    exchange_id: str
    session_id: str
    node: bytes
    parent: bytes
    meaning: bytes
    words: bytes
    """Of what the client said after the turn before."""
    comm_id: str
    """The reply."""
    reply_id: str = ""
    """The provider's name of the reply."""
    attested: Attested = "attested"
    """Of all turns up to this one."""
    complete: bool = True
    veto: bool = False
    """Whether a rule blocked something in the reply, or gave it itself."""
    purpose: Purpose = ""
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An administrative act, or a refusal of access; made by `lockgate.access.audit`. Bounded, and without secrets.

    One that stands for several is written again, whole, while they become more.
    """

    who: str
    """An administrator's name, `cli:USER`, the id of a token, or `unknown`."""
    where: str
    """The client's address, or `local`."""
    act: str
    """Such as `token.create`; of a refusal `access.` and why: `access.expired`."""
    subject: str
    """What it is about, by kind and name: `project shop`."""
    outcome: AuditOutcome
    reason: str = ""
    before: str = ""
    """As JSON text, what was changed; "" for nothing."""
    after: str = ""
    """What it is since then."""
    count: int = 1
    """How many it stands for: refusals that are alike, from `at` to `last_at`."""
    at: datetime = field(default_factory=now)
    last_at: datetime | None = None
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesRow:
    """The frames of a streamed reply, where `log.frames` keeps them."""

    exchange_id: str
    content: bytes
    """JSON text: see `lockgate.frames.told`."""
    id: str = field(default_factory=new_id)


type Record = Comm | Relation | Decision | ExchangeRow | SessionRow | TurnRow | AuditEntry | FramesRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """That an operator, or a rule, stopped something on every proxy: what, who, when and why."""

    scope: KillScope
    target: str = ""
    """The session's id, the project's or the token's; a glob for agents, models and hosts; "" for `all`."""
    names: tuple[str, ...] = ()
    """What else a session is known by: its agent's marker, and the ids and markers of those that came of it."""
    set_by: str = ""
    reason: str = ""
    """The client is told it."""
    until: datetime | None = None
    """None where it stands until it is lifted."""
    created_at: datetime = field(default_factory=now)
    lifted_at: datetime | None = None
    lifted_by: str = ""
    id: str = field(default_factory=new_id)

    @property
    def what(self) -> str:
        """What is stopped, in words."""
        return "everything" if self.scope == "all" else f"{self.scope} {self.target}"

    def holds(self, at: datetime) -> bool:
        return self.lifted_at is None and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A tool call that waits for a person's word, or had it. All of it may be shown: what is concealed is so here."""

    exchange_id: str
    rule: str
    tool: str
    arguments: str
    """As a person is shown them: JSON text, or free text where the tool is `custom`."""
    digest: str
    """SHA-256 of the call as it will go on, in hexadecimal: a decision names it."""
    key: str
    """What was judged, in hexadecimal: the same for a request that is sent again."""
    deadline: datetime
    by_default: Literal["deny", "approve"] = "deny"
    """What happens when nobody decides until the deadline."""
    custom: bool = False
    schema: str = ""
    """What the client declares of the tool's arguments, as JSON text, so that an edit can be checked; "" for none."""
    session_id: str = ""
    agent: str = ""
    project: str = ""
    model: str = ""
    score: float | None = None
    reason: str = ""
    """Why it is asked, for the reviewer only."""
    context: Sequence[tuple[str, str]] = ()
    """What was said last in the conversation: by whom, and its beginning."""
    state: ApprovalState = "pending"
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""
    note_shown: bool = False
    """Whether the client and the model may read the note."""
    edited: str | None = None
    """The arguments that go on instead, as a person wrote them."""
    asked_at: datetime = field(default_factory=now)
    left_at: datetime | None = None
    """Since when no client waits for it."""
    used_at: datetime | None = None
    """When an exchange went on with the answer: it counts once."""
    id: str = field(default_factory=new_id)
