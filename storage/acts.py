"""What people change in the database, beside the writer: each act is a transaction; the console does it on a thread.

With a book, the act is noted in the same transaction, and one that fails in one of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from lockgate.access.audit import difference
from lockgate.errors import Conflict, Error, StorageError, told
from lockgate.storage.address import parse
from lockgate.storage.audit import Book
from lockgate.storage.engine import READER_BUSY_SECONDS, writer_engine
from lockgate.storage.schema import cannot_open, require_current

logger = logging.getLogger("lockgate.access")


class Acts:
    """A database that people act on. As a context manager, it checks the database as `Queries` does."""

    def __init__(self, url: str, book: Book | None = None) -> None:
        """Without a book, nothing is noted: whoever calls does it."""
        self.address = parse(url)
        self._engine = writer_engine(self.address, busy_seconds=READER_BUSY_SECONDS)
        self._book = book

    def __enter__(self) -> Self:
        require_current(self.address)
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def do[Result](
        self,
        act: Callable[[Connection], Result],
        *,
        unfit: str = "another row stands against it",
        named: tuple[str, str] | None = None,
    ) -> Result:
        """What the act gives. Raises Conflict with the sentence `unfit` where another row stands against it.

        `named` is what the act is called, and its subject as it was given, for the entry of one that fails.
        """
        try:
            with self.begin() as connection:
                try:
                    return act(connection)
                except IntegrityError as error:
                    raise Conflict(unfit) from error
        except Error as error:
            self._failed(named, error)
            raise

    def noted(self, at: Connection, act: str, subject: str, before: Any = None, after: Any = None) -> None:
        """In the act's transaction. `before` and `after` are records or mappings; of both, what differs is noted."""
        if self._book is not None:
            was, then = difference(before or {}, after or {}, ("name", "project"))
            self._book.note(at, act, subject, before=was, after=then)

    def _failed(self, named: tuple[str, str] | None, error: Error) -> None:
        if self._book is None or named is None or isinstance(error, StorageError):
            return  # where the database is away, there is no trail either
        try:
            with self.begin() as at:
                self._book.note(at, *named, outcome="error", reason=str(error))
        except Error as also:
            logger.warning("that %s failed could not be noted in the audit trail: %s", named[0], told(also))

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """One transaction. Raises StorageError where the database cannot be used."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise cannot_open(self.address, error) from error
