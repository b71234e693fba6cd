"""What a `protocol` rule takes: its monitors, and what happens at which score."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.policies.asking_options import Asking
from lockgate.policies.model_url import check_url
from lockgate.policies.monitors import Combine, Kind, MonitorConfig
from lockgate.policies.trusted import Trusted

type Does = Literal["flag", "edit", "approve", "block", "resample", "defer", "terminate"]

OF_TURNS = frozenset[Does]({"resample", "defer", "terminate"})
"""What is done with a whole reply, which waits for its end then."""


class Step(Section):
    """What is done from a score on, up to the next step's."""

    at: float = Field(ge=0, le=1)
    """The score from which on this is done."""
    do: Does
    """`flag` only records. `block` refuses the call. `edit` has a trusted model rewrite it. `approve` has it wait until
    a person has decided; a text is blocked there, as only calls are shown to a person. `resample` asks the same
    model again and lets the least suspicious reply go on. `defer` has a trusted model reply. `terminate` ends the
    session."""


class Options(Section):
    """Who scores, and what follows."""

    monitors: list[MonitorConfig] = Field(min_length=1, max_length=20)
    """Who is asked how suspicious a call is."""
    combine: Combine = "max"
    """`max`: the highest score. `mean`: the weighted mean. Both ask all at once. `cascade`: in order, the next one only
    while the score is uncertain; the last one asked counts."""
    uncertain: list[float] = Field(default=[0.2, 0.8], min_length=2, max_length=2)
    """In a cascade: from the first score on, and below the second, the next monitor is asked."""
    steps: list[Step] = Field(min_length=1, max_length=20)
    """What is done at which score; below all of them nothing is."""
    judges: list[Kind] = Field(default=["calls"], min_length=1)
    """What of a reply is scored: its tool calls, its whole text, each by the monitors that have a score for it. Where
    text is, the reply waits for its end. In shadow mode, which makes nobody wait, only calls are scored."""
    samples: int = Field(default=2, ge=1, le=10)
    """How many further replies `resample` asks for, all at once."""
    trusted: Trusted = Trusted()
    """The model that `defer` and `edit` ask."""
    approval: Asking = Asking()
    """How a person is asked where a step says `approve`."""
    timeout_seconds: float = Field(default=120.0, gt=0, le=3600)
    """For each further request; the rule's `deadline_seconds` bounds all that is done about one reply."""
    session_tokens: int = Field(default=1_000_000, ge=0)
    """So many tokens, of prompts and replies, one session may cost in further requests; then they fail."""
    ended_seconds: float = Field(default=3_600.0, gt=0)
    """How long the requests of a session that was ended are refused."""
    sentence: str = "This was stopped by a review."
    """What the client is told of a blocked call; the monitors' reasons are in the log only."""
    ended_sentence: str = (
        "This session was ended by a review. Thank you for your patience: please look at what was done so far, and "
        "begin a new session, or ask whoever runs this proxy."
    )
    """What the client is told, in the place of the reply, when its session is ended, and whenever it asks again."""

    def does(self, *names: Does) -> bool:
        """Whether any step does one of these."""
        return any(step.do in names for step in self.steps)

    @property
    def holds_turns(self) -> bool:
        return "text" in self.judges or self.does(*OF_TURNS)

    def step_at(self, score: float) -> Step | None:
        """The step that applies to a score: the highest that it reaches."""
        reached = [step for step in self.steps if score >= step.at]
        return max(reached, key=lambda step: step.at, default=None)

    @model_validator(mode="after")
    def _steps_apply(self) -> Options:
        places = [step.at for step in self.steps]
        repeated = next((at for at in places if places.count(at) > 1), None)
        if repeated is not None:
            raise ValueError(f"two steps begin at {repeated:g}: one of them can never apply")
        acts = min((step.at for step in self.steps if step.do != "flag"), default=1.0)
        if late := next((step.at for step in self.steps if step.do == "flag" and step.at > acts), None):
            raise ValueError(
                f"the step at {late:g} only records, and the one at {acts:g} acts: a higher score would let more pass"
            )
        of_calls = next((step for step in self.steps if step.do in ("edit", "approve")), None)
        if "calls" not in self.judges and of_calls:
            raise ValueError(
                f"the step at {of_calls.at:g} can never apply: '{of_calls.do}' is about calls, and 'judges' names none"
            )
        return self

    @model_validator(mode="after")
    def _cascade_is_one(self) -> Options:
        low, high = self.uncertain
        if self.combine != "cascade" and "uncertain" in self.model_fields_set:
            raise ValueError("'uncertain' can never apply: only 'combine: cascade' has such a band")
        if self.combine != "mean" and any("weight" in monitor.model_fields_set for monitor in self.monitors):
            raise ValueError("a 'weight' can never apply: only 'combine: mean' weighs the scores")
        if self.combine == "cascade" and len(self.monitors) < 2:
            raise ValueError("a cascade needs two monitors or more")
        if self.combine == "cascade" and not (0 <= low < high and low <= 1):
            raise ValueError("'uncertain' is a band such as [0.2, 0.8]: with this one no second monitor is ever asked")
        return self

    @model_validator(mode="after")
    def _trusted_is_there(self) -> Options:
        if self.does("defer", "edit") and not self.trusted.model:
            raise ValueError("'defer' and 'edit' ask the model that 'trusted' names: give it a 'model'")
        if self.does("edit") and not self.trusted.url:
            raise ValueError("'edit' asks at a 'url' that 'trusted' has to name")
        if self.does("edit"):
            check_url(self.trusted.url, self.trusted.format)
        return self
