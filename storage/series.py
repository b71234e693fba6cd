"""Exchanges over time to one statement: how many, what they took, how long they lasted, by minute, hour or day."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from lockgate.storage.answers import USAGE_FIELDS, Filter, SeriesBy, Step
from lockgate.storage.models import ExchangeModel
from lockgate.storage.usage_days import Key, by_day, key_of, sums

_EXCHANGE = ExchangeModel.__table__.columns
_LENGTHS: dict[Step, int] = {"minute": 16, "hour": 13}
"""Of a moment's text, as SQLite keeps it, in UTC: 2026-11-21 20:15:03."""
_SUMS = (
    *("exchanges", *USAGE_FIELDS, "nano_usd", "blocked"),
    *("first_byte_ms", "first_bytes", "duration_ms", "durations"),
)
_PATTERNS: dict[Step, str] = {"minute": "YYYY-MM-DD HH24:MI", "hour": "YYYY-MM-DD HH24"}


def series_keys(step: Step, by: SeriesBy, *, sqlite: bool) -> tuple[Key, Key]:
    """The step of time, named `at`, and what it is told apart by."""
    at = by_day("at", sqlite=sqlite) if step == "day" else Key("at", _bucket(step, sqlite=sqlite), None)
    return at, key_of(by)


def over_time(
    step: Step, by: SeriesBy, where: Filter, days: Sequence[str], *, sqlite: bool
) -> Select[*tuple[Any, ...]]:
    """One row for each step and key in which anything happened, the oldest first. Of these days, sums are kept."""
    found = sums(series_keys(step, by, sqlite=sqlite), where, days, _SUMS, sqlite=sqlite).c
    tokens = reduce(lambda one, other: one + other, (found[name] for name in USAGE_FIELDS))
    means = (
        (found[name] / func.nullif(found[count], 0)).label(name)
        for name, count in (("first_byte_ms", "first_bytes"), ("duration_ms", "durations"))
    )
    chosen = (found.at, found.key, found.exchanges, tokens.label("tokens"), found.nano_usd, found.blocked, *means)
    return select(*chosen).order_by(found.at, found.key)


def _bucket(step: Step, *, sqlite: bool) -> ColumnElement[str]:
    if sqlite:
        return func.substr(_EXCHANGE.started_at, 1, _LENGTHS[step])
    return func.to_char(func.timezone("UTC", _EXCHANGE.started_at), _PATTERNS[step])
