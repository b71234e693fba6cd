"""Flow rules: steps in order, how near to each other, and examples that are tried when the rules are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lockgate.config import Section
from lockgate.policies.flows.conditions import Condition
from lockgate.policies.flows.places import Doing

type Measure = Literal["deny", "approve", "flag", "score"]

_LEAVES_NOTHING: frozenset[Doing] = frozenset({
    *("looks-for-secrets", "sends", "pushes", "publishes", "serves", "deletes", "hides-tracks", "escalates", "verifies"),
})  # fmt: skip
"""After these there is no file that a later call could be about."""


class Step(Condition):
    """A step: what a call has to be, and how it stands to the step before."""

    within: int | None = Field(default=None, gt=0, le=100_000)
    """At most so many calls after the step before."""
    unless: Condition | None = None
    """A call in between that settles it: the step before then no longer counts."""
    of: int | None = Field(default=None, gt=0)
    """The number of an earlier step: this call runs, reads or names a file that the other one wrote."""
    attempted: bool = False
    """Whether calls that were refused count as well."""


class Example(Section):
    """A call of an example: a shell command, or a tool with its arguments, and what it gave."""

    tool: str = "Bash"
    """The tool."""
    arguments: dict[str, Any] | str = Field(default_factory=dict[str, Any])
    """Its arguments, or the free text of a custom tool."""
    result: str = ""
    """What it gave."""
    refused: bool = False
    """Whether it was refused, and so did not happen."""

    @model_validator(mode="before")
    @classmethod
    def _from_command(cls, given: Any) -> Any:
        return {"arguments": {"command": given}} if isinstance(given, str) else given


type Flow = Annotated[
    list[Example], Field(min_length=1), BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
]


class FlowRule(Section):
    """One sequence that is not to come about."""

    name: str = Field(min_length=1, pattern=r"^[\w-]+$")
    """Names it in the log."""
    sentence: str = "This is not to be done after what was done before in this session."
    """What the client is told."""
    steps: list[Step] = Field(min_length=1, max_length=10)
    """What is done, in order, with anything in between; one call may take several different steps at once."""
    do: Measure = "deny"
    """`deny` refuses the call that takes the last step, `approve` has it wait for a person, `flag` lets it pass and records
    score and reason, `score` the score alone."""
    score: float = Field(default=1.0, ge=0, le=1)
    """How suspicious the last step is then."""
    stops: list[Flow] = Field(min_length=1)
    """Examples: flows that this rule stops at their last call. They are tried when the rules are read."""
    passes: list[Flow] = Field(default_factory=list[Flow])
    """Examples: flows that it lets pass."""

    @model_validator(mode="after")
    def _can_match(self) -> FlowRule:
        for sentence in self._faults():
            raise ValueError(f"flow rule '{self.name}' can never match: {sentence}")
        return self

    def _faults(self) -> Iterator[str]:
        for number, step in enumerate(self.steps, 1):
            if step.empty:
                yield f"step {number} says nothing about a call; give it 'tool', 'does', 'reads' or another condition"
            if step.result and number == len(self.steps):
                yield f"its last step, {number}, wants a 'result', and the call is decided before it has one"
            if step.attempted and step.result:
                yield f"step {number} wants a 'result' of calls that were refused, which have none; leave one of them out"
            if number == 1 and (step.within or step.unless or step.of):
                yield "its first step names 'within', 'unless' or 'of', and there is no step before it"
            if step.unless is not None and (step.unless.empty or step.unless == plain(step)):
                yield f"what step {number} is settled by holds for every call that could take it; narrow its 'unless'"
            yield from self._link_faults(number, step)

    def _link_faults(self, number: int, step: Step) -> Iterator[str]:
        if step.of is None or number == 1:
            return
        if step.of >= number:
            yield f"step {number} is about what step {step.of} wrote, which comes no earlier; 'of' names an earlier step"
        elif (does := self.steps[step.of - 1].does) and _LEAVES_NOTHING.issuperset(does):
            yield f"step {number} is about what step {step.of} wrote, and what that does writes nothing: {', '.join(does)}"


def plain(step: Step) -> Condition:
    """The step without how it stands to others."""
    return Condition(**{name: getattr(step, name) for name in Condition.model_fields})
