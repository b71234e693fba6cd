"""What the command line does is noted in the audit trail, by the name of the system's user."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lockgate.config import Config
from lockgate.errors import Error

if TYPE_CHECKING:
    from lockgate.storage.audit import Book


def book_of(settings: Config) -> Book:
    """Where this user's acts are noted."""
    from lockgate.certs.signing import open_signing_key
    from lockgate.storage.audit import Book

    signer = open_signing_key(settings.home) if settings.seal.sign else None
    return Book(who(), signer=signer)


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
    """The user by the system's own word: what `USER` says is anybody's."""
    return f"cli:{_user()}"


def _user() -> str:
    with suppress(ImportError, KeyError):
        import pwd  # not everywhere

        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid()) if hasattr(os, "getuid") else ""
