"""What exchanges took: added up from exchanges, and of days that are over from sums that are kept.

A day's sums count only while none of its exchanges has changed since: whoever writes or removes one of an earlier day
says so in the same transaction (`forget`), and the day is read from its exchanges until it is added up anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Engine,
    Select,
    Subquery,
    Table,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)  # fmt: skip
from sqlalchemy import cast as sql_cast

from lockgate.records import new_id, now
from lockgate.storage.alone import collecting
from lockgate.storage.answers import USAGE_FIELDS, Filter
from lockgate.storage.models import ExchangeModel, UsageDayModel, UsageFoldModel, UsageSessionDayModel
from lockgate.storage.selecting import conditions, hidden, unpriced, within

KINDS = ("kind", "trigger", "provider", "model", "agent", "project", "token", "outcome")
"""What the sums of a day tell apart."""
SESSION_KINDS = ("session_id", "kind", "model", "project", "token")
"""What those of its sessions tell apart. They are many: who does not ask by session does not read them."""
SETTLED = timedelta(days=1)
"""So long after its end a day is added up: hardly anything is written about it any more."""
DAY = timedelta(days=1)
DAYS_AT_ONCE = 31
PARTS = 20
"""More gaps between days than that, and all is read from exchanges."""

_EXCHANGE = ExchangeModel.__table__.columns
_DAYS, _SESSIONS, _FOLDS = (
    cast(Table, model.__table__) for model in (UsageDayModel, UsageSessionDayModel, UsageFoldModel)
)
_KEPT: Mapping[Table, Sequence[str]] = {_DAYS: KINDS, _SESSIONS: SESSION_KINDS}
"""Tables of sums, and what each tells apart beside the day."""


def _sum(column: Any) -> ColumnElement[Any]:
    """Of whole numbers, a whole number: PostgreSQL's `numeric` would take several times as long to add up again."""
    total = func.coalesce(func.sum(column), 0)
    return sql_cast(total, BigInteger()) if isinstance(column.type, BigInteger) else total


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return _sum(case((condition, 1), else_=0))


SUMS: Mapping[str, ColumnElement[Any]] = {
    "exchanges": func.count(),
    **{name: _sum(_EXCHANGE[name]) for name in USAGE_FIELDS},
    "nano_usd": _sum(_EXCHANGE.cost_nano_usd),
    "unpriced": _count(unpriced()),
    "estimated": _count(_EXCHANGE.counted_by == "tiktoken"),
    "blocked": _count(or_(_EXCHANGE.blocked > 0, _EXCHANGE.outcome == "refused")),
    "first_byte_ms": _sum(_EXCHANGE.first_byte_ms),
    "first_bytes": func.count(_EXCHANGE.first_byte_ms),
    "duration_ms": _sum(_EXCHANGE.duration_ms),
    "durations": func.count(_EXCHANGE.duration_ms),
}
"""Of exchanges. Those of several days, or of several kinds, add up."""
COSTS = ("exchanges", *USAGE_FIELDS, "nano_usd", "unpriced", "estimated")
"""Those that all tables of sums have."""


class Key(NamedTuple):
    """What rows are told apart by: as a column of exchanges, and as the name of a column of sums that are kept."""

    name: str
    of_exchange: ColumnElement[Any]
    of_day: str | None
    """"" tells nothing apart; None is told by no sums."""


def key_of(name: str) -> Key:
    """Named `key`; "" tells nothing apart."""
    return Key("key", _EXCHANGE[name] if name else literal(""), name)


def by_day(name: str, *, sqlite: bool) -> Key:
    """As 2026-11-21, in UTC, in which SQLite keeps all moments as text."""
    moment: Any = _EXCHANGE.started_at
    of_exchange = func.substr(moment, 1, 10) if sqlite else func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")
    return Key(name, of_exchange, "day")


