"""PostgreSQL's full-text search: the newest hits, and how well each fits. `words` says what a word is.

What is in many of the newest texts is found by looking through these. For all else the index tells which texts have
the words and, as hashes, their neighbours; the texts tell which of them have the words next to each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Select,
    SmallInteger,
    Text,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from lockgate.storage.answers import Filter
from lockgate.storage.models import ExchangeModel, SaidModel
from lockgate.storage.selecting import conditions
from lockgate.storage.words import Term, neighbours, runs, tsquery

RANKED_HITS = 10_000
"""So many of the newest hits are ranked: a word that stands in every message has no best place anyway."""

SAMPLE = 1_000
OFTEN = 0.2
WALKED = int(RANKED_HITS / OFTEN)
"""What at least this share of the newest texts has is looked for in the newest texts, `WALKED` at most, which are
expected to have `RANKED_HITS`. The index would give a large part of all texts; and where PostgreSQL goes by
their order instead, it makes the vector of each hit anew."""

PLACES_IN_MEMORY = "SET LOCAL work_mem = '64MB'"
"""Before PostgreSQL searches. With its usual 4 MB it would, from a million texts on, remember only the pages that a
frequent word is in, and make the vector of every text there anew. This is enough for 14 million."""

SATURATION, BY_LENGTH, USUAL_BYTES = 1.2, 0.75, 600
"""Of BM25: how soon more of a word tells no more, how much a long text counts for less, and what is long."""

_EXCHANGE = ExchangeModel.__table__.columns
_SAID = SaidModel.__table__.columns
_VECTOR = func.array_to_tsvector(func.string_to_array(func.btrim(_SAID.words), literal_column("' '", Text())))
_PAIRS = func.word_pairs(_SAID.words, type_=ARRAY(SmallInteger))
"""What ix_said_words is made of: another spelling would not use it."""


def postgres_hits(search: tuple[Term, ...], where: Filter) -> CTE:
    """The newest hits: `number`, a place of `said`, and `score`."""
    sample = _inside(_newest(SAMPLE, ()), search).subquery()
    counted = select((func.count() >= SAMPLE * OFTEN).label("often")).select_from(sample).cte("counted")  # once
    often = select(counted.c.often).scalar_subquery()
    found = list(conditions(where))
    walked = _inside(_newest(WALKED, found), search).where(often).limit(RANKED_HITS).cte("walked")
    hits = select(func.count()).select_from(walked).scalar_subquery()
    enough = case((~often, False), (hits == RANKED_HITS, True), else_=_fewer_than(WALKED, found))
    indexed = _indexed(search, where).limit(RANKED_HITS).subquery()
    newest = union_all(
        select(walked.c.number, walked.c.words).where(enough), select(indexed.c.number, indexed.c.words).where(~enough)
    ).cte("newest")
    return select(newest.c.number, _score(newest.c.words, search).label("score")).cte("hit")


def _newest(count: int, found: Sequence[ColumnElement[bool]]) -> Select[Any, int, str]:
    """So many of the newest texts, or those of so many of the newest exchanges that fit, with what sorts them."""
    if not found:
        return select(_SAID.number.label("age"), _SAID.number, _SAID.words).order_by(_SAID.number.desc()).limit(count)
    fits = select(_EXCHANGE.id).where(*found).order_by(_EXCHANGE.id.desc()).limit(count).subquery("fits").c
    return select(fits.id.label("age"), _SAID.number, _SAID.words).where(fits.id == _SAID.exchange_id)


def _fewer_than(count: int, found: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Whether fewer exchanges fit: then the newest are all."""
    if not found:
        return false()
    some = select(literal(1)).select_from(ExchangeModel).where(*found).limit(count).subquery()
    return select(func.count()).select_from(some).scalar_subquery() < count


def _inside(texts: Select[Any, int, str], search: tuple[Term, ...]) -> Select[int, str]:
    recent = texts.subquery("recent").c
    return select(recent.number, recent.words).where(*_has(recent.words, search)).order_by(recent.age.desc())


def _indexed(search: tuple[Term, ...], where: Filter) -> Select[int, str]:
    hits = select(_SAID.number, _SAID.words).where(*_has(_SAID.words, search))
    hits = hits.where(_VECTOR.op("@@")(cast(literal(tsquery(search)), TSQUERY)))
    hits = hits.where(*(_PAIRS.op("@>")(func.word_pairs(together)) for together in neighbours(search)))
    if found := list(conditions(where)):
        hits = hits.where(_EXCHANGE.id == _SAID.exchange_id, *found)
    return hits.order_by(_SAID.number.desc())


def _has(words: ColumnElement[str], search: tuple[Term, ...]) -> Iterator[ColumnElement[bool]]:
    """The same twice, as words have no wildcards: strpos is faster, but of LIKE the planner knows how rare it is.

    `concat` makes LIKE as dear as strpos in the planner's eyes, so that it comes second, where it nearly always holds.
    """
    for run in runs(search):
        yield func.strpos(words, run) > 0
        yield words.like(func.concat("%", run, "%"))


def _score(words: ColumnElement[str], search: tuple[Term, ...]) -> ColumnElement[float]:
    """BM25 as FTS5 has it, but for how rare a term is: where all terms have to be there, it would tell little."""
    length = func.octet_length(words)
    tame = SATURATION * (1 - BY_LENGTH + BY_LENGTH * cast(length, Float()) / USUAL_BYTES)
    score: ColumnElement[float] = literal(0.0)
    for run in runs(search):
        times = (length - func.octet_length(func.replace(words, run, ""))) // len(run.encode())
        score += times / (times + tame)
    return score
