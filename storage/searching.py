"""Full-text search as one statement for each kind of database, and sums of cost. `words` says what a word is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    case,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.orm import aliased

from lockgate.storage.answers import USAGE_FIELDS, CostBy, Filter
from lockgate.storage.hits import RANKED_HITS, postgres_hits
from lockgate.storage.models import ExchangeModel, SaidModel
from lockgate.storage.selecting import conditions, edges, first_since, hidden, unpriced
from lockgate.storage.words import Term, fts5_query

FEW_EXCHANGES = 1_000
"""So many are looked through one by one, rather than every place of a frequent word."""

_EXCHANGE = ExchangeModel.__table__.columns
_SAID = SaidModel.__table__.columns
_FTS = table("said_fts", column("rowid"), column("rank"))
_KEYS = {name: _EXCHANGE[name] for name in ("model", "project", "agent", "provider", "token")}
_KEYS["session"] = _EXCHANGE.session_id


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


def costing(by: CostBy, where: Filter, *, sqlite: bool) -> Select[*tuple[Any, ...]]:
    """One row for each key, the dearest first."""
    key = _day(sqlite=sqlite) if by == "day" else _KEYS[by]
    cost = func.coalesce(func.sum(_EXCHANGE.cost_nano_usd), 0)
    sums = (
        func.count().label("exchanges"),
        *(func.coalesce(func.sum(_EXCHANGE[name]), 0).label(name) for name in USAGE_FIELDS),
        cost.label("nano_usd"),
        _count(unpriced()).label("unpriced"),
        _count(_EXCHANGE.counted_by == "tiktoken").label("estimated"),
    )
    query = select(key.label("key"), *sums).where(*conditions(where)).group_by(key)
    return query.order_by(key) if by == "day" else query.order_by(cost.desc(), key)


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


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _day(*, sqlite: bool) -> ColumnElement[str]:
    """SQLite keeps moments as text, always in UTC."""
    if sqlite:
        return func.substr(_EXCHANGE.started_at, 1, 10, type_=Text())
    return func.to_char(func.timezone("UTC", _EXCHANGE.started_at), "YYYY-MM-DD", type_=Text())
