"""Words: how texts are cut for the full-text index, how a search is read, and the place of a hit.

Both databases find the same: a word is a run of letters and digits of any script, in any case; marks such as accents
count; everything else, the underscore too, is a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lockgate.errors import Error

PIECE_CHARACTERS = 20_000
"""A longer text is indexed in pieces: PostgreSQL refuses a vector of more than a megabyte."""
LONGEST_WORD = 200
"""What is longer is no word but data, base64 for one: PostgreSQL knows how it begins."""
MOST_PIECES = 100
"""What comes after two million characters of one comm is kept, and not found by search."""
CONTEXT_CHARACTERS = 80
PAIRED_CHARACTERS = 3
"""So much of a word is hashed together with the word before it, in the database's function word_pairs."""

_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'"([^"]*)"(\*?)|(\S+)')


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand next to each other. With `prefix`, the last is the beginning of a word."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The place of a hit in its text: what stands before, the hit itself, and what follows. `…` marks a cut."""

    before: str
    hit: str
    after: str


def pieces(text: str) -> Iterator[str]:
    """The text in pieces, cut between words where it can be."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = text.rfind(" ", start + PIECE_CHARACTERS // 2, start + PIECE_CHARACTERS) + 1 or start + PIECE_CHARACTERS
        yield text[start:end]
        start = end
    yield text[start:]


def words(text: str) -> str:
    """The words of a text in lower case, with single spaces between and around them: what PostgreSQL searches."""
    return f" {' '.join(map(_cut, _WORD.findall(text)))} ".lower()


def terms(search: str) -> tuple[Term, ...]:
    """What is searched for: all of it has to be there. Quotes keep words together, a `*` ends a beginning: also behind
    a quote.

    Raises Error where there is no word in it.
    """
    found: list[Term] = []
    for match in _TERM.finditer(search):
        quoted, star, plain = match.groups()
        given = quoted + star if quoted is not None else plain
        if parts := tuple(_WORD.findall(given)):
            found.append(Term(parts, prefix=given.endswith("*")))
    if not found:
        raise Error(f"{search!r} has no word in it to search for: give letters or digits")
    return tuple(found)


def fts5_query(search: tuple[Term, ...]) -> str:
    """For SQLite."""
    return " AND ".join('"' + " ".join(term.words) + '"' + (" *" if term.prefix else "") for term in search)


def tsquery(search: tuple[Term, ...]) -> str:
    """For PostgreSQL's index: the words of all terms, wherever they stand.

    A beginning that most texts have is asked for only where there is nothing else: the index would gather its words.
    """
    asked: list[str] = []
    vague: list[str] = []
    for words, prefix in _kept(search):
        asked += [f"'{word}'" for word in (words[:-1] if prefix else words)]
        if prefix:
            (asked if len(words[-1]) >= PAIRED_CHARACTERS else vague).append(f"'{words[-1]}':*")
    return " & ".join(asked or vague)


def runs(search: tuple[Term, ...]) -> Iterator[str]:
    """Each term as it stands in `words`."""
    for words, prefix in _kept(search):
        yield f" {' '.join(words)}{'' if prefix else ' '}"


def neighbours(search: tuple[Term, ...]) -> Iterator[str]:
    """The words of each term that has several, as they stand in `words`; a pair is known by how its second begins."""
    for words, prefix in _kept(search):
        known = words[:-1] if prefix and len(words[-1]) < PAIRED_CHARACTERS else words
        if len(known) > 1:
            yield f" {' '.join(known)} "


def _kept(search: tuple[Term, ...]) -> Iterator[tuple[Sequence[str], bool]]:
    """The words of each term as `words` has them, and whether the last is the beginning of one."""
    for term in search:
        words = [_cut(word).lower() for word in term.words]
        yield words, term.prefix and len(term.words[-1]) <= LONGEST_WORD


def _cut(word: str) -> str:
    """The dash is in no word: what is cut is told from what is whole."""
    return word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}-"


def excerpt(text: str, search: tuple[Term, ...], context: int = CONTEXT_CHARACTERS) -> Excerpt:
    """The first place of the rarest-looking term, which is the longest."""
    for term in sorted(search, key=lambda term: -sum(map(len, term.words))):
        if match := _pattern(term).search(text):
            return _around(text, match.start(), match.end(), context)
    return _around(text, 0, 0, context)


def _pattern(term: Term) -> re.Pattern[str]:
    inner = r"[\W_]+".join(map(re.escape, term.words))
    end = "" if term.prefix else r"(?![^\W_])"
    return re.compile(rf"(?<![^\W_]){inner}{end}", re.IGNORECASE)


def _around(text: str, start: int, end: int, context: int) -> Excerpt:
    first, last = max(0, start - context), min(len(text), end + context)
    return Excerpt(
        before=("…" if first else "") + text[first:start],
        hit=text[start:end],
        after=text[end:last] + ("…" if last < len(text) else ""),
    )
