"""Which exchanges a list shows, as parameters of an address: the same for the API and for the console's pages."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import Field, model_validator

from lockgate.records import Action, Attested, Outcome, Purpose
from lockgate.sections import Section
from lockgate.storage.answers import Filter
from lockgate.units import moment, nano_usd

_WORD: Any = Field(default=None, max_length=200)


class _Parameters(Section):
    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """Forms send all their fields."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in cast(dict[str, Any], values).items() if value != ""}


class Which(_Parameters):
    """What is not given, or is empty, is not looked at."""

    kind: Literal["model", "other"] | None = None
    """`model` is conversations; `other` is what else goes to a model's host."""
    provider: str | None = _WORD
    model: str | None = _WORD
    agent: str | None = _WORD
    session: str | None = _WORD
    """A session's id, the end of it, or the agent's own marker."""
    project: str | None = _WORD
    trigger: str = Field(default="", max_length=40)
    """Why Lockgate itself sent it: `judge` …; empty for what clients sent, `*` for both."""
    outcome: Outcome | None = None
    status: int | None = Field(default=None, ge=0, le=999)
    tool: str | None = _WORD
    """A tool that the model called."""
    rule: str | None = _WORD
    """A rule that decided something, in shadow mode too."""
    action: Action | None = None
    """What a rule did, or, with `rule`, what that rule did."""
    label: str | None = _WORD
    """Of the exchange or its session."""
    attested: Attested | None = None
    """What its history is, next to what was released."""
    purpose: Purpose | None = None
    min_cost: str | None = Field(default=None, max_length=40)
    """US dollars: 0.25."""
    min_tokens: int | None = Field(default=None, ge=0, lt=2**62)
    since: str | None = Field(default=None, max_length=40)
    """From this time on: 2h, 7d, 2026-11-21 or 2026-11-21T09:30."""
    until: str | None = Field(default=None, max_length=40)
    """Until before this time."""

    def filter(self) -> Filter:
        """Raises Error for what is no time or no sum."""
        takes = self.min_cost is not None or self.min_tokens is not None
        return Filter(
            kind=self.kind or ("model" if takes else None),  # nothing else takes any
            provider=self.provider,
            model=self.model,
            agent=self.agent,
            session_id=self.session,
            project=self.project,
            trigger=None if self.trigger == "*" else self.trigger,
            outcome=self.outcome,
            status=self.status,
            tool=self.tool,
            rule=self.rule,
            action=self.action,
            label=self.label,
            attested=self.attested,
            purpose=self.purpose,
            min_cost_nano_usd=None if self.min_cost is None else nano_usd(self.min_cost),
            min_tokens=self.min_tokens,
            since=None if self.since is None else moment(self.since),
            until=None if self.until is None else moment(self.until),
        )


class WhichPage(Which):
    """A page of them."""

    limit: int = Field(default=50, ge=1, le=500)
    before: str | None = Field(default=None, max_length=36)
    """Older than this exchange, by its whole id."""


class Search(Which):
    """Texts in them."""

    q: str = Field(default="", max_length=1000)
    """Words that all stand in one text; "quoted ones" stand together, and begin* is a beginning."""
    limit: int = Field(default=20, ge=1, le=200)


class WhichSessions(_Parameters):
    """Which sessions a list shows."""

    agent: str | None = _WORD
    project: str | None = _WORD
    since: str | None = Field(default=None, max_length=40)
    """From this time on: 2h, 7d, 2026-11-21 or 2026-11-21T09:30."""
    until: str | None = Field(default=None, max_length=40)
    """Until before this time."""
    limit: int = Field(default=50, ge=1, le=500)
    before: str | None = Field(default=None, max_length=36)
    """Older than this session, by its whole id."""
