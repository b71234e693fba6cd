"""Follows a session through flow rules: how far each has come, in a few values a rule, however long the session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lockgate.policies.flows.conditions import Condition, Seen
from lockgate.policies.flows.deeds import Acts
from lockgate.policies.flows.labels import Label, labels_of
from lockgate.policies.flows.language import FlowRule, Step, plain
from lockgate.policies.flows.places import is_secret
from lockgate.policies.flows.programs import with_programs
from lockgate.policies.flows.trace import Step as Made
from lockgate.policies.shell.model import HERE, shown
from lockgate.policies.shell.paths import Place
from lockgate.policies.written import Files

LINKED = 32
"""So many calls are remembered whose files a later step may be about."""
MAX_PLACES = 40


@dataclass(frozen=True, slots=True)
class Mark:
    """That a session had come so far in a rule, by this call."""

    index: int
    told: str
    wrote: tuple[tuple[Place, ...], ...] = ()
    """What the call of each step so far wrote."""
    path: tuple[str, ...] = ()
    """The calls of all steps so far."""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule whose last step a call takes."""

    rule: FlowRule
    path: tuple[str, ...]


class Progress:
    """How far one rule has come: for each step but the last, the latest calls that took it."""

    def __init__(self, rule: FlowRule) -> None:
        self.rule = rule
        self.same = [at > 0 and plain(step) == plain(rule.steps[at - 1]) for at, step in enumerate(rule.steps)]
        linked = [any(later.of for later in rule.steps[at:]) for at in range(1, len(rule.steps))]
        self.keep = [LINKED if links else 1 for links in linked]
        self.marks: list[tuple[Mark, ...]] = [() for _ in linked]
        """The latest calls that took each step, the last one last."""
        asked = [one for step in rule.steps for one in (step, step.unless) if one is not None]
        self.about = frozenset(doing for one in asked for doing in one.does) if all(one.does for one in asked) else None
        """What a call has to do to matter to this rule, where that alone tells."""

    def take(self, seen: Seen, made: Made, index: int, *, refused: bool) -> Match | None:
        """The call takes every step it can; gives the match where it takes the last."""
        if self.about is not None and self.about.isdisjoint(seen.acts.does):
            return None
        before = self.marks.copy()
        now: Mark | None = None
        for at, step in enumerate(self.rule.steps):
            known = before[at - 1] if at else ()
            if at and known and step.unless is not None and not refused and step.unless.fits(seen):
                self.marks[at - 1] = ()
                known, now = (), None
            earlier = now if at and not self.same[at] else None
            now = None
            if (refused and not step.attempted) or not step.fits(seen):
                continue
            start = _start(at, (*([earlier] if earlier else ()), *reversed(known)), step, seen, index)
            if start is None:
                continue
            now = Mark(
                index, "", (*start.wrote, tuple(seen.acts.writes[:MAX_PLACES])), (*start.path, _told(made, step))
            )
            if at == len(self.rule.steps) - 1:
                return Match(self.rule, now.path)
            self.marks[at] = (*self.marks[at], now)[-self.keep[at] :]
        return None

    def fork(self) -> Progress:
        other = object.__new__(Progress)
        other.rule, other.same, other.keep, other.about = self.rule, self.same, self.keep, self.about
        other.marks = self.marks.copy()
        return other


_NOTHING = Mark(-1, "")


def _start(at: int, known: Sequence[Mark], step: Step, seen: Seen, index: int) -> Mark | None:
    """What the step goes on from."""
    if not at:
        return _NOTHING
    within, of = step.within, step.of
    for mark in known:
        if within is not None and index - mark.index > within:
            continue
        if of is None or _about(
            seen.acts, mark.wrote[of - 1], runs=bool(step.does) and {"runs-file", "builds"}.issuperset(step.does)
        ):
            return mark
    return None


def _about(acts: Acts, wrote: Sequence[Place], *, runs: bool) -> bool:
    """Whether the call runs, reads or names what was written; with `runs`, whether it runs it."""
    for target in wrote:
        if any(_same(found, target) for found in (*acts.runs, *(() if runs else acts.reads))):
            return True
        if runs:
            continue
        name = shown(target.text).rstrip("/")
        last = name.rpartition("/")[2]
        wanted = [name] if len(name) > 3 and "/" in name and not name.startswith("./") else []
        wanted += [last] if len(last) > 5 and "." in last else []
        if any(text for one in wanted for text in acts.texts if one in text):
            return True
    return False


def _same(found: Place, target: Place) -> bool:
    """Whether it is in what was written; where the folders are not known, by its name."""
    if found.within(target):
        return True
    known = found.anchor == target.anchor and found.anchor != HERE
    return not known and len(found.parts) == 1 and found.parts[-1:] == target.parts[-1:]


def _told(made: Made, step: Condition) -> str:
    """The call for the reviewer; what it says stands in the log under its id."""
    how = ", ".join(sorted(made.acts.does & set(step.does))) or "as the step says"
    where = next((str(place) for place in made.acts.reads if "reads-secret" in step.does and is_secret(place)), "")
    return f"{made.call.name or 'a call'} {made.call.id} ({how}{f': {where}' if where else ''})"


@dataclass(slots=True)
class FlowState:
    """What the rules remember of a session."""

    progress: list[Progress]
    count: int = 0
    labels: set[Label] = field(default_factory=set[Label])
    files: Files = field(default_factory=Files)
    """What the session has written."""
    here: Place | None = None
    """The folder that an agent's one shell was left in."""

    def happen(self, step: Made) -> None:
        self.take(step)

    def refuse(self, step: Made) -> None:
        self.take(step, refused=True)

    def take(self, step: Made, *, refused: bool = False) -> Sequence[Match]:
        """Follow a call; the rules whose last step it takes."""
        self.count += not refused
        acts = with_programs(_moved(step.acts, self.here), self.files)
        seen = Seen(acts=acts, result=step.result, labels=frozenset(self.labels))
        made = replace(step, acts=acts)
        found = [one.take(seen, made, self.count, refused=refused) for one in self.progress]
        if not refused:
            self.labels |= set(labels_of(acts))
            self.files.note(step.call, step.acts.files)
            self.here = acts.goes or self.here
        return [match for match in found if match is not None]

    def fork(self) -> FlowState:
        return replace(
            self, progress=[one.fork() for one in self.progress], labels=set(self.labels), files=self.files.fork()
        )


def _moved(acts: Acts, here: Place | None) -> Acts:
    """The call as run in the folder that an earlier one went to."""
    if here is None or not acts.runs or (here.anchor == HERE and not here.parts):
        return acts
    return replace(acts, runs=tuple(dict.fromkeys((*acts.runs, *_joined(acts.runs, here)))))


def _joined(places: Sequence[Place], here: Place) -> Iterator[Place]:
    for found in places:
        if found.anchor == HERE:
            yield Place(here.anchor, (*here.parts, *found.parts))
