"""SQLAlchemy engines for one database: one that writes, one that only reads. Imported late: it costs 0.3 s."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

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

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",  # in WAL mode a power cut may lose the last transactions, and never corrupts
)


def writer_engine(address: Address, *, busy_seconds: float = WRITER_BUSY_SECONDS) -> Engine:
    """One connection, for one thread."""
    arguments: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, **_common()}
    if address.kind == "postgresql":
        arguments |= {"pool_pre_ping": True, "connect_args": _patience(address)}
        return create_engine(address.writer_url, **arguments)
    engine = create_engine(address.writer_url, connect_args={"timeout": busy_seconds}, **arguments)
    event.listen(engine, "connect", _set_pragmas)
    return engine


def reader_engine(address: Address) -> AsyncEngine:
    """A few connections that never write; an SQLite file that does not exist is not made."""
    connect = {"timeout": READER_BUSY_SECONDS} if address.kind == "sqlite" else _patience(address)
    return create_async_engine(
        address.reader_url, pool_size=READER_CONNECTIONS, pool_pre_ping=True, connect_args=connect, **_common()
    )


def _patience(address: Address) -> dict[str, Any]:
    return {name: value for name, value in PATIENCE.items() if f"{name}=" not in address.url}


def _common() -> dict[str, Any]:
    # Lone surrogates, which orjson refuses, become \ud800 in plain JSON, which both databases keep as text.
    json = {"json_serializer": _dump_json, "json_deserializer": loads}
    return {**json, "hide_parameters": True}  # an error must not repeat what was to be written


def _dump_json(value: Any) -> str:
    return dumps(value).decode()


def _set_pragmas(connection: Any, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
