"""Which exchanges a command is about: the options that they all take, and how a time is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lockgate.records import Action, Attested, Outcome
from lockgate.units import moment, nano_usd

if TYPE_CHECKING:
    from lockgate.storage.answers import Filter


def _help(text: str) -> Parameter:
    return Parameter(help=text)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """What is not given is not looked at."""

    since: Annotated[str | None, _help("From this time on: 2h, 7d, 2026-11-21 or 2026-11-21T09:30.")] = None
    until: Annotated[str | None, _help("Until before this time.")] = None
    provider: str | None = None
    model: str | None = None
    agent: str | None = None
    project: str | None = None
    session: Annotated[str | None, _help("A session's id, the end of it, or the agent's own marker.")] = None
    tool: Annotated[str | None, _help("Those in which the model called this tool.")] = None
    rule: Annotated[str | None, _help("Those in which this rule decided something.")] = None
    action: Annotated[Action | None, _help("Those in which a rule, or the one given, did this.")] = None
    outcome: Outcome | None = None
    status: Annotated[int | None, _help("The HTTP status of the reply.")] = None
    attested: Annotated[Attested | None, _help("What the request's history is, next to what was released.")] = None
    label: Annotated[str | None, _help("Those with this label, or in a session with it.")] = None
    min_cost: Annotated[str | None, _help("Those that cost at least so many US dollars.")] = None
    min_tokens: Annotated[int | None, _help("Those that took at least so many tokens.")] = None
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also what carries no conversation, such as lists of models.")
    ] = False

    @property
    def given(self) -> bool:
        """Whether any exchange that is a conversation may be left out."""
        return self != Which(all_=self.all_)

    def filter(self) -> Filter:
        """Raises Error for what is no time or no sum."""
        from lockgate.storage.answers import Filter

        return Filter(
            kind=None if self.all_ else "model",
            provider=self.provider,
            model=self.model,
            agent=self.agent,
            project=self.project,
            session_id=self.session,
            outcome=self.outcome,
            status=self.status,
            tool=self.tool,
            rule=self.rule,
            action=self.action,
            attested=self.attested,
            label=self.label,
            min_cost_nano_usd=None if self.min_cost is None else nano_usd(self.min_cost),
            min_tokens=self.min_tokens,
            since=None if self.since is None else moment(self.since),
            until=None if self.until is None else moment(self.until),
        )
