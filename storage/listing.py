"""A page of a list as statements: a walk along an index, the newest first, and where hardly anything fits, all of it.

A walk is over as soon as the page is full. One that would go on through the whole log, because its filters go together
seldom or did so long ago, stops after `WALKED` exchanges. Then it begins anew within the `span` of ids in which all of
them are found; then the narrowest index leads, to a `few`; and where none is narrow, `among_all` PostgreSQL joins
several indexes, and SQLite reads one that has all that is asked for, or looks for the least of costs and tokens in one
that has them in steps, where no more than a `few` are in the steps from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Select,
    Text,
    case,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)

from lockgate.storage.answers import Filter
from lockgate.storage.models import DecisionModel, ExchangeModel, ToolUseModel
from lockgate.storage.selecting import conditions, decided, hidden, least, sessions_called

type Row = Mapping[str, Any]

WALKED = 5_000
"""About 5 ms."""
NARROW = 20_000
"""An index that leads to no more than so many is worth a walk to its end."""
LEADS = (
    "session_id", "token", "tool", "rule", "action", "trigger", "purpose", "attested", "model", "agent", "project",
    "status", "outcome", "provider", "kind",
)  # fmt: skip
"""What a filter may name and an index leads to, from what usually fits the fewest exchanges to what fits the most."""
SELDOM = ("token", "trigger", "purpose")
"""Their indexes leave out what has none."""
USUAL = dict.fromkeys(SELDOM, "") | {"kind": "model"}
"""What nearly all exchanges have leads nowhere."""
NO_LEADS = ("label", "min_cost_nano_usd", "min_tokens", "since", "until")
AGE_DIGITS = 7
"""Of an id, as PostgreSQL's indexes for filters have them: a quarter of an hour."""

LEAST = ("min_cost_nano_usd", "min_tokens")
"""What SQLite has an index of."""

