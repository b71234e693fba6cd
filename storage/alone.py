"""Transactions between which and the others nothing may come: those that collect garbage, and a writer's second try.

An SQLite transaction takes the file's lock at its beginning. In PostgreSQL, advisory locks keep collectors apart, and
away from a writer that has lost a race against one.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

COLLECTING_KEY = 0x10C6A7F
"""PostgreSQL's advisory lock of whoever collects; any number that no other program takes."""
NOTING_KEY = 0x10C6A80
"""Of whoever notes something in the audit trail beside the proxies."""


@contextmanager
def collecting(engine: Engine) -> Generator[Connection]:
    """A transaction that may remove what nothing refers to."""
    with engine.begin() as connection:
        _begin(connection, "pg_advisory_xact_lock")
        yield connection


def keep_collectors_out(connection: Connection) -> None:
    """At the beginning of a transaction: what it finds stays there until it ends."""
    _begin(connection, "pg_advisory_xact_lock_shared")


def one_at_a_time(connection: Connection) -> None:
    """Until the end of this transaction, nobody else comes here; an SQLite file is locked by whoever writes."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": NOTING_KEY})


def _begin(connection: Connection, lock: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SELECT {lock}(:key)"), {"key": COLLECTING_KEY})
