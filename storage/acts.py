"""What people change in the database, beside the writer: each act is a transaction; the console does it on a thread."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from lockgate.errors import Conflict
from lockgate.storage.address import parse
from lockgate.storage.engine import READER_BUSY_SECONDS, writer_engine
from lockgate.storage.schema import cannot_open, require_current


class Acts:
    """A database that people act on. As a context manager, it checks the database as `Queries` does."""

    def __init__(self, url: str) -> None:
        self.address = parse(url)
        self._engine = writer_engine(self.address, busy_seconds=READER_BUSY_SECONDS)

    def __enter__(self) -> Self:
        require_current(self.address)
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def do[Result](
        self, act: Callable[[Connection], Result], *, unfit: str = "another row stands against it"
    ) -> Result:
        """What the act gives. Raises Conflict with the sentence `unfit` where another row stands against it."""
        with self.begin() as connection:
            try:
                return act(connection)
            except IntegrityError as error:
                raise Conflict(unfit) from error

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """One transaction. Raises StorageError where the database cannot be used."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise cannot_open(self.address, error) from error
