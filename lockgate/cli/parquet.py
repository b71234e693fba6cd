"""Parquet for notebooks: a row for each exchange, with its messages and decisions in nested lists. Needs pyarrow.

Times are UTC. Lone surrogates, which Parquet's texts cannot hold, become U+FFFD.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any, BinaryIO

from lockgate.errors import Error, WireError
from lockgate.records import Comm, Decision, ExchangeRow
from lockgate.storage.answers import USAGE_FIELDS, ExchangeDetail, Marks
from lockgate.storage.said import texts_of

GROUP_ROWS = 1_000
GROUP_CHARACTERS = 16 * 2**20
"""A row group is written when it has so many rows or characters: only one is in memory."""
TIMES = ("started_at", "created_at")
WHOLE_NUMBERS = ("status", "cost_nano_usd", "tool_calls", "blocked", *USAGE_FIELDS)
NUMBERS = ("first_byte_ms", "duration_ms", "score", "milliseconds")
DECIDED = ("rule", "policy", "policy_set", "mode", "subject", "action", "score", "reason", "milliseconds", "created_at")
SAID = ("part", "role", "text")
EXCHANGE = tuple(
    name for field in fields(ExchangeRow) for name in (USAGE_FIELDS if field.name == "usage" else (field.name,))
)


class Parquet:
    """Writes rows to a file. Raises Error where pyarrow is not installed."""

    def __init__(self, file: BinaryIO) -> None:
        self._arrow, parquet = require_pyarrow()
        self._schema = schema(self._arrow)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def add(self, detail: ExchangeDetail, marks: Marks) -> None:
        row = row_of(detail, marks)
        self._rows.append(row)
        self._characters += sum(len(one["text"]) for one in row["messages"])
        if len(self._rows) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._characters = [], 0


def schema(arrow: Any) -> Any:
    """The columns, as docs/log.md tells them."""
    texts = arrow.list_(arrow.string())
    nested = {
        "rules": texts,
        "labels": texts,
        "session_labels": texts,
        "messages": arrow.list_(arrow.struct(_fields(arrow, SAID))),
        "decisions": arrow.list_(arrow.struct(_fields(arrow, DECIDED))),
    }
    plain = [field for field in _fields(arrow, EXCHANGE) if field.name not in nested]
    return arrow.schema([*plain, *(arrow.field(name, type) for name, type in nested.items())])


def _fields(arrow: Any, names: Sequence[str]) -> list[Any]:
    def type_of(name: str) -> Any:
        if name in TIMES:
            return arrow.timestamp("us", tz="UTC")
        if name == "streamed":
            return arrow.bool_()
        return arrow.int64() if name in WHOLE_NUMBERS else arrow.float64() if name in NUMBERS else arrow.string()

    return [arrow.field(name, type_of(name)) for name in names]


def row_of(detail: ExchangeDetail, marks: Marks) -> dict[str, Any]:
    row = detail.exchange
    return {
        **{name: _clean(getattr(row.usage if name in USAGE_FIELDS else row, name, None)) for name in EXCHANGE},
        "rules": [_clean(rule) for rule in row.rules],
        "labels": list(marks.labels),
        "session_labels": list(marks.session_labels),
        "messages": list(_messages(detail)),
        "decisions": [_decision(one) for one in detail.decisions],
    }


def _messages(detail: ExchangeDetail) -> Iterator[dict[str, Any]]:
    """What was new in the request, the reply as the client got it, and what the model said where that was changed."""
    replies = detail.chain("RESPONSE")
    parts = {"request": detail.chain("REQUEST")[:1], "reply": replies[-1:], "original": replies[:-1][:1]}
    for part, comms in parts.items():
        for comm in comms:
            for role, text in _texts(detail, comm):
                yield {"part": part, "role": role, "text": _clean(text)}


def _texts(detail: ExchangeDetail, comm: Comm) -> Iterator[tuple[str, str]]:
    how = detail.joined.get(comm.id)
    if how and how.damage:
        yield "damaged", how.damage
        return
    try:
        yield from ((said.role, said.text) for said in texts_of(comm))
    except WireError:
        yield "unread", (comm.content or b"").decode("utf-8", "replace")


def _decision(one: Decision) -> dict[str, Any]:
    return {name: _clean(getattr(one, name)) for name in DECIDED}


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def require_pyarrow() -> tuple[Any, Any]:
    """Its two modules. Raises Error where it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise Error("Parquet needs pyarrow: install `lockgate[parquet]`") from error
