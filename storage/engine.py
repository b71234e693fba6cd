"""SQLAlchemy engines for one database: one that writes, one that only reads. Imported late: it costs 0.3 s."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lockgate.errors import ConfigError
from lockgate.storage.address import Address
from lockgate.wire.document import dumps, loads

WRITER_BUSY_SECONDS = 1.0
"""How long SQLite waits for another process's lock before the writer says so and tries again."""
READER_BUSY_SECONDS = 10.0
PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""A database host that is gone must not hold the writer for minutes. libpq's names; milliseconds in the second."""
READER_CONNECTIONS = 4
READ_ONLY = "25006"
"""PostgreSQL's code for a write to a standby, or to a primary that was made read-only."""

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",  # in WAL mode a power cut may lose the last transactions, and never corrupts
)


def writer_engine(address: Address, *, busy_seconds: float = WRITER_BUSY_SECONDS) -> Engine:
    """One connection, for one thread."""
    arguments: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, **_common()}
    if address.kind == "postgresql":
        arguments |= {"pool_pre_ping": True, "connect_args": PATIENCE | libpq_arguments(address)}
        engine = create_engine(address.writer_url, **arguments)
        event.listen(engine, "handle_error", _leave_read_only)
        return engine
    engine = create_engine(address.writer_url, connect_args={"timeout": busy_seconds}, **arguments)
    event.listen(engine, "connect", _set_pragmas)
    return engine


def reader_engine(address: Address) -> AsyncEngine:
    """A few connections that never write; an SQLite file that does not exist is not made."""
    connect = {"timeout": READER_BUSY_SECONDS} if address.kind == "sqlite" else _reading(address)
    engine = create_async_engine(
        address.reader_url, pool_size=READER_CONNECTIONS, pool_pre_ping=True, connect_args=connect, **_common()
    )
    if address.kind == "postgresql":
        event.listen(engine.sync_engine, "connect", _trust_indexes)
    return engine


def changing_engine(address: Address) -> AsyncEngine:
    """A few connections for short transactions beside the writer's, such as what a person decides.

    It would make an SQLite file that does not exist.
    """
    if address.kind == "sqlite":
        url, connect = f"sqlite+aiosqlite:///{address.path}", {"timeout": READER_BUSY_SECONDS}
    else:
        url, connect = address.reader_url, PATIENCE | libpq_arguments(address)
    return create_async_engine(url, pool_size=READER_CONNECTIONS, pool_pre_ping=True, connect_args=connect, **_common())


def _trust_indexes(connection: Any, _record: Any) -> None:
    """PostgreSQL's own 4 is for disks that turn: it would rather read and sort all rows than 5,000 by an index."""
    cursor = connection.cursor()
    cursor.execute("SET random_page_cost = 1.1")
    cursor.close()
    connection.commit()


def _reading(address: Address) -> dict[str, Any]:
    """Each statement is planned for what it asks for: a plan for any value would not know which are frequent."""
    return {**PATIENCE, **libpq_arguments(address), "prepare_threshold": None}


def libpq_arguments(address: Address) -> dict[str, Any]:
    """What libpq reads in a PostgreSQL address: SQLAlchemy knows fewer forms, of several hosts above all.

    Raises ConfigError where libpq cannot read it.
    """
    from psycopg import ProgrammingError  # late: a SQLite user never needs it
    from psycopg.conninfo import conninfo_to_dict

    try:
        return dict(conninfo_to_dict(address.libpq_url))
    except ProgrammingError as error:
        raise ConfigError(f"database {address.shown!r}: {address.clean(error)}") from error


def _leave_read_only(context: ExceptionContext) -> None:
    """The next connection may find the server that took over; this one would stay where it is for ever."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def _common() -> dict[str, Any]:
    # Lone surrogates, which orjson refuses, become \ud800 in plain JSON, which both databases keep as text.
    json = {"json_serializer": _dump_json, "json_deserializer": loads}
    return {**json, "hide_parameters": True}  # an error must not repeat what was to be written


def _dump_json(value: Any) -> str:
    return dumps(value).decode()


def _set_pragmas(connection: Any, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
