"""The person at this machine, by the system's own word, and where what they do is noted."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lockgate.config import Config

if TYPE_CHECKING:
    from lockgate.storage.audit import Book


def user() -> str:
    """The system's user: what `USER` says is anybody's."""
    with suppress(ImportError, KeyError):
        import pwd  # not everywhere

        return pwd.getpwuid(os.getuid()).pw_name
    return str(os.getuid()) if hasattr(os, "getuid") else ""


def book_of(settings: Config, who: str) -> Book:
    """Where acts are noted in the transaction that does them. Imports SQLAlchemy."""
    from lockgate.certs.signing import signer_of
    from lockgate.storage.audit import Book

    signer = signer_of(settings)
    return Book(who, signer=signer)
