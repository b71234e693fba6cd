"""One request to a model and its reply, while it lasts, and the ports that rules reach through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lockgate.events import Request, Turn
from lockgate.ports import Approvals, Ask, CommLog, NoWebhooks, Origin, Resend, Unattended, Webhooks
from lockgate.records import Attested, Decision, Purpose, SessionRow, new_id, now


class Models(Protocol):
    """Asks a model. Its calls are logged as comms, related to the exchange's request by `judged_by`.

    A request that is sent once more is related by `resample_of`.
    """

    async def ask(self, ask: Ask, x: Exchange) -> str:
        """The answer's text. Raises `lockgate.errors.Error` with a sentence when there is none in time."""
        ...

    async def resend(self, resend: Resend, x: Exchange) -> Turn:
        """The reply to the same request sent once more. Raises `lockgate.errors.Error` when there is none in time."""
        ...


class SessionEnds(Protocol):
    """Ends sessions everywhere, and at once."""

    def end_session(self, x: Exchange, names: Sequence[str], *, seconds: float, rule: str, sentence: str) -> None:
        """Stop, on every proxy, whoever is known by one of the names; the exchange that asks goes on to its end.

        Here it holds at once. Nobody waits for the database: while it is away, that is said in the program's log.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What policies may ask of the outside."""

    log: CommLog
    models: Models
    sessions: SessionEnds | None = None
    """None where nothing is shared: then a rule's own memory is all there is."""
    approvals: Approvals = field(default_factory=Unattended)
    webhooks: Webhooks = field(default_factory=NoWebhooks)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request to a model and its reply, while it lasts. Policies read it; only the gate and pipeline write."""

    provider: str
    format: str
    host: str
    endpoint: str
    request: Request
    ports: Ports
    id: str = field(default_factory=new_id)
    request_comm_id: str = field(default_factory=new_id)
    """The comm of the request as the client sent it."""
    started_at: datetime = field(default_factory=now)
    agent: str = ""
    session_id: str = ""
    session: SessionRow | None = None
    """None where the session is not known, or will be named by a later exchange."""
    attested: Attested = ""
    purpose: Purpose = ""
    project: str = ""
    token: str = ""
    labels: tuple[str, ...] = ()
    """The token's."""
    client: str = ""
    policy_set: str = ""
    origin: Origin | None = field(default=None, repr=False)
    """Where its request goes; None before it is sent, and where nothing is sent."""
    decisions: list[Decision] = field(default_factory=list[Decision])
    held_seconds: float = 0.0
    """How long enforced rules have made it wait, for a judge or a person."""
    credentials: Sequence[str] = field(default=(), repr=False)
    """The keys and tokens that the request was sent with. Rules look for them in texts; they are never stored."""
    concealed: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Texts that the log may not hold, and what it holds instead."""

    def conceal(self, text: str, instead: str) -> None:
        """The log holds the other text wherever this one stands in what is recorded of the exchange."""
        if text and text != instead:
            self.concealed[text] = instead

    @property
    def model(self) -> str:
        return self.request.model
