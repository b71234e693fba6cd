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


@contextmanager
def collecting(engine: Engine) -> Generator[Connection]:
    """A transaction that may remove what nothing refers to."""
    with engine.begin() as connection:
        _begin(connection, "pg_advisory_xact_lock")
        yield connection


def keep_collectors_out(connection: Connection) -> None:
    """At the beginning of a transaction: what it finds stays there until it ends."""
    _begin(connection, "pg_advisory_xact_lock_shared")


def _begin(connection: Connection, lock: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SELECT {lock}(:key)"), {"key": COLLECTING_KEY})
