"""The databases that the log is measured on: an SQLite file, and PostgreSQL where its binaries are installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.bench import postgres


@dataclass(frozen=True, slots=True)
class Database:
    """A kind of database, by its name in a table."""

    name: str

    @contextmanager
    def empty(self) -> Generator[str]:
        """The URL of a new one, which is gone afterwards."""
        if self.name == "PostgreSQL":
            with postgres.running(postgres.DURABLE) as server, server.database() as url:
                yield url
            return
        folder = Path(tempfile.mkdtemp(prefix="lockgate-bench-"))
        try:
            yield f"sqlite:///{folder / 'lockgate.db'}"
        finally:
            shutil.rmtree(folder)


def databases() -> Iterator[Database]:
    """All that can be had here."""
    yield Database("SQLite")
    if postgres.is_there():
        yield Database("PostgreSQL")
