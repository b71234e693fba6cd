"""Exchanges that are still open though the proxy that had them is gone: they end as `cut`.

At an SQLite file, each writer holds a lock beside it that the kernel gives back however its process ends. Who starts
and finds nobody there knows that what is open is nobody's. Of PostgreSQL nobody knows that for certain, since proxies
on other machines may be cut off for a while: there `lockgate db check --repair` ends what is open for more than a day.
Should such an exchange end after all, its own last record replaces what is written here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.records import ExchangeRow, new_id, now
from lockgate.storage.address import parse
from lockgate.storage.schema import cannot_open, require_current

if TYPE_CHECKING:  # SQLAlchemy is imported on the writer's thread
    from sqlalchemy import ColumnElement, Engine

    from lockgate.storage.writer import Writer

ENDED = "the proxy ended before the exchange did"
ROWS = 500


@dataclass(slots=True)
class Presence:
    """A writer's lock at an SQLite file, until its process ends. `alone` tells whether it was the first to come."""

    handle: int | None = None
    alone: bool = False
    since: str = field(default_factory=new_id)
    """Ids that are less were made before this one came."""

    def leave(self) -> None:
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


def present(database: Path) -> Presence:
    """Take the lock, or none where the file system has no locks: then nobody is ever alone."""
    presence = Presence()
    with contextlib.suppress(OSError):
        handle = os.open(f"{database}-writers", os.O_CREAT | os.O_RDWR, 0o600)
        presence.handle = handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            presence.alone, presence.since = True, new_id()
        except BlockingIOError:
            pass
        fcntl.flock(handle, fcntl.LOCK_SH)
    return presence


def end_before(writer: Writer, presence: Presence) -> int:
    """On the writer's thread: end what was open before it came, and give how many that were."""
    from lockgate.storage.models import ExchangeModel

    return _end(writer, ExchangeModel.id < presence.since)


def repair(url: str) -> int:
    """End what is open for more than a day, and give how many that were. Raises StorageError."""
    from lockgate.storage.choosing import SURELY_OVER
    from lockgate.storage.models import ExchangeModel
    from lockgate.storage.writer import Writer

    address = parse(url)
    require_current(address)
    with Writer(address) as writer:
        try:
            return _end(writer, ExchangeModel.started_at < now() - SURELY_OVER)
        except Exception as error:
            raise cannot_open(address, error) from error


def _end(writer: Writer, which: ColumnElement[bool]) -> int:
    """As records, so that they are written like all others."""
    count = 0
    while rows := _open(writer.engine, which):
        writer.write([replace(row, outcome="cut", error=row.error or ENDED) for row in rows])
        count += len(rows)
    return count


def _open(engine: Engine, which: ColumnElement[bool]) -> list[ExchangeRow]:
    """Some of them; [] when there are none left."""
    from sqlalchemy import select

    from lockgate.storage.models import ExchangeModel
    from lockgate.storage.queries import exchange_of

    columns = ExchangeModel.__table__.columns
    query = select(*columns).where(columns.outcome == "open", which).order_by(columns.id).limit(ROWS)
    with engine.connect() as connection:
        return [exchange_of(dict(row)) for row in connection.execute(query).mappings()]
