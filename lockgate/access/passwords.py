"""Passwords as they are kept: argon2id, with the parameters of RFC 9106 for machines with little memory.

Each call takes 64 MiB and tens of milliseconds: never call it in an event loop.
"""

from __future__ import annotations

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()


def hashed(password: str) -> str:
    """What is kept of a password."""
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def fits(kept: str | None, password: str) -> bool:
    """Whether this is the password. It takes the same time where nothing is kept, and says no."""
    try:
        return _HASHER.verify(kept or _nobodys(), password.encode("utf-8", "surrogatepass")) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return hashed("nobody has this password")
