"""`invisible_text`: takes characters out that nobody sees and models read; writing systems that need them keep them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lockgate.exchange import Exchange
from lockgate.policies import redactor
from lockgate.policies.redactor import Redactor
from lockgate.policies.seen import Clean
from lockgate.policies.spans import Detector, Span, merged

_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""Rows of characters without a width, that turn text round, or that only say how others look: a class, in one pass."""
_KINDS = (
    ("tag", "\U000e0000", "\U000e007f"),
    ("variation-selector", "\U000e0100", "\U000e01ef"),
    ("variation-selector", "\ufe00", "\ufe0f"),
    ("bidi-control", "\u202a", "\u202e"),
    ("bidi-control", "\u2066", "\u2069"),
    ("bidi-mark", "\u200e", "\u200f"),
    ("bidi-mark", "\u061c", "\u061c"),
    ("joiner", "\u200c", "\u200d"),
)
_OVERRIDES = "\u202d\u202e"
_FLAG = "\U0001f3f4"
_FLAG_TAGS = re.compile("(?:[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6})\U000e007f")
"""What makes a black flag the flag of a region."""
_LINE_STARTS = ("", "\n", "\t", "\u2192")
"""Before the mark that many a file begins with; tools put the number of the line and an arrow or a tab there."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{2}")
AROUND_CHARS = 64
"""Within so many characters, letters written from right to left explain a mark of direction."""


class HiddenDetector(Detector):
    """Finds rows of invisible characters that no emoji and no script explains."""

    context_chars = AROUND_CHARS

    def settled(self, text: str, start: int) -> int:
        """Before a row at the end: what follows it decides."""
        end = len(text)
        while end > start and _HIDDEN.match(text[end - 1]):
            end -= 1
        return end

    def spans(self, text: str, start: int, end: int) -> Sequence[Span]:
        if text.isascii():
            return ()
        rows = (row for row in _HIDDEN.finditer(text, start, end))
        return merged(span for row in rows for span in _unexplained(text, row.start(), row.end()))


def _unexplained(text: str, start: int, end: int) -> Iterator[Span]:
    """The characters of one row that nothing explains, each by itself."""
    before, after = text[start - 1 : start], text[end : end + 1]
    row = text[start:end]
    if before == _FLAG and (flag := _FLAG_TAGS.match(row)):
        start, row = start + flag.end(), row[flag.end() :]
    for at, letter in enumerate(row):
        if not _explained(letter, row, at, before, after, text[max(0, start - AROUND_CHARS) : start]):
            yield Span(start + at, start + at + 1, _kind(letter))


def _explained(letter: str, row: str, at: int, before: str, after: str, around: str) -> bool:
    kind = _kind(letter)
    if kind == "variation-selector":  # one, after what has variants
        if letter > "\U000e00ff":
            return len(row) == 1 and "\u3400" <= before <= "\U0003ffff" and unicodedata.category(before) == "Lo"
        return at == 0 and bool(before) and (not before.isascii() or before in "#*0123456789")
    if kind == "joiner":
        chained = at == 0 or (at == 1 and _kind(row[0]) == "variation-selector")
        return len(row) <= 2 and chained and _joins(before) and _joins(after)
    if kind in ("bidi-mark", "bidi-control") and letter not in _OVERRIDES:
        return len(row) <= 4 and (_is_rtl(after) or any(map(_is_rtl, around)))
    if letter == "\ufeff":
        return len(row) == 1 and before in _LINE_STARTS
    if letter == "\u200b":  # where a line may be broken in scripts without blanks
        return len(row) == 1 and _UNSPACED.match(before + after) is not None
    return letter == "\u00ad" and len(row) == 1 and before.isalpha() and after.isalpha()


def _joins(letter: str) -> bool:
    """Whether joiners have a meaning beside it: emoji, and letters of scripts that join."""
    if not letter or letter.isascii():
        return False
    return unicodedata.category(letter) in ("So", "Sk", "Mn", "Mc", "Lo", "Sm") or letter >= "\U0001f000"


def _is_rtl(letter: str) -> bool:
    return bool(letter) and unicodedata.bidirectional(letter) in ("R", "AL")


def _kind(letter: str) -> str:
    return next((kind for kind, first, last in _KINDS if first <= letter <= last), "zero-width")


class Options(redactor.Options):
    """Where to look, and what to do; to redact is to take the characters out."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    detector: HiddenDetector
    clean: Clean


class InvisibleText(Redactor):
    """Takes invisible characters out of requests, of the model's text and of its tool calls.

    Characters of no width, tags, marks that turn text round, rows of variation selectors: people do not see them,
    models read them. Emoji, flags and joiners, the marks that Arabic, Hebrew and Thai need, and the one that a file
    begins with, stay.

    Example:
        requests: redact
        arguments: block
    """

    Options = Options
    sentence = "There are invisible characters ({kinds}) in this {where}, which may not pass."
    conceals = False

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(HiddenDetector(), Clean(options.remember))

    def look(self, x: Exchange) -> tuple[HiddenDetector, bytes]:
        return self.shared.detector, b""

    def clean(self) -> Clean:
        return self.shared.clean

    def placeholder(self, kind: str, found: str) -> str:
        return ""
