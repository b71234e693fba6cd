"""The rows of one sealed table by id, as the driver gives them: what others put there may be no value of its column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, Text, select, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import NullType

from lockgate.storage.digests import FORMS, RawForm, raw_form
from lockgate.storage.findings import id_text
from lockgate.storage.models import Base, CommModel, RelationModel

ROWS_AT_ONCE = 100
"""A row may hold a body of megabytes."""


class Rows:
    """Iterates over ids, and with each its row for `digest`."""

    def __init__(self, connection: Connection, name: str, first: bytes) -> None:
        self.name = name
        self._connection = connection
        self._table: Table = Base.metadata.tables[name]
        self._forms = {version: raw_form(name, version, connection.dialect) for version in FORMS}
        self._spans: dict[int, tuple[int, int]] = {}
        self._query = self._selected()
        if first:
            self._query = self._query.where(self._table.c.id >= first.hex())

    def _selected(self) -> Select[*tuple[Any, ...]]:
        """The id, then what each version covers."""
        selected: list[Any] = [type_coerce(self._table.c.id, NullType())]
        for version, form in self._forms.items():
            self._spans[version] = (len(selected), len(selected) + len(form.selected))
            selected += form.selected
        return select(*selected).order_by(self._table.c.id)

    def __iter__(self) -> Iterator[tuple[Any, Sequence[Any]]]:
        found = self._connection.execute(self._query, execution_options={"yield_per": ROWS_AT_ONCE})
        return ((row[0], row) for row in found)

    def digest(self, row: Sequence[Any], version: int) -> bytes | None:
        """None where a value cannot be read."""
        try:
            form: RawForm = self._forms[version]
            return form.digest_raw(row[slice(*self._spans[version])])
        except Exception:
            return None

    def exchange_of(self, id: bytes) -> str:
        """The exchange that the row belongs to, as far as the database says so."""
        if self.name == "exchange":
            return str(UUID(bytes=id)) if id else ""
        if self.name == "audit":
            return ""
        column: Any = self._table.c.get("exchange_id")
        query = select(sql_cast(column, Text())) if column is not None else _of_relation()
        return id_text(self._connection.execute(query.where(self._table.c.id == id.hex())).scalar())


def _of_relation() -> Select[*tuple[Any, ...]]:
    joined = RelationModel.from_comm_id == CommModel.id
    return select(sql_cast(CommModel.exchange_id, Text())).select_from(RelationModel).join(CommModel, joined)


def id_bytes(raw: object) -> bytes | None:
    """PostgreSQL gives a UUID, SQLite its digits."""
    if isinstance(raw, UUID):
        return raw.bytes
    try:
        id = bytes.fromhex(raw) if isinstance(raw, str) else b""
    except ValueError:
        return None
    return id if len(id) == 16 and id.hex() == raw else None