def sums(
    keys: Sequence[Key], where: Filter, days: Sequence[str], wanted: Sequence[str], *, sqlite: bool,
    dearest: int | None = None,
) -> Subquery:  # fmt: skip
    """A row for each key, with its names and the SUMS that are wanted; `days` are those of `kept_days`.

    Of one key with many values, only so many of the `dearest`: all the others are added up by their cost alone.
    """
    kept = _kept(keys, where)
    runs = list(_runs(days))
    ranges = list(_between(where, runs))
    if kept is None or len(ranges) > PARTS:
        runs, ranges = [], [where]
    parts = [_of_exchanges(keys, each, wanted, sqlite=sqlite) for each in ranges]
    parts += [_of_days(cast(Table, kept), keys, where, run, wanted) for run in runs]
    some = union_all(*parts).cte("some")
    names = [some.c[key.name] for key in keys]
    query = select(*names, *(_sum(some.c[name]).label(name) for name in wanted)).group_by(*names)
    if dearest is not None:
        # Whole numbers add up exactly to nine million dollars, on PostgreSQL in a third of the time of theirs.
        cost: ColumnElement[float] = func.sum(sql_cast(some.c.nano_usd, Double[float]()))
        dear = select(names[0]).group_by(names[0]).order_by(cost.desc(), names[0]).limit(dearest)
        query = query.where(names[0].in_(dear))
    return query.subquery()


def kept_days(keys: Sequence[Key], where: Filter) -> Select[str] | None:
    """The days whose sums may be taken, the oldest first; None where they tell too little."""
    if _kept(keys, where) is None:
        return None
    query = select(_FOLDS.c.day).where(_FOLDS.c.done).order_by(_FOLDS.c.day)
    if where.since is not None:
        first = where.since.astimezone(UTC)
        query = query.where(_FOLDS.c.day >= (first + DAY - timedelta(microseconds=1)).date().isoformat())
    if where.until is not None:
        query = query.where(_FOLDS.c.day < where.until.astimezone(UTC).date().isoformat())
    return query


def _kept(keys: Sequence[Key], where: Filter) -> Table | None:
    """The smallest table of sums that tells all of it."""
    asked = {name for name in where.__dataclass_fields__ if getattr(where, name) is not None} - {"since", "until"}
    by = {key.of_day for key in keys} - {"", "day"}
    if "session_id" in asked:  # which may be the end of one
        return None
    return next((table for table, kinds in _KEPT.items() if asked | by <= {*kinds}), None)


def _of_exchanges(
    keys: Sequence[Key], where: Filter, wanted: Sequence[str], *, sqlite: bool
) -> Select[*tuple[Any, ...]]:
    walked = sqlite and where.since is not None  # along the times, and by no other index
    columns = [(hidden(key.of_exchange) if walked else key.of_exchange).label(key.name) for key in keys]
    query = select(*columns, *(SUMS[name].label(name) for name in wanted)).where(
        *conditions(replace(where, since=None, until=None), walked=walked), *within(where, _EXCHANGE.started_at)
    )
    return query.group_by(*columns)


