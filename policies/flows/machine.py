"""Follows a session through flow rules: how far each has come, in a few values a rule, however long the session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from lockgate.policies.flows.conditions import Condition, Seen
from lockgate.policies.flows.confidential import Confidential
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


UNREAD = "what was not read of a long history"
"""Stands in a match for calls that may have been made."""
ALL_LABELS = frozenset[Label](get_args(Label.__value__))


@dataclass(frozen=True, slots=True)
class Mark:
    """That a session had come so far in a rule, by this call."""

    index: int
    wrote: tuple[tuple[Place, ...] | None, ...] = ()
    """What the call of each step so far wrote; None where nobody knows."""
    path: tuple[str, ...] = ()
    """The calls of all steps so far."""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule whose last step a call takes; `unread` where the steps before it may stand in what was not read."""

    rule: FlowRule
    path: tuple[str, ...]
    unread: bool = False


class Course:
    """A rule, and what following it needs to know of it."""

    def __init__(self, rule: FlowRule) -> None:
        self.rule = rule
        self.same = [at > 0 and plain(step) == plain(rule.steps[at - 1]) for at, step in enumerate(rule.steps)]
        self.keep = [LINKED if any(one.of for one in rule.steps[at:]) else 1 for at in range(1, len(rule.steps))]
        """So many calls are remembered for each step but the last."""
        asked = [one for step in rule.steps for one in (step, step.unless) if one is not None]
        self.about = frozenset(doing for one in asked for doing in one.does) if all(one.does for one in asked) else None
        """What a call has to do to matter to this rule, where that alone tells."""
        self.tainted = any(one.taint for one in asked)


type Marks = tuple[tuple[Mark, ...], ...]
"""For each step but the last, the latest calls that took it, the newest at the end."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session has come in one rule."""

    course: Course
    marks: Marks

    @classmethod
    def begun(cls, rule: FlowRule) -> Progress:
        return cls(Course(rule), ((),) * (len(rule.steps) - 1))

    def anywhere(self) -> Progress:
        """How far it may have come by calls that were not read."""
        return Progress(
            self.course, tuple((Mark(0, (None,) * at, (UNREAD,)),) for at in range(1, len(self.course.rule.steps)))
        )

    def take(self, seen: Seen, made: Made, index: int, *, refused: bool) -> tuple[Progress, Match | None]:
        """The call takes every step it can; gives the match where it takes the last."""
        course = self.course
        if course.about is not None and course.about.isdisjoint(seen.acts.does):
            return self, None
        marks, now = list(self.marks), None
        for at, step in enumerate(course.rule.steps):
            known = self.marks[at - 1] if at else ()
            if at and known and step.unless is not None and not refused and step.unless.fits(seen):
                marks[at - 1], known, now = (), (), None
            earlier = (now,) if now is not None and at and not course.same[at] else ()
            now = None
            if at and not earlier and not known:  # there is nothing that it could go on from
                continue
            if (refused and not step.attempted) or not step.fits(seen):
                continue
            if (start := _start(at, (*earlier, *reversed(known)), step, seen, index)) is None:
                continue
            now = Mark(index, (*start.wrote, _wrote(seen.acts, step)), (*start.path, _told(made, step)))
            if at == len(course.rule.steps) - 1:
                return Progress(course, tuple(marks)), Match(course.rule, now.path, UNREAD in now.path)
            marks[at] = (*marks[at], now)[-course.keep[at] :]
        return Progress(course, tuple(marks)), None


_NOTHING = Mark(-1)


def _wrote(acts: Acts, step: Step) -> tuple[Place, ...]:
    """What the call wrote; where it brings something here, without the files whose content it says itself."""
    brings = bool(step.does) and {"clones", "downloads"}.issuperset(step.does)
    own = [text for text, content in acts.files.items() if content is not None] if brings else []
    return tuple([found for found in acts.writes if found.text not in own][:MAX_PLACES])


def _start(at: int, known: Sequence[Mark], step: Step, seen: Seen, index: int) -> Mark | None:
    """What the step goes on from."""
    if not at:
        return _NOTHING
    within, of = step.within, step.of
    for mark in known:
        if within is not None and index - mark.index > within:
            continue
        runs = bool(step.does) and {"runs-file", "builds"}.issuperset(step.does)
        if of is None or _about(seen.acts, mark.wrote[of - 1], runs=runs):
            return mark
    return None


def _about(acts: Acts, wrote: Sequence[Place] | None, *, runs: bool) -> bool:
    """Whether the call runs, reads or names what was written; with `runs`, whether it runs it.

    What nobody knows may be any file or folder, but the one that the session works in was there before it.
    """
    if wrote is None:
        return not runs or (bool(acts.runs) and all(found.parts for found in acts.runs))
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
    unread: bool = False
    """Whether something before all this is not known."""
    here: Place | None = None
    """The folder that an agent's one shell was left in."""
    confidential: Confidential = field(default_factory=Confidential)
    """What the session was shown that is not to leave."""

    def happen(self, step: Made) -> None:
        self.take(step, past=True)

    def refuse(self, step: Made) -> None:
        self.take(step, refused=True)

    def take(self, step: Made, *, refused: bool = False, past: bool = False) -> Sequence[Match]:
        """Follow a call; the rules whose last step it takes."""
        self.count += not refused
        acts = with_programs(_moved(step.acts, self.here), self.files)
        if not past and not refused and self.confidential.leak(step.call, acts):
            acts = replace(acts, does=acts.does | {"carries-secret"})
        seen = Seen(acts=acts, result=step.result, labels=frozenset(self.labels))
        made = step if acts is step.acts else replace(step, acts=acts)
        found = list[Match]()
        for at, one in enumerate(self.progress):
            self.progress[at], match = one.take(seen, made, self.count, refused=refused)
            if match is not None:
                found.append(replace(match, unread=match.unread or (self.unread and one.course.tainted)))
        if not refused:
            self.labels |= set(labels_of(acts))
            self.files.note(step.call, step.acts.files)
            self.confidential = self.confidential.after(step, acts)
            self.here = acts.goes or self.here
        return found

    def fork(self) -> FlowState:
        return replace(self, progress=self.progress.copy(), labels=self.labels.copy(), files=self.files.fork())

    def miss(self) -> None:
        """Anything may have happened before."""
        self.unread, self.labels = True, set(ALL_LABELS)
        self.progress = [one.anywhere() for one in self.progress]


def _moved(acts: Acts, here: Place | None) -> Acts:
    """The call as run in the folder that an earlier one went to."""
    if here is None or not acts.runs or (here.anchor == HERE and not here.parts):
        return acts
    return replace(acts, runs=tuple(dict.fromkeys((*acts.runs, *_joined(acts.runs, here)))))


def _joined(places: Sequence[Place], here: Place) -> Iterator[Place]:
    for found in places:
        if found.anchor == HERE:
            yield Place(here.anchor, (*here.parts, *found.parts))
