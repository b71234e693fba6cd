"""The version of a database: reading it, refusing what is not ours, and bringing it up to date.

Reading costs no SQLAlchemy; only `upgrade` imports it, and Alembic, when there is something to do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from typing import Any

from lockgate.errors import StorageError
from lockgate.storage.address import Address, parse

REVISIONS = tuple(f"{number:04}" for number in range(1, 21))
"""Every revision in migrations/versions, oldest first."""
HEAD = REVISIONS[-1]
VERSION_TABLE = "lockgate_version"
"""Alembic's table, by a name of our own, so that another project's database is told from a newer one of ours."""
LOCK_SECONDS = 60
"""How long one upgrade waits for another."""
_LOCK_KEY = 0x10C6A7E  # any number that no other program takes for its advisory lock


def version(address: Address) -> str | None:
    """The database's revision, or None where nothing has been made yet. Raises StorageError for what is not ours."""
    try:
        tables, found = _read_sqlite(address) if address.kind == "sqlite" else _read_postgres(address)
    except StorageError:
        raise
    except Exception as error:  # each driver has a tree of its own, and psycopg may not even be imported
        raise cannot_open(address, error) from error
    if found is None and tables:
        raise StorageError(
            f"database {address.shown} belongs to another program (it has the table {tables[0]!r} and no"
            f" {VERSION_TABLE!r}): give Lockgate a database of its own"
        )
    if found is not None and found not in REVISIONS:
        raise StorageError(
            f"database {address.shown} was written by a newer Lockgate (version {found}; this one knows {HEAD}):"
            " update Lockgate, or use another database"
        )
    return found


def require_current(address: Address) -> None:
    """Raises StorageError unless the database exists and is up to date."""
    found = version(address)
    if found is None:
        maker = "`lockgate run` or `lockgate db upgrade`" if address.kind == "sqlite" else "`lockgate db upgrade`"
        raise StorageError(f"there is no log yet in {place(address)}: {maker} makes it")
    if found != HEAD:
        raise StorageError(
            f"database {address.shown} has version {found} and this Lockgate needs {HEAD}: run `lockgate db upgrade`"
        )


def upgrade(url: str, *, to: str = "head") -> str | None:
    """Bring the database up to date, or to an older version, and give the version it had, None if it was empty.

    Two at once do it once.

    Raises ConfigError for a bad URL, StorageError for a database that cannot be opened or is not ours.
    """
    address = parse(url)
    if address.kind == "sqlite":
        _make_file(address)
    before = version(address)
    if before != HEAD:
        try:
            _migrate(address, to)
        except StorageError:
            raise
        except Exception as error:
            raise cannot_open(address, error) from error
    return before


def place(address: Address) -> str:
    """The database as a person finds it: the whole path of an SQLite file, else the URL."""
    return str(address.path.absolute()) if address.kind == "sqlite" else address.shown


def cannot_open(address: Address, error: BaseException) -> StorageError:
    if address.kind == "sqlite":
        remedy = "check that the folder exists and may be written, and that the file is a database of Lockgate's"
    else:
        remedy = "check that the server runs, that the database exists and that this user may use it"
    cause = getattr(error, "orig", None) or error  # SQLAlchemy adds the statement and a link
    return StorageError(f"cannot open database {address.shown}: {address.clean(cause)}; {remedy}")


def _read_sqlite(address: Address) -> tuple[list[str], str | None]:
    if not address.path.exists():
        return [], None
    uri = f"{address.path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as connection:
        return _read(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")


def _read_postgres(address: Address) -> tuple[list[str], str | None]:
    import psycopg  # late: a SQLite user never needs it

    with psycopg.connect(address.libpq_url, connect_timeout=10) as connection:
        return _read(connection, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")


def _read(connection: Any, list_tables: str) -> tuple[list[str], str | None]:
    tables = sorted(name for (name,) in connection.execute(list_tables).fetchall())
    if VERSION_TABLE not in tables:
        return tables, None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    return tables, row[0] if row else None


def _make_file(address: Address) -> None:
    """A new file only its owner reads, in a folder that is made likewise. What exists is left as it is."""
    try:
        address.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(address.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise cannot_open(address, error) from error


def _migrate(address: Address, to: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # from its import on, it tells each step to whoever listens
    from lockgate.storage.migrations import run  # late: SQLAlchemy and Alembic

    run.upgrade(address, lock_key=_LOCK_KEY, lock_seconds=LOCK_SECONDS, to=to)
