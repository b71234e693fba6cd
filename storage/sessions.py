"""Sessions, read: a page of those that began by themselves, each with those that came of it, and what they took.

Parents may be missing, and rows that others changed may be their own ancestors: each session is told once at most, and
none below more than so many others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.orm import aliased

from lockgate.events import Usage
from lockgate.records import SessionRow
from lockgate.storage.answers import USAGE_FIELDS, Session
from lockgate.storage.models import ExchangeModel, SaidModel, SessionModel
from lockgate.storage.places import PLACE
from lockgate.storage.selecting import sessions_called, unpriced

type Row = Mapping[str, Any]
type Ask = Callable[[Select[*tuple[Any, ...]]], Awaitable[Sequence[Row]]]

DEPTH = 32
DESCENDANTS = 2_000
"""So many are told of one page."""
KEYS_PER_QUERY = 500

_SESSION = SessionModel.__table__.columns
_EXCHANGE = ExchangeModel.__table__.columns
_SAID = SaidModel.__table__.columns


def roots(
    *,
    limit: int,
    before: str | None,
    agent: str | None,
    project: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Select[*tuple[Any, ...]]:
    """The sessions whose parent is not there, the newest first."""
    parent = aliased(SessionModel)
    query = select(*_SESSION).where(~select(parent.id).where(parent.id == _SESSION.parent_id).exists())
    for column, value in ((_SESSION.agent, agent), (_SESSION.project, project)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(_SESSION.started_at >= since)
    if until is not None:
        query = query.where(_SESSION.started_at < until)
    if before is not None:
        query = query.where(_SESSION.id < before)
    return query.order_by(_SESSION.id.desc()).limit(limit)


def called(name: str) -> Select[*tuple[Any, ...]]:
    """The newest session with this id, marker, or end of an id."""
    return select(*_SESSION).where(_SESSION.id.in_(sessions_called(name))).order_by(_SESSION.id.desc()).limit(1)


async def with_descendants(ask: Ask, rows: Sequence[Row]) -> list[Session]:
    """Each session with those that came of it behind it, the oldest first, and what each took."""
    known = {row["id"]: SessionRow(**row) for row in rows}
    children: dict[str, list[str]] = {}
    found = list(known)
    for _ in range(DEPTH):
        below = [
            row for some in _some(found) for row in await ask(select(*_SESSION).where(_SESSION.parent_id.in_(some)))
        ]
        found = [row["id"] for row in below if row["id"] not in known][:DESCENDANTS]
        for row in below:
            if row["id"] in found:
                known[row["id"]] = SessionRow(**row)
                children.setdefault(row["parent_id"], []).append(row["id"])
        if not found or len(known) > DESCENDANTS:
            break
    order = [at for row in rows for at in _preorder(row["id"], children)]
    took = await _took(ask, list(known))
    return [Session(row=known[id], depth=depth, **took.get(id, {})) for id, depth in order]


def _preorder(id: str, children: Mapping[str, list[str]]) -> Iterator[tuple[str, int]]:
    waiting = [(id, 0)]
    while waiting:
        at, depth = waiting.pop()
        yield at, depth
        waiting += [(child, depth + 1) for child in sorted(children.get(at, ()), reverse=True)]


async def _took(ask: Ask, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    sums = (
        func.count().label("exchanges"),
        func.sum(case((_EXCHANGE.purpose == "side", 1), else_=0)).label("side"),
        *(func.coalesce(func.sum(_EXCHANGE[name]), 0).label(name) for name in USAGE_FIELDS),
        func.coalesce(func.sum(_EXCHANGE.cost_nano_usd), 0).label("nano_usd"),
        func.sum(case((unpriced(), 1), else_=0)).label("unpriced"),
        func.sum(_EXCHANGE.blocked).label("blocked"),
        func.max(_EXCHANGE.started_at).label("last_at"),
    )
    by = _EXCHANGE.session_id
    took: dict[str, dict[str, Any]] = {}
    for some in _some(ids):
        mine = or_(_EXCHANGE.kind == "model", _EXCHANGE.purpose != ""), by.in_(some)
        for row in await ask(select(by, *sums).where(*mine).group_by(by)):
            numbers = {name: int(row[name]) for name in ("exchanges", "side", "nano_usd", "unpriced", "blocked")}
            usage = Usage(**{name: int(row[name]) for name in USAGE_FIELDS})
            took[row["session_id"]] = {**numbers, "usage": usage, "last_at": row["last_at"], "attested": ()}
        states = select(by, _EXCHANGE.attested).where(*mine, _EXCHANGE.attested != "").distinct()
        for row in await ask(states.order_by(_EXCHANGE.attested)):
            took[row["session_id"]]["attested"] += (row["attested"],)
    return took


def places(exchange_ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """The places of what was new in these exchanges, in order."""
    return select(*PLACE).where(_SAID.exchange_id.in_(exchange_ids)).order_by(_SAID.exchange_id, _SAID.number)


def _some(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield keys[start : start + KEYS_PER_QUERY]
