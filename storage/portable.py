"""Rows of the log in a file that both databases give and take: JSON lines, compressed by zstd. Nothing here asks one.

The first line says what the file is and which columns follow, the last how many rows there were and a hash of all
before it, so that a file that was cut or changed is known. Between them, each line is a table's name and a row.
Bytes are text where they are UTF-8, else base64 in a list of one; what is null is left out.
"""

from __future__ import annotations

import binascii
import hashlib
import io
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import zstandard
from sqlalchemy import Column, LargeBinary, Table
from sqlalchemy.sql.type_api import TypeDecorator

from lockgate.errors import Error, StorageError
from lockgate.records import now
from lockgate.storage.columns import UtcTime
from lockgate.storage.models import Base
from lockgate.storage.schema import HEAD, REVISIONS
from lockgate.wire.document import dumps, loads

type Row = Mapping[str, Any]
type Kind = Literal["backup", "archive"]

SUFFIX = ".jsonl.zst"
FORMAT = 1
LEVEL = 6
DERIVED = {"said": ("number", "words")}
"""Columns that each database makes itself."""
MADE = ("usage_day", "usage_session_day", "usage_fold", "proxy")
"""Tables that it makes itself, or that are about now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a file is. `since` and `until` bound the times at which its exchanges began."""

    lockgate: Kind
    schema: str = HEAD
    since: str = ""
    until: str = ""
    made_at: str = field(default_factory=lambda: now().isoformat())
    made_by: str = field(default_factory=lambda: version("lockgate"))
    format: int = FORMAT
    columns: Mapping[str, list[str]] = field(
        default_factory=lambda: {table.name: list(columns_of(table)) for table in tables()}
    )


def tables() -> list[Table]:
    """All tables of the log but those in `MADE`; what others point to comes first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in MADE]


def columns_of(table: Table) -> dict[str, Column[Any]]:
    """The columns that a file has of a table."""
    return {column.name: column for column in table.columns if column.name not in DERIVED.get(table.name, ())}


class Sink:
    """Writes one file."""

    def __init__(self, target: Any) -> None:
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._out: BinaryIO = compressor.stream_writer(target, closefd=False)
        self._hash = hashlib.sha256()
        self.rows: dict[str, int] = {}

    def begin(self, head: Head) -> None:
        self._line(asdict(head))

    def row(self, table: Table, row: Row) -> None:
        values = {name: _out(column, row[name]) for name, column in columns_of(table).items() if row[name] is not None}
        self._line([table.name, values])
        self.rows[table.name] = self.rows.get(table.name, 0) + 1

    def end(self) -> None:
        self._line({"rows": self.rows, "sha256": self._hash.hexdigest()})
        self._out.close()

    def _line(self, document: Any) -> None:
        line = dumps(document) + b"\n"
        self._hash.update(line)
        self._out.write(line)


@contextmanager
def new_file(path: Path, head: Head) -> Generator[Sink]:
    """A file that is made for its owner alone, never over another, and safe on the disk at the end of the block.

    Where the block fails, no file is left. Raises Error for one that is there or cannot be made.
    """
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise Error(f"{path} exists already: give the name of a new file") from error
    except OSError as error:
        raise Error(f"{path} cannot be written: {error.strerror}") from error
    try:
        with open(handle, "wb") as file:
            sink = Sink(file)
            sink.begin(head)
            yield sink
            sink.end()
            file.flush()
            os.fsync(file.fileno())
        _sync(path.parent)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Error(f"{path} cannot be written: {error.strerror}") from error
        raise


def verify(path: Path) -> Head:
    """Read the whole file. Raises StorageError, also for one that was cut or changed."""
    with _lines(path) as lines:
        line = next(lines, b"")
        head, seen, rows = _head(path, line), hashlib.sha256(line), dict[str, int]()
        last = None
        for line in lines:
            if last is not None:
                seen.update(last)
                name = _document(path, last)[0]
                rows[name] = rows.get(name, 0) + 1
            last = line
    end = _document(path, last or b"null")
    if end != {"rows": rows, "sha256": seen.hexdigest()}:
        raise _damaged(path, "its end is missing, or does not fit what comes before")
    return head


def read_rows(path: Path) -> Iterator[tuple[Table, dict[str, Any]]]:
    """The rows of a file that was verified, each with every column that the file has of its table.

    Raises StorageError for a table or a column that this version does not know.
    """
    with _lines(path) as lines:
        known = _known(path, _head(path, next(lines, b"")))
        for line in lines:
            if isinstance(document := loads(line), dict):
                return
            name, values = cast(tuple[str, dict[str, Any]], document)
            table, columns = known[name]
            yield table, {name: _back(column, values.get(name)) for name, column in columns.items()}


def _known(path: Path, head: Head) -> dict[str, tuple[Table, dict[str, Column[Any]]]]:
    """The tables and columns that the file has."""
    try:
        found = {name: (Base.metadata.tables[name], names) for name, names in head.columns.items()}
        return {name: (table, {one: table.columns[one] for one in names}) for name, (table, names) in found.items()}
    except KeyError as error:
        raise StorageError(f"{path} holds {error}, which this Lockgate does not know: use {head.made_by}") from error


@contextmanager
def _lines(path: Path) -> Generator[Iterator[bytes]]:
    try:
        with path.open("rb") as file:
            decoder = zstandard.ZstdDecompressor().stream_reader(file, closefd=False)
            yield iter(io.BufferedReader(cast(io.RawIOBase, decoder), 2**20))
    except zstandard.ZstdError as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def _head(path: Path, line: bytes) -> Head:
    try:
        document: Any = loads(line)
        found = document["lockgate"], document["format"], document["schema"]
    except (Error, KeyError, TypeError) as error:
        raise StorageError(f"{path} is neither a backup nor an archive of Lockgate's") from error
    if found[1] > FORMAT or found[2] not in REVISIONS:
        by = document.get("made_by")
        raise StorageError(
            f"{path} was written by a newer Lockgate ({by}, database version {found[2]}): update Lockgate"
        )
    return Head(**document)


def _document(path: Path, line: bytes) -> Any:
    try:
        return loads(line)
    except Error as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> StorageError:
    return StorageError(f"{path} is damaged ({why}): nothing of it was taken; use another copy")


def _out(column: Column[Any], value: Any) -> Any:
    return _coder(column)[0](value)


def _back(column: Column[Any], value: Any) -> Any:
    return None if value is None else _coder(column)[1](value)


def _coder(column: Column[Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """How a column's values become JSON, and back."""
    inner: Any = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(column.type, UtcTime):
        return datetime.isoformat, datetime.fromisoformat
    if isinstance(inner, LargeBinary):
        return _text, _bytes
    return _same, _same


def _same(value: Any) -> Any:
    return value


def _text(value: bytes) -> str | list[str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return [binascii.b2a_base64(value, newline=False).decode()]


def _bytes(value: str | list[str]) -> bytes:
    return value.encode() if isinstance(value, str) else binascii.a2b_base64(value[0])


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
