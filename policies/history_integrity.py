"""`history_integrity`: what happens to a request whose history is not what was released."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Request
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.option_types import doing

type Measure = Literal["allow", "alert", "deny"]

WHY = {
    "altered": "a turn of the model's is not what was released here, or was taken out",
    "foreign": "a turn of the model's never passed here",
    "compacted": "the beginning of the conversation was taken away, or put into a summary",
    "unknown": "the log could not be asked in time what was released, or only the provider knows the history",
}
SENTENCES = {
    "altered": "The conversation so far is not the one that was had: a reply was changed or left out. Please go back"
    " to where it was last in order, or begin a new conversation.",
    "foreign": "Part of this conversation was not had through Lockgate, so it cannot be relied on. Please begin a new"
    " conversation.",
    "compacted": "This conversation was shortened, which is not allowed here. Please begin a new one.",
    "unknown": "It cannot be told at the moment whether this conversation is in order. Please try again.",
}


class Options(Section):
    """What happens in each case: `allow` does nothing, `alert` keeps a decision and lets it pass, `deny` refuses."""

    altered: Measure = "alert"
    """A reply was changed, or taken out: a refusal, perhaps."""
    foreign: Measure = "alert"
    """A reply never passed here."""
    compacted: Measure = "allow"
    """The history was shortened, as agents do when it grows long."""
    unknown: Measure = "allow"
    """The log could not be asked in time, or only the provider knows the history."""
    sentence: str = Field(default="")
    """What the client is told instead of Lockgate's own words."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "altered", "foreign", "compacted", "unknown", off=("allow",))


class HistoryIntegrity(Policy):
    """Looks at whether the history that a request carries is the one that was released.

    Example:
        altered: deny
        foreign: alert
    """

    Options = Options

    async def on_request(self, request: Request, x: Exchange) -> Request:
        measure: Measure = getattr(self.options, x.attested, "allow") if x.attested in WHY else "allow"
        if measure == "deny":
            sentence = self.options.sentence or SENTENCES[x.attested]
            raise Blocked(sentence, reason=f"{x.attested}: {WHY[x.attested]}", score=1.0)
        if measure == "alert":
            self.score, self.reason = 1.0, f"{x.attested}: {WHY[x.attested]}"
        return request
