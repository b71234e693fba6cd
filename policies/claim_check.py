"""`claim_check`: replies that say tests or builds pass, while the conversation's last run of them says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from lockgate.config import Section
from lockgate.events import NEW_BLOCK, Event, MessageEnd, TextDelta, ToolCall, Turn
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.check_runs import Run, asks_for_checks, runs_in
from lockgate.policies.claims import Claim, claims_in
from lockgate.policies.run_summaries import Subject

CONTRADICTED, UNSEEN, STALE = 0.9, 0.6, 0.5
PARTIAL = 0.45
"""The score where a run failed and only some of the tests are said to pass: these may well be others."""
_WORDS: Mapping[str, str] = {
    "tests": "tests pass",
    "build": "the build succeeds",
    "types": "types check",
    "lint": "linting passes",
}
_RAN = {"tests": "test run", "build": "build", "types": "type check", "lint": "lint"}
_FORGETTING = ("previous_response_id", "conversation")


class Options(Section):
    """What to look for, and what to do."""

    act: Literal["notice", "alert", "block"] = "notice"
    """`notice` adds a sentence to the reply, `alert` only records the score, `block` holds each reply to its end and
    refuses one that claims too much."""
    threshold: float = Field(default=0.5, ge=0, le=CONTRADICTED)
    """From this score on something is done: 0.9 where the last run failed, 0.6 where nothing was ever run though files
    were edited, 0.5 where files were edited after the last run."""
    subjects: list[Subject] = Field(default=["tests", "build", "types", "lint"], min_length=1)
    """What claims are about."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim, and what the history says to it."""

    score: float
    sentence: str


class ClaimCheck(Policy):
    """Compares what a reply says of tests, builds, type checks and linters with what the conversation shows.

    Results of tools are read for the summaries of usual runners. Hopes, conditions and plans are no claims, nor is a
    text that owns up to a failure. What was run where the history does not show it counts as not known. A notice is
    never added to a reply in JSON.

    Example:
        act: notice
        subjects: [tests, build]
    """

    Options = Options

    def __init__(self, options: Options, shared: None = None) -> None:
        super().__init__(options, shared)
        self._texts: dict[int, list[str]] = {}
        self._checks = False
        """Whether the reply itself asks for a run."""

    @classmethod
    def sees(cls, options: Options) -> frozenset[str]:
        return {
            "notice": frozenset({"text", "call", "end"}),
            "alert": frozenset({"text", "event"}),
            "block": frozenset({"turn"}),
        }[options.act]

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        self._texts.setdefault(text.block, []).append(text.text)
        return (text,)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        self._checks = self._checks or asks_for_checks(call)
        return (call,)

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        if isinstance(event, MessageEnd) and self.options.act == "alert" and event.stop_reason not in _CALLING:
            self._judge(self._said(), x)
        return await super().on_event(event, x)

    async def on_end(self, x: Exchange) -> Iterable[Event]:
        said = self._said()
        found = self._judge(said, x)
        if not found or self.score is None or self.score < self.options.threshold or said.lstrip()[:1] in ("{", "["):
            return ()
        return (TextDelta(block=NEW_BLOCK, text=f"\n\n[Note by Lockgate, which saw the results: {found}]"),)

    async def on_turn(self, turn: Turn, x: Exchange) -> Turn:
        self._checks = any(map(asks_for_checks, turn.calls))
        found = self._judge("\n".join(_texts(turn)), x)
        if found and self.score is not None and self.score >= self.options.threshold:
            raise Blocked(f"{found} The reply is not shown.", reason=self.reason, score=self.score)
        return turn

    def _said(self) -> str:
        return "\n".join("".join(parts) for parts in self._texts.values())

    def _judge(self, text: str, x: Exchange) -> str:
        """The sentence about the worst claim; "" where there is none."""
        if self._checks or x.purpose:
            return ""
        claims = claims_in(text)
        if not claims:
            return ""
        runs = runs_in(x.request.document)
        whole = x.attested not in ("compacted", "foreign", "unknown") and not any(
            key in x.request.document for key in _FORGETTING
        )
        verdicts = [one for claim in claims for one in verdicts_on(claim, runs, self.options.subjects, whole=whole)]
        worst = max(verdicts, key=lambda one: one.score, default=None)
        if worst is None:
            return ""
        self.score, self.reason = worst.score, worst.sentence
        return worst.sentence


_CALLING = ("tool_use", "tool_calls", "function_call")


def _texts(turn: Turn) -> Iterable[str]:
    blocks: dict[int, list[str]] = {}
    for event in turn.events:
        if isinstance(event, TextDelta):
            blocks.setdefault(event.block, []).append(event.text)
    return ("".join(parts) for parts in blocks.values())


def verdicts_on(claim: Claim, runs: Sequence[Run], subjects: Sequence[Subject], *, whole: bool) -> Iterable[Verdict]:
    """What the history has against a claim; `whole` where it shows all that was run."""
    if claim.subject == "all":
        yield from (one for subject in subjects if (one := _against(subject, claim, runs, whole=False)))
    elif claim.subject in subjects and (found := _against(claim.subject, claim, runs, whole=whole)):
        yield found


def _against(subject: Subject, claim: Claim, runs: Sequence[Run], *, whole: bool) -> Verdict | None:
    at, last = next(((at, run) for at, run in reversed(list(enumerate(runs))) if _is_about(run, subject)), (-1, None))
    since = runs[at + 1 :]
    edited = next((run.edits for run in reversed(since) if run.edits), "")
    if any(run.opaque for run in since):
        return None
    says = f"this reply says that {_WORDS[subject]}, "
    if last is None:
        sentence = f"{says}but no {_RAN[subject]} is to be seen in this conversation since {edited} was edited."
        return Verdict(UNSEEN, sentence) if whole and edited else None
    outcome, line = last.said.get(subject, ("passed", ""))
    shown = f"`{' '.join(last.command.split())[:100]}`"
    if outcome == "failed":
        told = f": {line}" if line else ""
        return Verdict(
            PARTIAL if claim.partial else CONTRADICTED, f"{says}but the last {_RAN[subject]}, {shown}, failed{told}."
        )
    if outcome == "passed" and edited and whole:
        return Verdict(STALE, f"{says}but {edited} was edited after the last {_RAN[subject]}, {shown}.")
    return None


def _is_about(run: Run, subject: Subject) -> bool:
    """Whether the run tells of the subject: tests that passed were built as well."""
    return subject in run.said or (subject == "build" and run.said.get("tests", ("", ""))[0] == "passed")
