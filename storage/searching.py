"""Full-text search as one statement for each kind of database, and sums of cost. `words` says what a word is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Select, column, func, literal, literal_column, select, table
from sqlalchemy.orm import aliased

from lockgate.storage.answers import CostBy, Filter
from lockgate.storage.hits import RANKED_HITS, postgres_hits
from lockgate.storage.models import ExchangeModel, SaidModel
from lockgate.storage.selecting import conditions, edges, first_since, hidden
from lockgate.storage.usage_days import COSTS, Key, by_day, key_of, sums
from lockgate.storage.words import Term, fts5_query

FEW_EXCHANGES = 1_000
"""So many are looked through one by one, rather than every place of a frequent word."""

_EXCHANGE = ExchangeModel.__table__.columns
_SAID = SaidModel.__table__.columns
_FTS = table("said_fts", column("rowid"), column("rank"))


def searching(
    search: tuple[Term, ...], where: Filter, *, limit: int, sqlite: bool, among: Sequence[str] | None = None
) -> Select[*tuple[Any, ...]]:
    """The best first: each row has an exchange's columns, and `comm_id`, `message`, `part`, `digest` and `score`.

    `among` are the ids of all exchanges that fit, where they are few: SQLite then looks at their texts only.
    """
    hits = _fts5_hits(search, where, among) if sqlite else postgres_hits(search, where)
    best = select(hits.c.number, hits.c.score).order_by(hits.c.score.desc(), hits.c.number.desc()).limit(limit)
    chosen = best.cte("best")
    shown = (_SAID.comm_id, _SAID.message, _SAID.part, _SAID.digest, chosen.c.score)
    query = select(*_EXCHANGE, *shown).where(_SAID.number == chosen.c.number, _EXCHANGE.id == _SAID.exchange_id)
    return query.order_by(chosen.c.score.desc(), chosen.c.number.desc())


def cost_key(by: CostBy, *, sqlite: bool) -> Key:
    return by_day("key", sqlite=sqlite) if by == "day" else key_of("session_id" if by == "session" else by)


def costing(
    by: CostBy, where: Filter, days: Sequence[str], *, sqlite: bool, limit: int | None = None
) -> Select[*tuple[Any, ...]]:
    """One row for each key, the dearest first. Of these days, sums are kept."""
    dearest = limit if by == "session" else None
    found = sums([cost_key(by, sqlite=sqlite)], where, days, COSTS, sqlite=sqlite, dearest=dearest).c
    query = select(*(found[name] for name in ("key", *COSTS))).limit(limit)
    return query.order_by(found.key) if by == "day" else query.order_by(found.nano_usd.desc(), found.key)


def _fts5_hits(search: tuple[Term, ...], where: Filter, among: Sequence[str] | None) -> CTE:
    match = literal_column("said_fts").op("MATCH")(literal(fts5_query(search)))
    hits = select(_FTS.c.rowid.label("number"), (-_FTS.c.rank).label("score")).where(match)
    if among is not None:
        theirs = aliased(SaidModel)
        hits = hits.where(_FTS.c.rowid.in_(select(theirs.number).where(theirs.exchange_id.in_(among))))
    elif found := [*conditions(where, walked=True), *edges(where)]:
        hits = hits.where(_SAID.number == _FTS.c.rowid, _EXCHANGE.id == _SAID.exchange_id, *found)
    if among is None and where.since is not None:  # a bound that FTS5 itself understands
        other = aliased(SaidModel)
        first = select(func.min(hidden(other.number))).where(other.exchange_id >= first_since(where.since))
        hits = hits.where(_FTS.c.rowid >= first.scalar_subquery())
    return hits.order_by(_FTS.c.rowid.desc()).limit(RANKED_HITS).cte("hit")
