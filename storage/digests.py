"""The digest of a row: the same from what is written and from what either database gives back.

It is over the values as Python has them, so that how a database spells a time, a number or JSON plays no role. JSON
columns count as their text, which both databases keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import JSON, Column, ColumnElement, Dialect, Float, LargeBinary, Table, Text, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import NullType

from lockgate.storage.columns import PackedJson, UtcTime
from lockgate.storage.models import Base
from lockgate.storage.seals import DIGEST_BYTES
from lockgate.wire.document import dumps

type Row = Mapping[str, Any]
type Convert = Callable[[Any], Any]

FORMS: Mapping[int, Mapping[str, tuple[str, ...]]] = {
    1: {
        "exchange": (
            *("id", "started_at", "kind", "provider", "host", "endpoint", "model", "agent", "session_id", "project"),
            *("token", "trigger", "client", "policy_set", "streamed", "status", "outcome", "stop_reason"),
            *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "counted_by"),
            *("cost_nano_usd", "first_byte_ms", "duration_ms", "tool_calls", "blocked", "rules", "error"),
            *("attested", "purpose"),
        ),
        "comm": (
            *("id", "exchange_id", "session_id", "type", "source", "destination", "endpoint", "arguments", "headers"),
            *("trigger", "status", "created_at", "content", "thread", "preamble", "envelope", "form", "digest"),
            *("reply_id", "heading"),
        ),
        "comm_relationship": ("id", "from_comm_id", "to_comm_id", "relationship_type", "metadata"),
        "decision": (
            *("id", "exchange_id", "rule", "policy", "policy_set", "mode", "subject", "action", "score", "reason"),
            *("milliseconds", "created_at", "given", "out"),
        ),
        "turn": (
            *("id", "exchange_id", "session_id", "node", "parent", "meaning", "words", "comm_id", "reply_id"),
            *("attested", "complete", "veto", "purpose"),
        ),
        "audit": (
            *("id", "at", "last_at", "who", "where", "act", "subject", "outcome", "reason", "before", "after"),
            "count",
        ),
        "frames": ("id", "exchange_id", "content"),
    }
}
"""By version, the columns that a digest covers. A migration that adds a column adds a version: rows that were sealed
before keep theirs. A new table needs none."""
FORM = max(FORMS)


class Form:
    """The digest of one table's rows in one version."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.columns: tuple[Column[Any], ...] = tuple(table.columns[name] for name in names)
        self._pick = itemgetter(*names)
        self._converts = [(at, to) for at, column in enumerate(self.columns) if (to := _conversion(column))]
        self._blobs = [at for at, column in enumerate(self.columns) if _is_bytes(column)]

    def digest(self, row: Row) -> bytes:
        """Of a row that is to be written."""
        values = list(self._pick(row))
        for at, convert in self._converts:
            if (value := values[at]) is not None:
                values[at] = convert(value)
        return self._hash(values)

    def _hash(self, values: list[Any]) -> bytes:
        """JSON text ends where it ends, and holds the lengths of the bytes that follow it."""
        blobs: list[bytes] = []
        for at in self._blobs:
            if (blob := values[at]) is not None:
                blobs.append(blob)
                values[at] = len(blob)
        hash = sha256(dumps(values))
        for blob in blobs:
            hash.update(blob)
        return hash.digest()[:DIGEST_BYTES]


class RawForm(Form):
    """The same from what the driver gives for `selected`, so that a row that cannot be read spoils no other."""

    def __init__(self, table: Table, names: Sequence[str], dialect: Dialect) -> None:
        super().__init__(table, names)
        self.selected: list[ColumnElement[Any]] = [_raw(column) for column in self.columns]
        self._reads = [(at, read) for at, column in enumerate(self.columns) if (read := _reading(column, dialect))]

    def digest_raw(self, raw: Sequence[Any]) -> bytes:
        """Raises whatever a value makes Python raise that was not written by Lockgate."""
        values = list(raw)
        for at, read in self._reads:
            values[at] = read(values[at])
        return self._hash(values)


def form_of(table: str, version: int) -> Form:
    return Form(Base.metadata.tables[table], FORMS[version][table])


def raw_form(table: str, version: int, dialect: Dialect) -> RawForm:
    return RawForm(Base.metadata.tables[table], FORMS[version][table], dialect)


def _is_bytes(column: Column[Any]) -> bool:
    return isinstance(column.type, LargeBinary | PackedJson | JSON)


def _conversion(column: Column[Any]) -> Convert | None:
    """From the value that SQLAlchemy is given to one that says the same whichever database it comes from."""
    match column.type:
        case JSON():
            return dumps
        case UtcTime():
            return _moment
        case Float():
            return _number
        case _:
            return None


def _raw(column: Column[Any]) -> ColumnElement[Any]:
    return sql_cast(column, Text()) if isinstance(column.type, JSON) else type_coerce(column, NullType())


def _reading(column: Column[Any], dialect: Dialect) -> Convert | None:
    if isinstance(column.type, JSON):
        return _encoded
    convert = _conversion(column)
    if isinstance(column.type, Float):
        return lambda value: None if value is None else _number(value)
    processor = cast(Any, column.type.dialect_impl(dialect)).result_processor(dialect, None)
    if processor is None:
        return convert and (lambda value: None if value is None else convert(value))
    if convert is None:
        return processor
    return lambda value: None if value is None else convert(processor(value))


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _moment(value: datetime) -> str:
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat()


def _number(value: float) -> float | None:
    """SQLite knows neither NaN, which it keeps as NULL, nor a zero below zero."""
    value = float(value)
    return None if value != value else value + 0.0