_EXCHANGE = ExchangeModel.__table__.columns
_TOOL, _DECISION = ToolUseModel.exchange_id, DecisionModel.exchange_id
_JOINED = {"tool": _TOOL, "rule": _DECISION, "action": _DECISION}
"""Other tables have them, whose indexes have the exchanges' ids in order."""
_AGE: ColumnElement[str] = literal_column(f"substr(exchange.id::text, 1, {AGE_DIGITS})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The newest first; with `after`, the oldest. Ids are 32 digits; `first` and `last` are on the page themselves."""

    limit: int
    before: str | None = None
    after: str | None = None
    first: str | None = None
    last: str | None = None
    sqlite: bool

    def within(self, spans: Row) -> Page | None:
        """The page within what `span` found; None where nothing is left."""
        if None in spans.values():
            return None
        first, last = (
            [str(value).replace("-", "").ljust(32, end) for name, value in spans.items() if name.startswith(which)]
            for which, end in (("first", "0"), ("last", "f"))
        )
        page = replace(self, first=max(first, default=None), last=min(last, default=None))
        return None if page.first and page.last and page.first > page.last else page


def leads(where: Filter) -> list[str]:
    """The names in the filter that an index leads to."""
    return [name for name in LEADS if getattr(where, name) not in (None, USUAL.get(name))]


def is_mixed(where: Filter) -> bool:
    """Whether a walk passes what does not fit."""
    named = [name for name in (*LEADS, *NO_LEADS) if getattr(where, name) is not None]
    return len(named) > 1 or (named != leads(where) and named != ["kind"])


def walk(where: Filter, page: Page) -> Select[*tuple[Any, ...]]:
    """What fits among the newest `WALKED` exchanges that the first lead leads to; of the one thing named, all."""
    lead = next(iter(leads(where)), "kind")
    if is_mixed(where):
        return _fitting(lead, where, page, WALKED)
    return _path(lead, where, page).with_only_columns(*_EXCHANGE).limit(page.limit)


def span(where: Filter, page: Page) -> Select[*tuple[Any, ...]] | None:
    """The first and the last id, or how they begin, of what each lead leads to; None where nothing is known."""
    ends: list[ColumnElement[Any]] = []
    for name in leads(where):
        id: Any = _JOINED.get(name, _EXCHANGE.id if page.sqlite or name == "kind" else _AGE)
        if name != "session_id":
            rows = select(id).where(*_led(name, where)).limit(1)
            ends += [
                rows.order_by(order).scalar_subquery().label(f"{end}_{name}")
                for end, order in (("first", id), ("last", id.desc()))
            ]
    ends += _times(where, page)
    return select(*ends) if ends else None


def _times(where: Filter, page: Page) -> Iterator[ColumnElement[Any]]:
    """The last id of what began earlier; and the first of what began later, where SQLite finds that it is not much."""
    if where.until is not None:
        began = select(_EXCHANGE.id).where(_EXCHANGE.started_at < where.until).limit(-1 if page.sqlite else None)
        ids = began.offset(literal_column("0")).subquery()  # else all ids would be walked until one fits
        yield select(ids.c.id).order_by(ids.c.id.desc()).limit(1).scalar_subquery().label("last_until")
    if where.since is not None and page.sqlite:
        ids = select(_EXCHANGE.id).where(_EXCHANGE.started_at >= where.since).limit(NARROW + 1).subquery()
        first = case((func.count() <= NARROW, func.min(type_coerce(ids.c.id, Text()))), else_="")
        yield select(first).select_from(ids).scalar_subquery().label("first_since")


def counts(where: Filter, page: Page) -> Select[*tuple[Any, ...]] | None:
    """How many each lead leads to, up to one more than `NARROW`; None where there is no lead."""
    names = [*leads(where), *(name for name in LEAST if page.sqlite and getattr(where, name) is not None)]
    rows = {name: select(literal(1)).where(*_led(name, where)).limit(NARROW + 1).subquery() for name in names}
    found = [select(func.count()).select_from(one).scalar_subquery().label(name) for name, one in rows.items()]
    return select(*found) if found else None


def narrowest(found: Row) -> str | None:
    """The narrowest lead, by `counts`, where one is narrow."""
    lead = min(found, key=lambda name: found[name])
    return lead if found[lead] <= NARROW else None


def few(lead: str, where: Filter, page: Page) -> Select[*tuple[Any, ...]]:
    """All that fits, where this lead leads to no more than `NARROW`."""
    if lead in LEAST:
        return _sorted(lead, where, page)
    return _fitting(lead, where, page, 2 * NARROW)  # more may have come since


def _sorted(lead: str, where: Filter, page: Page) -> Select[*tuple[Any, ...]]:
    """For SQLite, which has no other index to choose here."""
    id = hidden(_EXCHANGE.id)
    fits = select(_EXCHANGE.id).where(*_led(lead, where), *conditions(where, walked=True), *_between(id, page))
    ids = fits.order_by(_direction(id, page)).limit(page.limit).subquery()
    return select(*_EXCHANGE).where(_EXCHANGE.id == ids.c.id).order_by(_direction(_EXCHANGE.id, page))


def among_all(where: Filter, page: Page) -> Select[*tuple[Any, ...]]:
    """All that fits is found, and then sorted."""
    fits = select(_EXCHANGE.id).where(*conditions(where, walked=page.sqlite), *_between(_EXCHANGE.id, page))
    if page.sqlite:
        ids = fits.order_by(_direction(_EXCHANGE.id, page)).limit(page.limit).subquery()
    else:
        found = fits.cte("fits").prefix_with("MATERIALIZED")
        ids = select(found.c.id).order_by(_direction(found.c.id, page)).limit(page.limit).subquery()
    return select(*_EXCHANGE).where(_EXCHANGE.id == ids.c.id).order_by(_direction(_EXCHANGE.id, page))


def _fitting(lead: str, where: Filter, page: Page, count: int) -> Select[*tuple[Any, ...]]:
    path = _path(lead, where, page, count).limit(count).subquery("walked")
    columns: list[ColumnElement[Any]] = [path.c[column.name] for column in _EXCHANGE]
    query = select(*columns).where(*conditions(where, row=path.c, but=lead)).limit(page.limit)
    if page.sqlite:  # they come in the order of the path; to be told so, SQLite would sort all of them
        return query
    return query.order_by(*(_direction(path.c[name], page) for name in ("age", "place") if name in path.c))


def _path(lead: str, where: Filter, page: Page, count: int | None = None) -> Select[*tuple[Any, ...]]:
    """All that the lead leads to, in the order of its index: that of ids, or of their age and then the ids."""
    if lead in _JOINED:
        return _joined(lead, where, page, count or page.limit)
    id = _EXCHANGE.id
    rows = select(*_EXCHANGE, id.label("place")).where(*_led(lead, where), *_between(id, page))
    if page.sqlite or lead in ("kind", "session_id"):
        return rows.order_by(_direction(id, page))
    # Only where a walk begins: of both ends, PostgreSQL would think that hardly anything is between them; and of all
    # that a narrow lead leads to, neither, or it might take the age from the index of something else.
    if count is not None and count > WALKED:
        pass
    elif page.after is not None:
        rows = rows.where(_AGE >= max(page.after, page.first or "")[:AGE_DIGITS])  # noqa: SIM300
    elif last := min(filter(None, (page.before, page.last)), default=None):
        rows = rows.where(_AGE <= last[:AGE_DIGITS])  # noqa: SIM300
    return rows.add_columns(_AGE.label("age")).order_by(_direction(_AGE, page), _direction(id, page))


def _joined(lead: str, where: Filter, page: Page, count: int) -> Select[*tuple[Any, ...]]:
    """Exchanges by the ids that another table has, each once."""
    id: Any = _JOINED[lead]
    ids = select(id.label("place")).distinct().where(*_led(lead, where), *_between(id, page))
    chosen = ids.order_by(_direction(id, page)).limit(count).subquery("chosen")
    rows = select(*_EXCHANGE, chosen.c.place).where(_EXCHANGE.id == chosen.c.place)
    return rows if page.sqlite else rows.order_by(_direction(chosen.c.place, page))


def _led(lead: str, where: Filter) -> Iterator[ColumnElement[bool]]:
    """What an index leads to by this name; nothing restricts where the filter does not name it."""
    value = getattr(where, lead)
    if lead == "session_id":
        yield _EXCHANGE.session_id.in_(sessions_called(value))
    elif lead == "tool":
        yield ToolUseModel.name == value
    elif lead in _JOINED:
        yield from decided(DecisionModel, where)
    elif lead in LEAST:
        yield least(lead, value)
    elif value is not None:
        yield _EXCHANGE[lead] == value
        if lead in SELDOM:
            yield _EXCHANGE[lead] != literal_column("''")


def _between(id: ColumnElement[str] | Any, page: Page) -> Iterator[ColumnElement[bool]]:
    if page.before is not None:
        yield id < page.before
    if page.after is not None:
        yield id > page.after
    if page.first is not None:
        yield id >= page.first
    if page.last is not None:
        yield id <= page.last


def _direction(column: Any, page: Page) -> ColumnExpressionArgument[Any]:
    return column.desc() if page.after is None else column
