"""Which exchanges may go: those that are over, whose labels keep neither them nor their session. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Self, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, exists, func, or_, select

from lockgate.records import now
from lockgate.storage.models import CommModel, ExchangeModel, RelationModel
from lockgate.storage.people_models import LabelModel

SETTLED = timedelta(minutes=10)
"""What began later stays, whatever the limits: something may still be written about it."""
SURELY_OVER = timedelta(days=1)
"""What is open for longer is not under way: its proxy ended first."""
IDS_PER_QUERY = 500

_EXCHANGE, _COMM, _RELATION, _LABEL = (
    cast(Table, model.__table__) for model in (ExchangeModel, CommModel, RelationModel, LabelModel)
)
_ID, _BEGAN = _EXCHANGE.c.id, _EXCHANGE.c.started_at


@dataclass(frozen=True, slots=True)
class Choice:
    """What is decided once for a run. `names` are the labels that keep what has them."""

    names: tuple[str, ...]
    at: datetime

    @classmethod
    def of(cls, connection: Connection, keep_labels: Sequence[str]) -> Self:
        """`*` in a label stands for any characters."""
        found = connection.scalars(select(_LABEL.c.name).distinct())
        names = tuple(name for name in found if any(fnmatchcase(name, one) for one in keep_labels))
        return cls(names, now())

    def until(self, moment: datetime | None) -> datetime:
        """What began before this may go, if the plan says so from `moment` on."""
        latest = self.at - SETTLED
        return latest if moment is None else min(moment, latest)

    def conditions(self, until: datetime) -> list[ColumnElement[bool]]:
        over = or_(_EXCHANGE.c.outcome != "open", _EXCHANGE.c.started_at < self.at - SURELY_OVER)
        return [_EXCHANGE.c.started_at < until, over, ~_labelled(_LABEL.c.name.in_(self.names))]

    def oldest(self, until: datetime, after: tuple[datetime, str] | None, count: int) -> Select[datetime, str]:
        """When each began, and its id: both of the last one are the next `after`."""
        query = select(_BEGAN, _ID).where(*self.conditions(until)).order_by(_BEGAN, _ID).limit(count)
        if after is None:
            return query
        began, id = after
        column = _EXCHANGE.c.started_at
        return query.where(column >= began, or_(column > began, and_(column == began, _EXCHANGE.c.id > id)))

    def still(self, ids: Sequence[str]) -> Select[str]:
        """Those of these that may go now, held against whoever is about to use them."""
        query = select(_ID).where(_ID.in_(ids), *self.conditions(self.until(None))).order_by(_ID)
        return query.with_for_update(skip_locked=True, of=_EXCHANGE)

    def kept(self, connection: Connection, until: datetime) -> dict[str, int]:
        """By label, how many exchanges stay for it that began before then."""
        counted = select(_LABEL.c.name, func.count(_ID.distinct())).where(
            or_(_LABEL.c.exchange_id == _ID, _of_session()),
            _LABEL.c.name.in_(self.names),
            _EXCHANGE.c.started_at < until,
        )
        return {row[0]: row[1] for row in connection.execute(counted.group_by(_LABEL.c.name))}


def with_own(connection: Connection, ids: Sequence[str]) -> list[str]:
    """These, with those of Lockgate's own about them; without those of its own that are about one that stays."""
    clients = set(ids)
    pairs: set[tuple[str, str]] = set()
    for start in range(0, len(ids), IDS_PER_QUERY):
        pairs |= _own_pairs(connection, ids[start : start + IDS_PER_QUERY])
    about: dict[str, set[str]] = {}
    for own, other in pairs:
        about.setdefault(own, set()).add(other)
    if unseen := [own for own in about if own not in clients]:  # it may be about others too
        for own, other in _own_pairs(connection, unseen):
            about.setdefault(own, set()).add(other)
    gone = clients - about.keys()
    theirs = [own for own, others in about.items() if others <= gone]
    return [id for id in ids if id in gone] + sorted(theirs)


def _own_pairs(connection: Connection, ids: Sequence[str]) -> set[tuple[str, str]]:
    """The id of one of Lockgate's own exchanges, and that of one it is about, where either is among these."""
    left, right = _COMM.alias("left_comm"), _COMM.alias("right_comm")
    one, other = _EXCHANGE.alias("one"), _EXCHANGE.alias("other")
    found: set[tuple[str, str]] = set()
    for near, far in ((left, right), (right, left)):
        query = (
            select(one.c.id, one.c.trigger, other.c.id.label("other_id"), other.c.trigger.label("other_trigger"))
            .select_from(_RELATION)
            .join(left, _RELATION.c.from_comm_id == left.c.id)
            .join(right, _RELATION.c.to_comm_id == right.c.id)
            .join(one, one.c.id == near.c.exchange_id)
            .join(other, other.c.id == far.c.exchange_id)
            .where(near.c.exchange_id.in_(ids), one.c.id != other.c.id)
        )
        for row in connection.execute(query):
            if row.trigger and not row.other_trigger:
                found.add((row.id, row.other_id))
            elif row.other_trigger and not row.trigger:
                found.add((row.other_id, row.id))
    return found


def _labelled(which: ColumnElement[bool]) -> ColumnElement[bool]:
    of_exchange = exists().where(_LABEL.c.exchange_id == _ID, which)
    return or_(of_exchange, exists().where(_of_session(), which))


def _of_session() -> ColumnElement[Any]:
    return and_(_LABEL.c.session_id == _EXCHANGE.c.session_id, _EXCHANGE.c.session_id != "")
