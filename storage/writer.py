"""Records to rows: one batch, one transaction, one statement per table. Runs on the log's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self, cast, get_args

from sqlalchemy import Connection, Engine, Insert, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError

from lockgate.records import AuditEntry, Comm, Decision, ExchangeRow, FramesRow, Record, Relation, SessionRow, TurnRow
from lockgate.storage.address import Address
from lockgate.storage.alone import keep_collectors_out
from lockgate.storage.answers import USAGE_FIELDS
from lockgate.storage.engine import writer_engine
from lockgate.storage.headings import Headings
from lockgate.storage.index import Index
from lockgate.storage.meter import Meter
from lockgate.storage.models import (
    CommModel,
    DecisionModel,
    ExchangeModel,
    FramesModel,
    RelationModel,
    SessionModel,
    TurnModel,
)
from lockgate.storage.people_models import AuditModel
from lockgate.storage.sealer import Sealer
from lockgate.storage.seals import REWRITTEN, Signer
from lockgate.storage.threads import Threads
from lockgate.storage.usage_days import forget_old

type Row = dict[str, Any]

_EXCHANGE = ExchangeModel.__table__.columns
_COUNTS = select(_EXCHANGE.id, *(_EXCHANGE[name] for name in (*USAGE_FIELDS, "counted_by", "cost_nano_usd"))).where(
    _EXCHANGE.counted_by != "none"
)
_NO_USAGE: Row = dict.fromkeys(USAGE_FIELDS)


class Writer:
    """Writes batches to one database. Writing a record twice is the same as writing it once."""

    def __init__(self, address: Address, prices: Path | None = None, signer: Signer | None = None) -> None:
        self._sealer = Sealer(signer)
        self._engine = writer_engine(address)
        self._meter, self._index = Meter(prices), Index(address)
        self._threads, self._headings = Threads(address), Headings(address)
        self._statements = [(kind, _insert(address, cast(Table, model.__table__)), row) for kind, model, row in _TABLES]

    def write(self, records: Sequence[Record]) -> Sequence[ExchangeRow]:
        """Write all or none, and give the exchanges that ended as they are there now.

        Raises what the driver raises; `is_outage` and `is_early` tell what that means.
        """
        records = self._meter.completed(records)
        try:
            self._write(records)
        except IntegrityError:
            if not (self._threads.forget() | self._headings.forget() | self._sealer.forget()):
                raise
            self._write(records, again=True)
        self._threads.committed()
        self._headings.committed()
        self._sealer.committed()
        self._meter.forget(records)
        return [record for record in records if isinstance(record, ExchangeRow) and record.outcome != "open"]

    def priced_as(self, row: ExchangeRow) -> str:
        """The model's name in the price list; "" where it has none."""
        return self._meter.prices.name(row.provider, row.host, row.model)

    def _write(self, records: Sequence[Record], *, again: bool = False) -> None:
        written: dict[str, tuple[str, Row]] = {}
        with self._engine.begin() as connection:
            if again:
                keep_collectors_out(connection)
            comms = [record for record in records if isinstance(record, Comm)]
            bodies = self._threads.write(connection, comms)
            headings = self._headings.write(connection, [comm.headers for comm in comms])
            for comm, heading in zip(comms, headings, strict=True):
                bodies[comm.id] |= heading
            for kind, statement, to_row in self._statements:
                # By id: an exchange that began and ended in one batch is one row, as it ended.
                rows = {one.id: to_row(one) | bodies.get(one.id, {}) for one in records if type(one) is kind}
                if rows:
                    if kind is ExchangeRow and self._meter.uncounted:
                        _keep_counts(connection, rows, self._meter.uncounted)
                    connection.execute(statement, list(rows.values()))
                    written |= {id: (statement.table.name, row) for id, row in rows.items()}
            forget_old(connection, [one.started_at for one in records if type(one) is ExchangeRow])
            self._index.write(connection, records, self._threads.apart)
            # In the order of the records, so that a seal tells which exchange a row stood beside.
            self._sealer.write(connection, (written[id] for id in dict.fromkeys(one.id for one in records)))

    @property
    def engine(self) -> Engine:
        """For who asks on the writer's own thread."""
        return self._engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.dispose()


def is_outage(error: Exception) -> bool:
    """Whether the database, not a record, is at fault: trying again later may help."""
    if isinstance(error, OperationalError | InterfaceError | InternalError):
        return True  # away, locked, full, read-only after a fail-over
    if isinstance(error, DBAPIError) and type(error.orig) is sqlite3.DatabaseError:
        return True  # the file is damaged: what comes now is for the one that is restored
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return state is not None and state.startswith("42")  # PostgreSQL: a table or a right is missing


def is_early(error: Exception) -> bool:
    """Whether a record names one that is not there yet."""
    return isinstance(error, IntegrityError)


def _insert(address: Address, table: Table) -> Insert:
    """Exchanges replace what was written when they began, and so do sums; all else is written once and never changes.

    A commit whose answer was lost is tried again, so a row that is already there is no error.
    """
    statement = (sqlite.insert if address.kind == "sqlite" else postgresql.insert)(table)
    if table.name not in REWRITTEN:
        return statement.on_conflict_do_nothing()
    changes = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=["id"], set_=changes)


def _keep_counts(connection: Connection, rows: Mapping[str, Row], uncounted: Collection[str]) -> None:
    """What a row took stays where the same one comes again, after what it was counted from is forgotten."""
    for row in connection.execute(_COUNTS.where(_EXCHANGE.id.in_(uncounted))).mappings():
        rows[row["id"]].update(row)


def _exchange_row(record: ExchangeRow) -> Row:
    row = _fields(record)
    usage = row.pop("usage")
    return row | (_NO_USAGE if usage is None else {name: getattr(usage, name) for name in USAGE_FIELDS})


def _comm_row(record: Comm) -> Row:
    row = _fields(record)
    return row | {"arguments": dict(record.arguments)}


def _relation_row(record: Relation) -> Row:
    row = _fields(record)
    return row | {"relationship_type": row.pop("type"), "metadata": dict(row.pop("detail"))}


def _fields(record: Record) -> Row:
    return {name: getattr(record, name) for name in _FIELDS[type(record)]}


_FIELDS = {kind: [field.name for field in fields(kind)] for kind in get_args(Record.__value__)}

_TABLES: tuple[tuple[type[Record], Any, Callable[[Any], Row]], ...] = (
    # What others point to comes first.
    (ExchangeRow, ExchangeModel, _exchange_row),
    (Comm, CommModel, _comm_row),
    (Relation, RelationModel, _relation_row),
    (Decision, DecisionModel, _fields),
    (SessionRow, SessionModel, _fields),
    (TurnRow, TurnModel, _fields),
    (AuditEntry, AuditModel, _fields),
    (FramesRow, FramesModel, _fields),
)
