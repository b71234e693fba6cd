"""Finds stretches of text that comes in pieces, by a detector that knows where nothing more can change.

Where `window` needs a bound on each find, this asks what looks at the text: words that are complete are judged with
what stood before them, so that only the last, unfinished word is held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_UNIT_CHARS = 16_384
"""A word that is longer is judged in such pieces: it bounds what is held back."""
CONTEXT_CHARS = 2_048
"""So much context may gather before a window lets go of it."""
OVERLAP_CHARS = 4_096
"""What of such a piece is judged once more with the next one."""
MIN_AGAIN_CHARS = 12
"""A shorter find may be said again by chance."""
MAX_AGAIN_COUNT = 32
"""So many finds of a text are looked for in what follows them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A find: where it begins and ends, and what it is."""

    start: int
    end: int
    kind: str


class Detector(Protocol):
    """Looks for one sort of thing. What it finds depends on the text alone, not on how much of it is there already."""

    context_chars: int
    """How much before a place matters to what is found there."""

    def settled(self, text: str, start: int) -> int:
        """The place, `start` or later, before which more text changes nothing; never inside of a find."""
        ...

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        """The finds in text[start:end], which is settled, in order and apart; the text before `start` is context."""
        ...

    def whole(self, text: str) -> Sequence[Span]:
        """The finds in a text of which nothing went on yet, and nothing follows."""
        return self.spans(text, 0, len(text))

    def advance(self, text: str, start: int) -> tuple[int, Sequence[Span]]:
        """What is settled, and the finds in it. It is asked about each piece, so a detector may know a shorter way."""
        end = self.settled(text, start)
        return (end, self.spans(text, start, end)) if end > start else (start, ())


type Instead = Callable[[str, str], str]
"""What stands instead of a find: given its kind and its text."""


class SpanWindow:
    """One text: pieces in, pieces out. The pieces that come out, joined, are the same for every cut."""

    def __init__(self, detector: Detector, instead: Instead) -> None:
        self._detector, self._instead = detector, instead
        self._text = ""
        """The context of what is held back, and what is held back."""
        self._at = 0
        """Where in it what is held back begins."""
        self._again: dict[str, str] = {}
        """What was found, and its kind: it is looked for in what follows, by itself."""
        self.finds = 0

    @property
    def held(self) -> str:
        return self._text[self._at :]

    def receive_text(self, text: str) -> str:
        """What may go on, now that this piece has come."""
        at, text = self._at, self._text + text
        end, spans = self._detector.advance(text, at)
        self._text = text
        if spans or len(text) > CONTEXT_CHARS or (self._again and any(map(text[at:end].__contains__, self._again))):
            return self._let_go(spans, end) + self._shorten()
        self._at = end
        return text[at:end]

    def end(self) -> str:
        """The rest: no more text comes."""
        return self._release(len(self._text))

    def whole(self, text: str) -> str:
        """A text that comes in one piece."""
        return self.receive_text(text) + self.end()

    def _release(self, end: int) -> str:
        if end <= self._at:
            return ""
        return self._let_go(self._detector.spans(self._text, self._at, end), end)

    def _shorten(self) -> str:
        out = ""
        while len(self._text) - self._at > MAX_UNIT_CHARS:
            out += self._force()
            out += self._release(self._detector.settled(self._text, self._at))
        return out

    def _force(self) -> str:
        """A word without an end: its first part goes on, judged with as much as there may be of it."""
        end = self._at + MAX_UNIT_CHARS
        spans = self._detector.spans(self._text[:end], self._at, end)
        bound = end - OVERLAP_CHARS
        spans = [span for span in spans if span.start < bound]
        return self._let_go(spans, max([bound, *(span.end for span in spans)]))

    def _let_go(self, spans: Sequence[Span], end: int) -> str:
        spans = again(self._text, self._at, end, spans, self._again)
        out = replaced(self._text, self._at, end, spans, self._instead)
        self.finds += len(spans)
        keep = max(0, end - self._detector.context_chars)
        self._text, self._at = self._text[keep:], end - keep
        return out


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one of the first one's kind."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if out and span.start < out[-1].end:
            if span.end > out[-1].end:
                out[-1] = Span(out[-1].start, span.end, out[-1].kind)
        else:
            out.append(span)
    return out


def again(text: str, start: int, end: int, spans: Sequence[Span], known: dict[str, str]) -> Sequence[Span]:
    """The spans in text[start:end], and where it says once more what one of them, or one that is known, said before.

    What is found becomes known.
    """
    out = [span for value, kind in known.items() for span in _places(text, value, kind, start, end)]
    for span in spans:
        value = text[span.start : span.end]
        if len(known) < MAX_AGAIN_COUNT and value not in known and _may_come_again(value):
            known[value] = span.kind
            out += _places(text, value, span.kind, span.end, end)
    return merged([*spans, *out]) if out else spans


def _may_come_again(value: str) -> bool:
    """Whether it is one word that can be said again by no chance."""
    return len(value) >= MIN_AGAIN_CHARS and any(map(str.isdigit, value)) and value.split() == [value]


def _places(text: str, value: str, kind: str, start: int, end: int) -> Iterable[Span]:
    at = text.find(value, start, end)
    while at >= 0:
        after = at + len(value)
        if not (text[max(0, at - 1) : at].isalnum() or text[after : after + 1].isalnum()):
            yield Span(at, after, kind)
        at = text.find(value, after, end)


def replaced(text: str, start: int, end: int, spans: Sequence[Span], instead: Instead) -> str:
    """text[start:end] with every span replaced."""
    if not spans:
        return text[start:end]
    out, at = list[str](), start
    for span in spans:
        out += (text[at : span.start], instead(span.kind, text[span.start : span.end]))
        at = span.end
    return "".join([*out, text[at:end]])
