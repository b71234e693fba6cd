"""What a run of `prune` would remove. Only reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CTE, ColumnElement, Connection, Engine, Select, Table, func, or_, select

from lockgate.storage.archive import belongs
from lockgate.storage.choosing import Choice
from lockgate.storage.content_models import BlobModel, MessageBlobModel, MessageModel, ThreadModel
from lockgate.storage.models import CommModel, ExchangeModel
from lockgate.storage.people_models import AuditModel
from lockgate.storage.portable import tables
from lockgate.storage.prune import Plan, Pruned
from lockgate.storage.sizes import stored_bytes

_EXCHANGE, _COMM, _THREAD, _MESSAGE, _BLOB, _LINK, _AUDIT = (
    cast(Table, model.__table__)
    for model in (ExchangeModel, CommModel, ThreadModel, MessageModel, BlobModel, MessageBlobModel, AuditModel)
)
_BEGAN = _EXCHANGE.c.started_at


def forecast(engine: Engine, plan: Plan) -> Pruned:
    """Exact for an age, but for a judge's exchanges; for a size, it goes by what an exchange takes on average."""
    done, audit = Pruned(), 0
    with engine.connect() as connection:
        choice = Choice.of(connection, plan.keep_labels)
        done.bytes_before = stored_bytes(connection)
        by_age = None if plan.until is None else choice.until(plan.until)
        bound = by_age
        if by_age is not None:
            _measure(connection, choice, by_age, done)
        if plan.audit_until is not None:
            old = func.coalesce(_AUDIT.c.last_at, _AUDIT.c.at) < plan.audit_until
            audit = connection.scalar(select(func.count()).select_from(_AUDIT).where(old)) or 0
        if plan.max_bytes is not None and (more := _more(connection, choice, done, plan.max_bytes, by_age)):
            done, bound = Pruned(bytes_before=done.bytes_before, estimated=True), more
            _measure(connection, choice, more, done)
        done.kept = choice.kept(connection, bound) if bound else {}
    done.audit = audit
    done.bytes_after = done.bytes_before - done.sizes.total
    return done


def _more(
    connection: Connection, choice: Choice, done: Pruned, max_bytes: int, by_age: datetime | None
) -> datetime | None:
    """Before when exchanges began that would go for the size, if any would."""
    excess = done.bytes_before - done.sizes.total - max_bytes
    every = connection.scalar(select(func.count()).select_from(_EXCHANGE)) or 0
    if excess <= 0 or not every:
        return None
    latest = choice.until(None)
    count = done.exchanges + -(-excess * every // done.bytes_before)
    moments = select(_BEGAN).where(*choice.conditions(latest)).order_by(_BEGAN)
    moment = connection.scalar(moments.offset(count).limit(1))
    return latest if moment is None else max(moment, by_age or moment)


def _measure(connection: Connection, choice: Choice, until: datetime, done: Pruned) -> None:
    conditions = choice.conditions(until)
    totals = select(func.count(), func.min(_BEGAN), func.max(_BEGAN)).where(*conditions)
    done.exchanges, done.first, done.last = connection.execute(totals).one()
    ids = select(_EXCHANGE.c.id).where(*conditions)
    going: dict[str, Select[Any]] = {"exchange": ids, "comm": select(_COMM.c.id).where(_COMM.c.exchange_id.in_(ids))}
    for table in tables():
        owned = {"id": table.name} if table.name in going else belongs(table)
        found = [table.c[name].in_(going[owner]) for name, owner in owned.items() if owner in going]
        if found:
            done.sizes.add(connection, table, or_(*found))
    for table, condition in _unused(ids):
        done.sizes.add(connection, table, condition)


def _unused(ids: Select[Any]) -> list[tuple[Table, ColumnElement[bool]]]:
    """Nodes, messages and files that only these exchanges need."""
    alive = _alive(ids)
    used = select(_THREAD.c.message).where(_THREAD.c.hash.in_(select(alive.c.node)))
    held = select(_LINK.c.blob).where(_LINK.c.message.in_(used))
    return [
        (_THREAD, ~_THREAD.c.hash.in_(select(alive.c.node))),
        (_MESSAGE, ~_MESSAGE.c.hash.in_(used)),
        (_BLOB, ~_BLOB.c.hash.in_(held)),
    ]


def _alive(ids: Select[Any]) -> CTE:
    """The nodes that other exchanges need."""
    stays = ~_COMM.c.exchange_id.in_(ids)
    roots = select(_COMM.c.thread.label("node")).where(stays, _COMM.c.thread.is_not(None))
    preambles = select(_COMM.c.preamble).where(stays, _COMM.c.preamble.is_not(None))
    both = roots.union(preambles).subquery()
    alive = select(both.c.node).cte("alive", recursive=True)
    return alive.union(select(_THREAD.c.parent).where(_THREAD.c.hash == alive.c.node, _THREAD.c.parent.is_not(None)))
