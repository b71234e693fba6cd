"""Whether anything is stopped, asked while a proxy starts: without SQLAlchemy, whose import would be waited for."""

from __future__ import annotations

import contextlib
import sqlite3

from lockgate.storage.address import parse
from lockgate.storage.schema import cannot_open

MOST = 10_000
"""So many kills are in force at once: every proxy keeps them all in memory."""
_QUERY = "SELECT 1 FROM kill WHERE lifted_at IS NULL LIMIT 1"


def has_any(url: str) -> bool:
    """Whether there may be a kill in force. Raises StorageError where the database cannot be asked."""
    address = parse(url)
    try:
        if address.kind == "sqlite":
            uri = f"{address.path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                return connection.execute(_QUERY).fetchone() is not None
        import psycopg  # late: a SQLite user never needs it

        with psycopg.connect(address.libpq_url, connect_timeout=10) as connection:
            return connection.execute(_QUERY).fetchone() is not None
    except Exception as error:  # each driver has a tree of its own
        raise cannot_open(address, error) from error