def _of_days(
    kept: Table, keys: Sequence[Key], where: Filter, run: tuple[date, date], wanted: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    columns = [(kept.c[key.of_day] if key.of_day else literal("")).label(key.name) for key in keys]
    run_days = (kept.c.day >= run[0].isoformat(), kept.c.day <= run[1].isoformat())
    fits = [kept.c[name] == value for name in _KEPT[kept] if (value := getattr(where, name)) is not None]
    if kept is _SESSIONS:  # hardly any two rows are alike: `sums` adds them up, once
        return select(*columns, *(kept.c[name] for name in wanted)).where(*run_days, *fits)
    query = select(*columns, *(_sum(kept.c[name]).label(name) for name in wanted)).where(*run_days, *fits)
    return query.group_by(*columns)


def _runs(days: Iterable[str]) -> Iterator[tuple[date, date]]:
    """First and last of days that follow one another."""
    run: list[date] = []
    for day in map(date.fromisoformat, days):
        if run and day != run[-1] + DAY:
            yield run[0], run[-1]
            run = []
        run = [*run[:1], day]
    if run:
        yield run[0], run[-1]


def _between(where: Filter, runs: Sequence[tuple[date, date]]) -> Iterator[Filter]:
    """The time around these days, as far as the filter goes."""
    since = where.since
    for first, last in runs:
        if since is None or since < _begin(first):
            yield replace(where, since=since, until=_begin(first))
        since = _begin(last + DAY)
    if where.until is None or since is None or since < where.until:
        yield replace(where, since=since)


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# Adding up, and forgetting.


def forget(connection: Connection, moments: Iterable[datetime]) -> None:
    """The days of these moments have other exchanges now. In the transaction that changes them, after the change."""
    if days := {moment.astimezone(UTC).date().isoformat() for moment in moments}:
        connection.execute(delete(_FOLDS).where(_FOLDS.c.day.in_(days)))


def forget_old(connection: Connection, moments: Iterable[datetime]) -> None:
    """The same for what is written all the time, of which hardly anything is of a day that may be kept."""
    bound = now() - SETTLED
    forget(connection, [moment for moment in moments if moment < bound])


def forget_all(connection: Connection) -> None:
    connection.execute(delete(_FOLDS))


def fold(engine: Engine, most: int = DAYS_AT_ONCE) -> int:
    """Add up days that are over and not kept, the oldest first; gives how many. Readers and writers go on meanwhile."""
    done = 0
    _remove_forgotten(engine)
    with engine.connect() as connection:
        days = list(_unkept(connection, most))
    for day in days:
        done += _fold(engine, day)
    return done


def _remove_forgotten(engine: Engine) -> None:
    """Days that nobody adds up again, as retention took all that was in them."""
    with engine.connect() as connection:
        forgotten = {table: table.c.day.not_in(select(_FOLDS.c.day)) for table in _KEPT}
        some = [table for table, gone in forgotten.items() if connection.scalar(select(exists().where(gone)))]
    if some:
        with collecting(engine) as connection:
            for table in some:
                connection.execute(delete(table).where(forgotten[table]))


def _unkept(connection: Connection, most: int) -> Iterator[date]:
    """Days with exchanges."""
    kept = set(connection.scalars(select(_FOLDS.c.day).where(_FOLDS.c.done)))
    bound = now() - SETTLED - DAY
    day = date.min
    while most and (next := _first_since(connection, day)) and _begin(next) <= bound:
        if next.isoformat() not in kept:
            most -= 1
            yield next
        day = next + DAY


def _first_since(connection: Connection, day: date) -> date | None:
    first = connection.scalar(select(func.min(_EXCHANGE.started_at)).where(_EXCHANGE.started_at >= _begin(day)))
    return first and first.astimezone(UTC).date()


def _fold(engine: Engine, day: date) -> bool:
    """False where it was changed meanwhile, or another process is at it."""
    attempt, name = new_id(), day.isoformat()
    with collecting(engine) as connection:
        if connection.dialect.name == "postgresql":  # whoever has changed one of its exchanges comes to an end first
            connection.execute(text("LOCK TABLE exchange IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(delete(_FOLDS).where(_FOLDS.c.day == name))
        connection.execute(insert(_FOLDS), {"day": name, "attempt": attempt, "done": False})
    with engine.connect() as connection:
        kept = {table: _rows(connection, day, table) for table in _KEPT}
    with collecting(engine) as connection:
        mine = update(_FOLDS).where(_FOLDS.c.day == name, _FOLDS.c.attempt == attempt).values(done=True)
        if not connection.execute(mine).rowcount:
            return False
        for table, rows in kept.items():
            connection.execute(delete(table).where(table.c.day == name))
            if rows:
                connection.execute(insert(table), rows)
    return True


def _rows(connection: Connection, day: date, table: Table) -> list[dict[str, Any]]:
    keys = [Key(name, _EXCHANGE[name], None) for name in _KEPT[table]]
    where = Filter(since=_begin(day), until=_begin(day + DAY))
    wanted = [name for name in SUMS if name in table.c]
    query = _of_exchanges(keys, where, wanted, sqlite=connection.dialect.name == "sqlite")
    return [{**row, "day": day.isoformat()} for row in connection.execute(query).mappings()]
