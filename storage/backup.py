"""The whole log into a file, from one moment of a database that is in use; and files back into a database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from lockgate.errors import StorageError
from lockgate.storage import schema
from lockgate.storage.address import Address, parse
from lockgate.storage.engine import READER_BUSY_SECONDS, writer_engine
from lockgate.storage.models import ChainModel, ExchangeModel, UsageFoldModel
from lockgate.storage.places import last_place, reindex
from lockgate.storage.portable import Head, columns_of, new_file, read_rows, tables, verify
from lockgate.storage.sealer import Sealer
from lockgate.storage.seals import TAGS, Signer
from lockgate.storage.usage_days import forget_all

type Progress = Callable[[str, int], object]
"""Told the table, and how many of its rows are done."""

ROWS = 500
BATCH_BYTES = 8_000_000


def backup(url: str, path: Path, progress: Progress = lambda table, rows: None) -> dict[str, int]:
    """Write everything to a new file, and give the rows by table. Writers go on meanwhile.

    Raises StorageError for a database that cannot be used, Error for a file that exists.
    """
    address = parse(url)
    schema.require_current(address)
    with opened(address) as engine, snapshot(engine) as connection, new_file(path, Head(lockgate="backup")) as sink:
        for table in tables():
            for row in rows_of(connection, table):
                sink.row(table, row)
                progress(table.name, sink.rows[table.name])
        return sink.rows


def restore(
    url: str, path: Path, progress: Progress = lambda table, rows: None, signer: Signer | None = None
) -> tuple[Head, int]:
    """Take a file in, all of it or nothing; give what it was and how many exchanges were new.

    A backup goes into a database without exchanges, which is made where there is none; an archive adds to what is
    there. Raises StorageError for a file that is foreign, newer or damaged, and for a database that does not fit.
    """
    address, head = parse(url), verify(path)
    _prepare(address, head, path)
    with opened(address) as engine:
        try:
            with engine.begin() as connection:
                before = _exchanges(connection)
                if head.lockgate == "backup" and (holds := _holds(connection, before)):
                    raise StorageError(
                        f"{schema.place(address)} holds {holds}, which a backup would be mixed with:"
                        " restore it into a new database"
                    )
                unsealed = TAGS if head.lockgate == "archive" and head.schema == schema.HEAD else ()
                rows = _insert_all(connection, path, progress, unsealed)  # a backup has seals of its own
                if inspect(connection).has_table(UsageFoldModel.__tablename__):
                    forget_all(connection)
                Sealer(signer).write(connection, rows)
                added = _exchanges(connection) - before
        except DBAPIError as error:
            raise schema.cannot_open(address, error) from error
    schema.upgrade(url)
    return head, added


def _prepare(address: Address, head: Head, path: Path) -> None:
    """The tables as they were when the file was made."""
    found = schema.version(address)
    if found is None:
        schema.upgrade(address.url, to=head.schema)
    elif found != head.schema:
        raise StorageError(
            f"{path} comes from a log of version {head.schema}, and {schema.place(address)} has {found}:"
            " restore it into a new database, which is then brought up to date"
        )


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Reads one moment of the database, whatever is written meanwhile."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def rows_of(connection: Connection, table: Table, *where: Any) -> Iterator[dict[str, Any]]:
    """The rows, those first that others of the table point to."""
    order = [table.c[name] for name in ("depth", "number") if name in table.c]
    query = select(*columns_of(table).values()).where(*where).order_by(*order, *table.primary_key.columns)
    result = connection.execution_options(stream_results=True, yield_per=ROWS).execute(query)
    for row in result.mappings():
        yield dict(row)


def _insert_all(
    connection: Connection, path: Path, progress: Progress, wanted: Collection[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Gives the rows of the tables that are wanted."""
    found: list[tuple[str, dict[str, Any]]] = []
    last = last_place(connection)
    for table, group in groupby(read_rows(path), key=lambda one: one[0]):
        insert, done = _insert(connection, table), 0
        for batch in _batches(row for _, row in group):
            connection.execute(insert, batch)
            found += [(table.name, row) for row in batch] if table.name in wanted else []
            done += len(batch)
            progress(table.name, done)
    reindex(connection, last)
    return found


def _insert(connection: Connection, table: Table) -> Insert:
    """What is there already stays as it is."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, bytes | str))
        if len(batch) >= ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _holds(connection: Connection, exchanges: int) -> str:
    """What a backup cannot be put beside; "" for nothing."""
    if exchanges:
        return f"{exchanges:,} exchanges"
    if not inspect(connection).has_table(ChainModel.__tablename__):  # as it was made for an older file
        return ""
    return "a sealed audit trail" if connection.scalar(select(func.count()).select_from(ChainModel)) else ""


def _exchanges(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(ExchangeModel)) or 0


@contextmanager
def opened(address: Address) -> Generator[Engine]:
    """One connection beside the proxy's. Raises StorageError for what the driver says."""
    engine = writer_engine(address, busy_seconds=READER_BUSY_SECONDS)
    try:
        yield engine
    except DBAPIError as error:
        raise schema.cannot_open(address, error) from error
    finally:
        engine.dispose()
