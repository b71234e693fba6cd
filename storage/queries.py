"""What the log remembers, read: typed, asynchronous, paged by key. Answers are the records of `lockgate.exchange`.

Lists read only the light rows of `exchange`; bodies are read for one exchange at a time. Nothing here writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Select, Text, cast, func, or_, select
from sqlalchemy.exc import DBAPIError

from lockgate.errors import Error
from lockgate.events import Usage
from lockgate.exchange import Comm, Decision, ExchangeRow, Relation
from lockgate.storage import answers
from lockgate.storage.address import parse
from lockgate.storage.answers import USAGE_FIELDS, ExchangeDetail, Filter, RuleCount, Summary
from lockgate.storage.engine import reader_engine
from lockgate.storage.models import CommModel, DecisionModel, ExchangeModel, RelationModel
from lockgate.storage.schema import cannot_open, require_current

type Row = dict[str, Any]

SHORTEST_ID = 6
"""Hexadecimal digits of an id that are enough to ask for it."""
SHOWN_CANDIDATES = 8
IDS_PER_QUERY = 500
"""Databases bound the parameters of one statement."""

_EXCHANGE = ExchangeModel.__table__.columns
_COMM = CommModel.__table__.columns
_RELATION = RelationModel.__table__.columns
_DECISION = DecisionModel.__table__.columns


class Queries:
    """Reads one database. `async with Queries(url) as log:` checks that it is there and up to date.

    Raises ConfigError for a bad URL, StorageError for a database that is missing, behind, newer, or not ours.
    """

    def __init__(self, url: str) -> None:
        self._address = parse(url)
        self._engine = reader_engine(self._address)

    async def __aenter__(self) -> Self:
        require_current(self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.dispose()

    async def exchanges(
        self, *, limit: int = 50, before: str | None = None, where: Filter | None = None
    ) -> list[ExchangeRow]:
        """The newest first, at most `limit`, older than the exchange whose whole id is `before`."""
        query = select(*_EXCHANGE).where(*_conditions(where or Filter()))
        if before is not None:
            query = query.where(_EXCHANGE.id < _digits(before, shortest=32))
        return [_exchange(row) for row in await self._rows(query.order_by(_EXCHANGE.id.desc()).limit(limit))]

    async def exchange(self, id: str) -> ExchangeDetail | None:
        """The exchange with this id, or with the only id that begins or ends so; None when there is none.

        At least 6 hexadecimal digits, dashes or not. The end is what tells exchanges apart: ids made close in time
        begin alike. Raises Error for what is no id, and for several candidates, which it names.
        """
        whole = await self._whole_id(id)
        if whole is None:
            return None
        ids = select(_COMM.id).where(_COMM.exchange_id == whole)
        leaving, coming = _RELATION.from_comm_id.in_(ids), _RELATION.to_comm_id.in_(ids)
        ends = select(_RELATION.to_comm_id).where(leaving).union(select(_RELATION.from_comm_id).where(coming))
        others = select(_COMM.exchange_id).where(_COMM.id.in_(ends), _COMM.exchange_id != whole)
        (exchange,) = await self._rows(select(*_EXCHANGE).where(_EXCHANGE.id == whole))
        comms = select(*_COMM).where(_COMM.exchange_id == whole).order_by(_COMM.created_at, _COMM.id)
        relations = select(*_RELATION).where(or_(leaving, coming)).order_by(_RELATION.id)
        decisions = select(*_DECISION).where(_DECISION.exchange_id == whole)
        decisions = decisions.order_by(_DECISION.created_at, _DECISION.id)
        related = select(*_EXCHANGE).where(_EXCHANGE.id.in_(others)).order_by(_EXCHANGE.id)
        return ExchangeDetail(
            exchange=_exchange(exchange),
            comms=tuple(_comm(row) for row in await self._rows(comms)),
            relations=tuple(_relation(row) for row in await self._rows(relations)),
            decisions=tuple(Decision(**row) for row in await self._rows(decisions)),
            related=tuple(_exchange(row) for row in await self._rows(related)),
        )

    async def summary(self, *, since: datetime | None = None, ids: Collection[str] | None = None) -> Summary:
        """The exchanges that began at `since` or later, or those with these whole ids, or all, in numbers."""
        return answers.add([await self._summary(condition) for condition in _selections(since, ids)])

    async def _summary(self, condition: ColumnElement[bool]) -> Summary:
        group = (_EXCHANGE.kind, (_EXCHANGE.trigger != "").label("own"), _EXCHANGE.outcome)
        tokens = [func.sum(_EXCHANGE[name]).label(name) for name in USAGE_FIELDS]
        counted = select(*group, func.count().label("count"), *tokens).where(condition).group_by(*group)
        rows = await self._rows(counted)
        mine = [row for row in rows if row["kind"] == "model" and not row["own"]]
        return Summary(
            exchanges=sum(row["count"] for row in mine),
            side_calls=sum(row["count"] for row in rows if row["kind"] == "other" and not row["own"]),
            own_calls=sum(row["count"] for row in rows if row["own"]),
            outcomes=tuple((row["outcome"], row["count"]) for row in mine),
            usage=Usage(**{name: sum(int(row[name] or 0) for row in rows) for name in USAGE_FIELDS}),
            decisions=await self._rule_counts(condition),
        )

    async def _rule_counts(self, condition: ColumnElement[bool]) -> tuple[RuleCount, ...]:
        group = (_DECISION.rule, _DECISION.mode, _DECISION.action)
        chosen = _DECISION.exchange_id.in_(select(_EXCHANGE.id).where(condition))
        counted = select(*group, func.count().label("count")).where(chosen, _DECISION.action != "forwarded")
        return tuple(RuleCount(**row) for row in await self._rows(counted.group_by(*group)))

    async def _whole_id(self, id: str) -> str | None:
        digits = _digits(id, shortest=SHORTEST_ID)
        begins = _EXCHANGE.id.between(digits.ljust(32, "0"), digits.ljust(32, "f"))
        ends = func.replace(cast(_EXCHANGE.id, Text), "-", "").like(f"%{digits}")
        condition = begins if len(digits) == 32 else or_(begins, ends)  # only an end has to look at every id
        query = select(_EXCHANGE.id).where(condition).order_by(_EXCHANGE.id)
        found: list[str] = [row["id"] for row in await self._rows(query.limit(SHOWN_CANDIDATES))]
        if len(found) > 1:
            raise Error(f"{id!r} fits several exchanges: {', '.join(found)}; give more digits of the one you mean")
        return found[0] if found else None

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> list[Row]:
        try:
            async with self._engine.connect() as connection:
                result = await connection.execute(query)
                return [dict(row) for row in result.mappings()]
        except DBAPIError as error:
            raise cannot_open(self._address, error) from error


def _digits(id: str, *, shortest: int) -> str:
    digits = id.strip(" …").replace("-", "").lower()
    if not (shortest <= len(digits) <= 32 and re.fullmatch("[0-9a-f]+", digits)):
        raise Error(f"{id!r} is not the id of an exchange: give {shortest} to 32 hexadecimal digits of it")
    return digits


def _conditions(where: Filter) -> Iterator[ColumnElement[bool]]:
    for name in ("kind", "provider", "model", "agent", "session_id", "trigger", "outcome"):
        if (value := getattr(where, name)) is not None:
            yield _EXCHANGE[name] == value
    if where.rule is not None:
        yield _EXCHANGE.id.in_(select(_DECISION.exchange_id).where(_DECISION.rule == where.rule))
    if where.since is not None:
        yield _EXCHANGE.started_at >= where.since
    if where.until is not None:
        yield _EXCHANGE.started_at < where.until


def _selections(since: datetime | None, ids: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    if ids is None:
        yield _EXCHANGE.started_at >= since if since is not None else _EXCHANGE.id.is_not(None)
        return
    whole = sorted(set(ids))
    for start in range(0, len(whole), IDS_PER_QUERY):
        yield _EXCHANGE.id.in_(whole[start : start + IDS_PER_QUERY])


def _exchange(row: Row) -> ExchangeRow:
    usage = {name: row.pop(name) for name in USAGE_FIELDS}
    return ExchangeRow(**row, usage=None if None in usage.values() else Usage(**usage))


def _comm(row: Row) -> Comm:
    headers = tuple((name, value) for name, value in row.pop("headers"))
    return Comm(**row, headers=headers)


def _relation(row: Row) -> Relation:
    type, detail = row.pop("relationship_type"), row.pop("metadata")
    return Relation(**row, type=type, detail=detail)
