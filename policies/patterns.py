"""What operators look for in text: literals, and patterns in RE2's syntax, which run in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol, cast

import re2 as _untyped
from pydantic import AfterValidator

re2 = cast(Any, _untyped)
_ANYWHERE = cast(Any, _untyped)._Anchor.UNANCHORED

MAX_WINDOW_CHARS = 16_384
MAX_SHOWN_CHARS = 200
"""No more of a pattern that is wrong is said."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where something stands in a text; `groups` are the whole and each group of the pattern, "" for one not met."""

    start: int
    end: int
    groups: tuple[str, ...]


class Finder(Protocol):
    """Finds one thing. What it finds at a place depends on `window_chars` and one more character, nothing else."""

    @property
    def window_chars(self) -> int:
        """No find is longer."""
        ...

    def occurs(self, text: str) -> bool:
        """Whether there can be a find anywhere in a whole text: one cheap look before the search."""
        ...

    def find(self, text: str, start: int) -> Found | None:
        """The first find at or after `start`; the character before `start` is its context."""
        ...

    def open_from(self, text: str, start: int) -> int:
        """The first place at or after `start` where more text could make another find; else len(text)."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """The text itself."""

    wanted: str
    ignore_case: bool = False

    @property
    def window_chars(self) -> int:
        return len(self.wanted)

    def occurs(self, text: str) -> bool:
        return self._folded(self.wanted) in self._folded(text)

    def find(self, text: str, start: int) -> Found | None:
        at = self._folded(text).find(self._folded(self.wanted), start)
        return None if at < 0 else Found(at, at + len(self.wanted), (text[at : at + len(self.wanted)],))

    def open_from(self, text: str, start: int) -> int:
        text, wanted = self._folded(text), self._folded(self.wanted)
        at = text.find(wanted[0], max(start, len(text) - len(wanted) + 1))
        while at >= 0:
            if wanted.startswith(text[at:]):
                return at
            at = text.find(wanted[0], at + 1)
        return len(text)

    def _folded(self, text: str) -> str:
        """The text without case, character by character, so that places stay the same."""
        if not self.ignore_case:
            return text
        return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(letter: str) -> str:
    folded = letter.casefold()
    return folded if len(folded) == 1 else letter


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of RE2. A find is at most `window_chars` long, and never empty."""

    pattern: str
    window_chars: int = 256
    ignore_case: bool = False

    def occurs(self, text: str) -> bool:
        return compile_pattern(self.pattern, self.ignore_case).search(encodable(text)) is not None

    def find(self, text: str, start: int) -> Found | None:
        compiled, text = compile_pattern(self.pattern, self.ignore_case), encodable(text)
        while start < len(text):
            if (match := compiled.search(text, start)) is None:
                return None
            start = match.start()
            if match.end() - start > self.window_chars:
                match = compiled.match(text, start, start + self.window_chars)  # its context stays the whole text
            if match is not None and match.end() > start:
                return Found(start, match.end(), (match.group(), *(group or "" for group in match.groups())))
            start += 1
        return None

    def open_from(self, text: str, start: int) -> int:
        return max(start, len(text) - self.window_chars)


def matching(compiled: Any) -> Callable[[bytes], Sequence[int]]:
    """Which patterns of an RE2 set are found: its own Match, without the wrapper's look at what it is given."""
    inner = getattr(compiled, "_set", None)
    return inner.Match if inner is not None else lambda data: compiled.Match(data) or ()


def spans_in(compiled: Any, data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where a pattern of RE2 is found: its own Match, without the wrapper's objects."""
    inner = getattr(compiled, "_regexp", None)
    if inner is None:
        yield from (found.span() for found in compiled.finditer(data, start))
        return
    match, end = inner.Match, len(data)
    while start <= end and (found := match(_ANYWHERE, data, start, end)[0])[0] >= 0:
        yield found
        start = max(found[1], found[0] + 1)


def encodable(text: str) -> str:
    """The text, of the same length, with a replacement character for each lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str, ignore_case: bool = False) -> Any:
    """The pattern, ready to search. Raises ValueError with a sentence that quotes it and says where it is wrong."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except UnicodeEncodeError as error:
        raise ValueError(f"the pattern {pattern!r} holds a character that UTF-8 cannot write") from error
    except re2.error as error:
        raise ValueError(_sentence(pattern, error)) from error


@lru_cache(maxsize=1024)
def compile_bytes(pattern: str, *, groups: bool = True) -> Any:
    """A pattern of ours, for texts of single-byte characters; what has no groups is found at half the cost."""
    options = re2.Options()
    options.encoding, options.log_errors = re2.Options.Encoding.LATIN1, False
    options.never_capture = not groups
    return re2.compile(pattern.encode(), options)


def _sentence(pattern: str, error: Exception) -> str:
    why = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
    kind, _, part = why.partition(": ")
    at = pattern.find(part) if part and part != pattern else len(pattern)
    hint = "; RE2 has neither lookaround nor backreferences" if kind in _MISSING else ""
    return f"the pattern {_short(pattern)!r} is not RE2: {_short(why)}, at character {max(at, 0) + 1}{hint}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + " …"


_MISSING = frozenset({"invalid perl operator", "invalid escape sequence"})


def _checked(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


type Re2 = Annotated[str, AfterValidator(_checked)]
"""An option that holds a pattern: a wrong one is told when the configuration is read."""


def finds(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text, however long the find."""
    return compile_pattern(pattern).search(encodable(text).encode()) is not None  # in bytes: no place is asked for
