"""What the command line does is noted in the audit trail, by the name of the system's user."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lockgate.addons import operating
from lockgate.config import Config
from lockgate.errors import Error

if TYPE_CHECKING:
    from lockgate.storage.audit import Book


def book_of(settings: Config) -> Book:
    """Where this user's acts are noted."""
    return operating.book_of(settings, who())


def note(
    settings: Config,
    act: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An act that did not change the database. It is done: where it cannot be noted, that is said."""
    from lockgate.storage import schema
    from lockgate.storage.acts import Acts
    from lockgate.storage.address import parse

    try:
        if (address := parse(settings.database)).kind == "sqlite" and schema.version(address) != schema.HEAD:
            schema.upgrade(settings.database)
        with Acts(settings.database, book_of(settings)) as acts:
            acts.do(lambda at: acts.noted(at, act, subject, before, after))
    except Error as error:
        print(f"lockgate: it is done, and is not noted in the audit trail: {error}", file=sys.stderr)


def who() -> str:
    return f"cli:{operating.user()}"
