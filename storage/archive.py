"""Exchanges whole into a file of their own: their rows, and those of threads, messages and files that they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, select

from lockgate.errors import Error
from lockgate.storage.backup import rows_of, snapshot
from lockgate.storage.content_models import MessageModel, ThreadModel
from lockgate.storage.models import CommModel, ExchangeModel
from lockgate.storage.orphans import pointing_to, shared, up_from
from lockgate.storage.portable import SUFFIX, Head, Sink, new_file, tables

IDS_PER_QUERY = 500
OF_EXCHANGE = {"approval": {"exchange_id": "exchange"}}
"""What belongs to an exchange and may be there before it is, so that no foreign key says so."""
OF_SESSION = {"label": "session_id", "note": "session_id", "session": "id"}
"""Tables with rows about a session, and the column that has its id: they go when its last exchange does."""

_EXCHANGE, _COMM, _MESSAGE, _THREAD = (
    cast(Table, model.__table__) for model in (ExchangeModel, CommModel, MessageModel, ThreadModel)
)


def archive(engine: Engine, ids: Sequence[str], folder: Path) -> Path:
    """Write these exchanges to a new file in the folder, and give it; it is on the disk. Raises Error."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"the archive {folder} cannot be made: {error.strerror}") from error
    with snapshot(engine) as connection:
        first, last = _span(connection, ids)
        path = _free(folder, first, last)
        head = Head(lockgate="archive", since=first.isoformat(), until=last.isoformat())
        with new_file(path, head) as sink:
            _write(connection, sink, ids)
    return path


def _write(connection: Connection, sink: Sink, ids: Sequence[str]) -> None:
    comms = _column(connection, _COMM, "id", "exchange_id", ids)
    sessions = set(_column(connection, _EXCHANGE, "session_id", "id", ids)) - {""}
    nodes, messages = _threads(connection, ids)
    keys: dict[str, Iterable[Any]] = {"exchange": ids, "comm": comms, "thread": nodes, "message": messages}
    keys |= {table.name: _named(connection, table, keys) for table in shared() if table is not _MESSAGE}
    for table in tables():
        if table.name in keys:
            (key,) = table.primary_key
            _rows(connection, sink, table, key.name, keys[table.name])
        else:
            _belonging(connection, sink, table, keys, sessions)


def _named(connection: Connection, table: Table, keys: dict[str, Iterable[Any]]) -> set[bytes]:
    """The rows of a shared table that those who are archived name."""
    found: set[bytes] = set()
    for column in pointing_to(table):
        owners = {"id": column.table.name} if column.table in (_EXCHANGE, _COMM) else belongs(column.table)
        for name, owner in owners.items():
            found |= {one for one in _column(connection, column.table, column.name, name, keys[owner]) if one}
    return found


def belongs(table: Table) -> dict[str, str]:
    """By a column of the table that says whose its row is, the other table: exchange, comm or message."""
    owners = {_EXCHANGE: "exchange", _COMM: "comm", _MESSAGE: "message"}
    if table in (*owners, _THREAD):
        return {}
    if table.name in OF_EXCHANGE:
        return OF_EXCHANGE[table.name]
    found = {column.name: key.column.table for column in table.columns for key in column.foreign_keys}
    return {name: owners[other] for name, other in found.items() if other in owners}


def _belonging(
    connection: Connection, sink: Sink, table: Table, keys: dict[str, Iterable[Any]], sessions: Iterable[str]
) -> None:
    """Rows that belong to what is archived; those between two comms only where both are."""
    owned = belongs(table)
    if table.name in OF_SESSION:
        _rows(connection, sink, table, OF_SESSION[table.name], sessions)
    if not owned:
        return
    first, *others = owned
    known = {name: set(keys[owned[name]]) for name in others}
    for some in _some(keys[owned[first]]):
        for row in rows_of(connection, table, table.c[first].in_(some)):
            if all(row[name] in known[name] for name in others):
                sink.row(table, row)


def _rows(connection: Connection, sink: Sink, table: Table, key: str, values: Iterable[Any]) -> None:
    for some in _some(values):
        for row in rows_of(connection, table, table.c[key].in_(some)):
            sink.row(table, row)


def _threads(connection: Connection, ids: Sequence[str]) -> tuple[list[bytes], set[bytes]]:
    """The nodes up to the first ones, those first that others follow, and their messages."""
    roots: set[bytes] = set()
    for some in _some(ids):
        for row in connection.execute(select(_COMM.c.thread, _COMM.c.preamble).where(_COMM.c.exchange_id.in_(some))):
            roots |= {node for node in row if node}
    depths: dict[bytes, int] = {}
    messages: set[bytes] = set()
    for some in _some(roots):
        for node, _, message, depth in connection.execute(up_from(some)):
            depths[node] = depth
            messages.add(message)
    return sorted(depths, key=lambda node: depths[node]), messages


def _column(connection: Connection, table: Table, wanted: str, key: str, values: Iterable[Any]) -> list[Any]:
    return [
        value
        for some in _some(values)
        for value in connection.scalars(select(table.c[wanted]).where(table.c[key].in_(some)))
    ]


def _some(values: Iterable[Any]) -> Iterator[list[Any]]:
    every = list(values)
    for start in range(0, len(every), IDS_PER_QUERY):
        yield every[start : start + IDS_PER_QUERY]


def _span(connection: Connection, ids: Sequence[str]) -> tuple[datetime, datetime]:
    """When the first and the last of them began."""
    began = _column(connection, _EXCHANGE, "started_at", "id", ids)
    return min(began), max(began)


def _free(folder: Path, first: datetime, last: datetime) -> Path:
    """A name by the time, that no file has."""
    name = "lockgate-" + "-".join(f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}" for moment in (first, last))
    return next(
        path
        for number in count(1)
        if not (path := folder / f"{name}{f'-{number}' if number > 1 else ''}{SUFFIX}").exists()
    )
