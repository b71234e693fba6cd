"""Runs the chain from the program, inside one locked transaction. Only `lockgate.storage.schema` calls this."""

from __future__ import annotations

import time
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text

from lockgate.storage.address import Address
from lockgate.storage.engine import libpq_arguments


def upgrade(address: Address, *, lock_key: int, lock_seconds: int, to: str = "head") -> None:
    """Bring the database to this revision, alone: another upgrade waits, and then finds nothing to do."""
    if address.kind == "sqlite":
        engine = _sqlite_engine(address, lock_seconds)
    else:
        engine = create_engine(address.writer_url, poolclass=NullPool, connect_args=libpq_arguments(address))
    with engine.begin() as connection:
        if address.kind == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{lock_seconds}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key})
        command.upgrade(alembic_config(connection), to)


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "lockgate.storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _sqlite_engine(address: Address, lock_seconds: int) -> Engine:
    engine = create_engine(address.writer_url, poolclass=NullPool, connect_args={"timeout": lock_seconds})

    @event.listens_for(engine, "connect")
    def own_transactions(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # else the driver commits before each CREATE TABLE
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only a new file takes it: `db prune` makes it smaller
        _use_wal(connection, time.monotonic() + lock_seconds)

    @event.listens_for(engine, "begin")
    def lock(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    return engine


def _use_wal(connection: Any, deadline: float) -> None:
    """Switch the file to write-ahead logging, so that readers and the writer never wait for each other.

    SQLite does not wait for its lock here, whatever the time-out says, so two who start together have to try again.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
