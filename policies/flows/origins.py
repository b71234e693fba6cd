"""What a session was told by whom: results that later arguments may have come from. Kept in memory, and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lockgate.policies.flows.labels import Label
from lockgate.policies.flows.provenance import MAX_TEXT, Span, readings, spans, squeezed, values_in
from lockgate.policies.flows.trace import Step
from lockgate.policies.injection_signs import examine
from lockgate.policies.shell.paths import Place

MAX_RESULTS = 40
MAX_CHARACTERS = 400_000
"""Of all results of a session that are remembered."""
MAX_SAID = 300
SAID_CHARACTERS = 4_000
MAX_FETCHED = 40

type Marking = Callable[[Step], frozenset[Label]]


@dataclass(slots=True, kw_only=True, eq=False)
class Origin:
    """A result that marks the session."""

    call_id: str
    tool: str
    message: int
    labels: frozenset[Label]
    index: int
    """Of how many calls it is the latest."""
    text: str = field(repr=False)
    """Squeezed."""
    whole: str = field(repr=False)
    """As it was given, until it is looked at."""
    values: tuple[str, ...] = field(default=(), repr=False)
    """Credentials that it shows beside their names."""
    said: int = 0
    """How many texts the session held before."""

    _instructs: float | None = None

    @property
    def instructs(self) -> float:
        """How much it tries to instruct the model, 0 to 1: looked at when that is asked for first."""
        if self._instructs is None:
            self._instructs, self.whole = examine(self.whole).score, ""
        return self._instructs


@dataclass(slots=True)
class Origins:
    """What a rule remembers of a session."""

    marking: Marking
    """The labels that a result marks the session with."""
    confidential: bool = True
    """Whether credentials in results are remembered."""
    count: int = 0
    results: deque[Origin] = field(default_factory=deque[Origin])
    said: deque[tuple[int, str]] = field(default_factory=lambda: deque[tuple[int, str]](maxlen=MAX_SAID))
    """What calls said and unmarked results held, with how many texts came before."""
    texts: int = 0
    fetched: deque[Place] = field(default_factory=lambda: deque[Place](maxlen=MAX_FETCHED))
    """Files and folders that were downloaded."""
    unread: bool = False
    """Whether there may be older results that would still count."""

    def happen(self, step: Step) -> None:
        self.count += 1
        for text in step.acts.texts:
            self._say(text)
        step = self._from_afar(step)
        if not step.result:
            return
        labels = self.marking(step)
        values = tuple(values_in(step.result)) if self.confidential else ()
        if not labels and not values:
            self._say(step.result)
            return
        self.results.append(
            Origin(
                call_id=step.call.id, tool=step.call.name, message=step.message, labels=labels, whole=step.result[:MAX_TEXT],
                index=self.count, text=squeezed(step.result, MAX_TEXT), said=self.texts, values=values,
            )
        )  # fmt: skip
        while len(self.results) > MAX_RESULTS or sum(len(one.text) for one in self.results) > MAX_CHARACTERS:
            self.results.popleft()
            self.unread = False  # what came before that would be forgotten as well

    def _from_afar(self, step: Step) -> Step:
        """The step; one that reads what was downloaded is a download itself."""
        acts = step.acts
        if acts.does & {"downloads", "clones"}:
            self.fetched.extend(acts.writes[:MAX_FETCHED])
        elif any(found.within(place) for found in acts.reads for place in self.fetched):
            return replace(step, acts=replace(acts, does=acts.does | {"downloads"}))
        return step

    @property
    def unseen(self) -> int:
        """So many characters of results nobody has looked at for instructions."""
        return sum(len(one.whole) for one in self.results)

    def refuse(self, step: Step) -> None:
        pass

    def miss(self) -> None:
        self.unread = True

    def _say(self, text: str) -> None:
        self.texts += 1
        self.said.append((self.texts, squeezed(text, SAID_CHARACTERS)))

    def fork(self) -> Origins:
        return replace(self, results=self.results.copy(), said=self.said.copy(), fetched=self.fetched.copy())

    def source_of(
        self,
        texts: Sequence[str],
        labels: Collection[Label],
        min_chars: int,
        trusted: Iterable[str],
        *,
        decode: bool = False,
    ) -> tuple[Origin, Span] | None:
        """The latest marked result that one of the texts came from, and what of it.

        What the user said, and what was there before the result, did not come from it.
        """
        given = [squeezed(one) for text in texts for one in (readings(text) if decode else (text,))]
        known: list[str] = []
        for origin in reversed(self.results):
            for span in self._shared(origin, given, labels, min_chars, decode=decode):
                known = known or [squeezed(one) for one in trusted]
                before = (said for at, said in self.said if at <= origin.said)
                if not any(span.text in one for one in (*known, *before)):
                    return origin, span
        return None

    def _shared(
        self, origin: Origin, given: Sequence[str], labels: Collection[Label], min_chars: int, *, decode: bool
    ) -> Iterator[Span]:
        """What a result and the texts share: credentials, and where it is marked any long stretch."""
        for text in given:
            if decode:
                yield from (Span(start=origin.text.find(one), text=one) for one in origin.values if one in text)
            if origin.labels & set(labels):
                yield from spans(origin.text, text, min_chars)
