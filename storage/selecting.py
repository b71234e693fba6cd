"""Filters to statements. One index leads, the newest exchange first, so that a page is found without a sort.

PostgreSQL knows from its statistics which index is the narrowest. SQLite has none here, so it is told: the lead is the
first in LEADS that the filter names, and every other column is hidden from its planner behind a unary plus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    SQLColumnExpression,
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
from sqlalchemy.sql.operators import custom_op

from lockgate.storage.answers import USAGE_FIELDS, Filter
from lockgate.storage.models import DecisionModel, ExchangeModel, LabelModel, SessionModel, ToolUseModel

_EXCHANGE = ExchangeModel.__table__.columns
_ID = _EXCHANGE.id
_SESSION = SessionModel.__table__.columns
_ID_END = re.compile("[0-9a-fA-F-]{6,36}")
ID_CHARACTERS = 36

LEADS = (
    "purpose",
    "trigger",
    "session_id",
    "label",
    "tool",
    "rule",
    "action",
    "attested",
    "model",
    "agent",
    "project",
    "status",
    "outcome",
    "provider",
)
"""What a filter may name, from what usually fits the fewest exchanges to what fits the most."""
_LEADS_NOWHERE = {"purpose": (None, ""), "trigger": (None, "")}
"""Most exchanges have none of these, and the indexes leave them out."""
_PLUS: custom_op[Any] = custom_op("+")
COLUMNS = (
    "kind", "provider", "model", "agent", "project", "token", "trigger", "outcome", "status", "attested", "purpose",
)  # fmt: skip
_TOKENS = reduce(lambda one, other: one + other, (func.coalesce(_EXCHANGE[name], 0) for name in USAGE_FIELDS))


def listing(
    where: Filter, *, before: str | None, after: str | None, limit: int, sqlite: bool
) -> Select[*tuple[Any, ...]]:
    """The newest first; with `after`, the oldest. Both are the 32 digits of an id."""
    lead = _lead(where)
    query, id = _led(lead, where)
    query = query.where(*conditions(where, lead=lead if sqlite else None, led=lead))
    if before is not None:
        query = query.where(id < before)
    if after is not None:
        query = query.where(id > after)
    return query.order_by(id.desc() if after is None else id).limit(limit)


def _lead(where: Filter) -> str:
    """The first in LEADS that the filter names, or `kind`."""
    return next((name for name in LEADS if getattr(where, name) not in _LEADS_NOWHERE.get(name, (None,))), "kind")


def is_led(where: Filter) -> bool:
    """Whether an index leads to what fits, rather than past all exchanges."""
    return _lead(where) != "kind"


def conditions(where: Filter, *, lead: str | None = None, led: str = "") -> Iterator[ColumnElement[bool]]:
    """What an exchange has to fulfil. With `lead`, SQLite uses no other index; what is `led` by a join is left out."""
    for name in COLUMNS:
        if (value := getattr(where, name)) is not None:
            yield (hidden(_EXCHANGE[name]) if lead not in (None, name) else _EXCHANGE[name]) == value
    for name in _LEADS_NOWHERE:
        if getattr(where, name):  # so that a database sees that the index has all that fit
            yield _EXCHANGE[name] != literal_column("''")
    if where.session_id is not None:
        column = hidden(_EXCHANGE.session_id) if lead not in (None, "session_id") else _EXCHANGE.session_id
        yield column.in_(sessions_called(where.session_id))
    if where.tool is not None and led != "tool":
        yield exists().where(ToolUseModel.exchange_id == _ID, ToolUseModel.name == where.tool)
    if (where.rule is not None or where.action is not None) and led not in ("rule", "action"):
        yield exists().where(DecisionModel.exchange_id == _ID, *_decided(DecisionModel, where))
    if where.label is not None:
        yield _ID.in_(_labelled(where.label))
    if where.min_cost_nano_usd is not None:
        yield _EXCHANGE.cost_nano_usd >= where.min_cost_nano_usd
    if where.min_tokens is not None:
        yield where.min_tokens <= _TOKENS
    started_at = _EXCHANGE.started_at if lead in (None, "started_at") else hidden(_EXCHANGE.started_at)
    if where.since is not None:
        yield started_at >= where.since
    if where.until is not None:
        yield started_at < where.until
    if lead not in (None, "started_at"):
        yield from _edges(where)


def sessions_called(name: str) -> Any:
    """The ids of the sessions with this id, this marker, or an id that ends so."""
    called = _SESSION.marker == name
    if _ID_END.fullmatch(name) and len(name) < ID_CHARACTERS:  # nothing longer ends so, and all ids are looked through
        called |= _SESSION.id.like(f"%{name.lower()}")
    return select(literal(name, Text())).union(select(_SESSION.id).where(called))


def _led(lead: str, where: Filter) -> tuple[Select[*tuple[Any, ...]], SQLColumnExpression[str]]:
    """The rows, and the id by which they come; a join where another table's index has the ids in order."""
    rows = select(*_EXCHANGE)
    if lead == "tool":
        rows = rows.where(ToolUseModel.name == where.tool, ToolUseModel.exchange_id == _ID)
        return rows, ToolUseModel.exchange_id
    if lead in ("rule", "action"):
        later = aliased(DecisionModel)
        again = exists().where(
            later.exchange_id == DecisionModel.exchange_id, later.id > DecisionModel.id, *_decided(later, where)
        )
        rows = rows.where(*_decided(DecisionModel, where), DecisionModel.exchange_id == _ID, ~again)
        return rows, DecisionModel.exchange_id
    return rows, ExchangeModel.id


def _decided(decision: type[DecisionModel], where: Filter) -> Iterator[ColumnElement[bool]]:
    """The same decision fits both."""
    if where.rule is not None:
        yield decision.rule == where.rule
    if where.action is not None:
        yield decision.action == where.action


def _labelled(name: str) -> Any:
    """Labelled themselves, or by their session."""
    session = LabelModel.session_id == ExchangeModel.session_id
    return (
        select(LabelModel.exchange_id)
        .where(LabelModel.name == name, LabelModel.exchange_id.is_not(None))
        .union(select(ExchangeModel.id).join(LabelModel, and_(session, LabelModel.name == name)))
    )


def _edges(where: Filter) -> Iterator[ColumnElement[bool]]:
    """Ids sort nearly by time, so the first and last of those that fit bound the walk through all of them.

    PostgreSQL, which knows no least UUID, finds out by itself what a time leaves.
    """
    if where.since is not None:
        yield first_since(where.since) <= _ID
    if where.until is not None:
        other = aliased(ExchangeModel)
        last = select(func.max(hidden(other.id))).where(other.started_at < where.until)
        yield last.scalar_subquery() >= _ID


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
