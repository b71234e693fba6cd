"""Filters to conditions. What SQLite shall use no index for is hidden from its planner behind a unary plus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Text,
    UnaryExpression,
    and_,
    exists,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.operators import custom_op

from lockgate.storage.answers import USAGE_FIELDS, Filter
from lockgate.storage.models import DecisionModel, ExchangeModel, SessionModel, ToolUseModel
from lockgate.storage.people_models import LabelModel

type Columns = ReadOnlyColumnCollection[str, Any]

_EXCHANGE = ExchangeModel.__table__.columns
_ID = _EXCHANGE.id
_SESSION = SessionModel.__table__.columns
_ID_END = re.compile("[0-9a-fA-F-]{6,36}")
ID_CHARACTERS = 36

_PLUS: custom_op[Any] = custom_op("+")
STEPS = {"min_cost_nano_usd": 10_000_000, "min_tokens": 10_000}
"""As SQLite's ix_exchange_cost and ix_exchange_tokens have them: a cent. New rows come to few places of the index."""
COLUMNS = (
    "kind", "provider", "model", "agent", "project", "token", "trigger", "outcome", "status", "attested", "purpose",
)  # fmt: skip


def conditions(
    where: Filter, *, row: Columns = _EXCHANGE, but: str = "", walked: bool = False
) -> Iterator[ColumnElement[bool]]:
    """What an exchange, `row`, has to fulfil, but for one name. `walked`, SQLite uses no index for any of it."""
    hide = hidden if walked else _seen
    for name in COLUMNS:
        if (value := getattr(where, name)) is not None and name != but:
            yield hide(row[name]) == value
    if where.session_id is not None and but != "session_id":
        yield hide(row.session_id).in_(sessions_called(where.session_id))
    if where.tool is not None and but != "tool":
        yield exists().where(ToolUseModel.exchange_id == row.id, ToolUseModel.name == where.tool)
    if (where.rule is not None or where.action is not None) and but not in ("rule", "action"):
        yield exists().where(DecisionModel.exchange_id == row.id, *decided(DecisionModel, where))
    if where.label is not None:
        yield row.id.in_(_labelled(where.label))
    if where.min_cost_nano_usd is not None:
        yield row.cost_nano_usd >= where.min_cost_nano_usd
    if where.min_tokens is not None:
        yield where.min_tokens <= _tokens(row)
    yield from within(where, hide(row.started_at))


def within(where: Filter, started_at: ColumnElement[Any]) -> Iterator[ColumnElement[bool]]:
    """The time between which an exchange began."""
    if where.since is not None:
        yield started_at >= where.since
    if where.until is not None:
        yield started_at < where.until


def sessions_called(name: str) -> Any:
    """The ids of the sessions with this id, this marker, or an id that ends so."""
    called = _SESSION.marker == name
    if _ID_END.fullmatch(name) and len(name) < ID_CHARACTERS:  # nothing longer ends so, and all ids are looked through
        called |= _SESSION.id.like(f"%{name.lower()}")
    return select(literal(name, Text())).union(select(_SESSION.id).where(called))


def decided(decision: type[DecisionModel], where: Filter) -> Iterator[ColumnElement[bool]]:
    """The same decision fits both."""
    if where.rule is not None:
        yield decision.rule == where.rule
    if where.action is not None:
        yield decision.action == where.action


def _labelled(name: str) -> Any:
    """Labelled themselves, or by their session."""
    other = aliased(ExchangeModel)
    session = and_(LabelModel.session_id == other.session_id, LabelModel.name == name)
    return (
        select(LabelModel.exchange_id)
        .where(LabelModel.name == name, LabelModel.exchange_id.is_not(None))
        .union(select(other.id).join(LabelModel, session))
    )


def edges(where: Filter) -> Iterator[ColumnElement[bool]]:
    """For SQLite. Ids sort nearly by time, so the first and last of those that fit bound the walk."""
    if where.since is not None:
        yield first_since(where.since) <= _ID
    if where.until is not None:
        other = aliased(ExchangeModel)
        last = select(func.max(hidden(other.id))).where(other.started_at < where.until)
        yield last.scalar_subquery() >= _ID


def least(name: str, value: int) -> ColumnElement[bool]:
    """What SQLite's indexes in steps lead to: all that fits `min_cost_nano_usd` or `min_tokens`, and a little more."""
    column = _EXCHANGE.cost_nano_usd if name == "min_cost_nano_usd" else _tokens(_EXCHANGE)
    step = STEPS[name]
    return column // literal_column(str(step), BigInteger()) >= value // step


def _tokens(row: Columns) -> ColumnElement[int]:
    """As ix_exchange_least has it."""
    none = literal_column("0", BigInteger())
    return reduce(lambda one, other: one + other, (func.coalesce(row[name], none) for name in USAGE_FIELDS))


def _seen(column: Any) -> ColumnElement[Any]:
    return column


def unpriced() -> ColumnElement[bool]:
    """The exchange has tokens, and no price is known for them."""
    return _EXCHANGE.input_tokens.is_not(None) & _EXCHANGE.cost_nano_usd.is_(None)


def first_since(moment: datetime) -> ScalarSelect[Any]:
    """The least id of those that began then or later; hidden, or SQLite walks all ids until one fits."""
    other = aliased(ExchangeModel)
    return select(func.min(hidden(other.id))).where(other.started_at >= moment).scalar_subquery()


def hidden(column: Any) -> ColumnElement[Any]:
    """The column, of which SQLite uses no index."""
    return UnaryExpression(column, operator=_PLUS, type_=column.type)
