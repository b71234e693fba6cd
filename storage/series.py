"""Exchanges over time to one statement: how many, what they took, how long they lasted, by minute, hour or day."""

from __future__ import annotations

from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, func, literal, select

from lockgate.storage.answers import USAGE_FIELDS, Filter, SeriesBy, Step
from lockgate.storage.models import ExchangeModel
from lockgate.storage.selecting import conditions

_EXCHANGE = ExchangeModel.__table__.columns
_KEYS = {"model": _EXCHANGE.model, "agent": _EXCHANGE.agent, "project": _EXCHANGE.project, "outcome": _EXCHANGE.outcome}
_LENGTHS: dict[Step, int] = {"minute": 16, "hour": 13, "day": 10}
"""Of a moment's text, as SQLite keeps it, in UTC: 2026-11-21 20:15:03."""
_PATTERNS: dict[Step, str] = {"minute": "YYYY-MM-DD HH24:MI", "hour": "YYYY-MM-DD HH24", "day": "YYYY-MM-DD"}


def over_time(step: Step, by: SeriesBy, where: Filter, *, sqlite: bool) -> Select[*tuple[Any, ...]]:
    """One row for each step and key in which anything happened, the oldest first."""
    bucket = _bucket(step, sqlite=sqlite)
    key: ColumnElement[str] = _KEYS[by] if by else literal("")
    tokens = reduce(lambda one, other: one + other, (func.coalesce(_EXCHANGE[name], 0) for name in USAGE_FIELDS))
    stopped = case((_EXCHANGE.blocked > 0, 1), (_EXCHANGE.outcome == "refused", 1), else_=0)
    sums = (
        func.count().label("exchanges"),
        func.coalesce(func.sum(tokens), 0).label("tokens"),
        func.coalesce(func.sum(_EXCHANGE.cost_nano_usd), 0).label("nano_usd"),
        func.coalesce(func.sum(stopped), 0).label("blocked"),
        func.avg(_EXCHANGE.first_byte_ms).label("first_byte_ms"),
        func.avg(_EXCHANGE.duration_ms).label("duration_ms"),
    )
    query = select(bucket.label("at"), key.label("key"), *sums).where(*conditions(where))
    return query.group_by(bucket, key).order_by(bucket, key)


def _bucket(step: Step, *, sqlite: bool) -> ColumnElement[str]:
    if sqlite:
        return func.substr(_EXCHANGE.started_at, 1, _LENGTHS[step], type_=Text())
    utc = func.timezone("UTC", _EXCHANGE.started_at)
    return func.to_char(utc, _PATTERNS[step], type_=Text())
