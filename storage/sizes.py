"""How large the log is, and its rows: bytes as they are stored, without indexes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, LargeBinary, Table, Text, cast, func, literal, select, text
from sqlalchemy.sql.type_api import TypeDecorator

from lockgate.storage.models import Base

ROW_BYTES = 40
"""About what a row and its numbers take beside its texts."""


@dataclass(slots=True)
class Sizes:
    """Rows and bytes by table."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    bytes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def total(self) -> int:
        return sum(self.bytes.values())

    def add(self, connection: Connection, table: Table, which: ColumnElement[bool]) -> None:
        """Count these rows too."""
        query = select(func.count(), func.coalesce(func.sum(_weight(connection, table)), 0))
        count, size = connection.execute(query.select_from(table).where(which)).one()
        if count:
            self.rows[table.name] = self.rows.get(table.name, 0) + count
            self.bytes[table.name] = self.bytes.get(table.name, 0) + int(size)


def stored_bytes(connection: Connection) -> int:
    """What the log's rows take, all tables together.

    Indexes are not in it: what an index gives back when rows go, and when, is the database's own affair.
    """
    weights = (
        connection.scalar(select(func.coalesce(func.sum(_weight(connection, table)), 0)).select_from(table))
        for table in Base.metadata.sorted_tables
    )
    return sum(int(one or 0) for one in weights)


def free_bytes(connection: Connection) -> int:
    """Of an SQLite file: pages that hold nothing."""
    return _pragma(connection, "freelist_count") * _pragma(connection, "page_size")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.scalar(text(f"PRAGMA {name}")) or 0)


def _weight(connection: Connection, table: Table) -> ColumnElement[int]:
    """Neither database reads a long value for this, where it can help it."""
    sqlite = connection.dialect.name == "sqlite"
    long = [column for column in table.columns if _is_long(column.type)]
    sizes: list[ColumnElement[int]] = [func.coalesce(_length(column, sqlite=sqlite), 0) for column in long]
    return reduce(lambda one, other: one + other, sizes, literal(ROW_BYTES))


def _is_long(type: Any) -> bool:
    inner = type.impl_instance if isinstance(type, TypeDecorator) else type
    return isinstance(inner, LargeBinary | Text | JSON)


def _length(column: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[int]:
    return func.length(cast(column, LargeBinary)) if sqlite else func.pg_column_size(column)
