"""Administrators, their keys and sessions, as they are kept and shown: no secret is in any of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from lockgate.errors import Error
from lockgate.records import new_id, now

type Role = Literal["viewer", "operator", "admin"]
"""A viewer reads; an operator also changes projects, tokens and keys; an admin also changes administrators."""

ROLES: tuple[Role, ...] = get_args(Role.__value__)
"""Each may do what those before it may."""
PASSWORD_CHARACTERS = (12, 1024)
NAME_CHARACTERS = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """Who manages Lockgate. The password is not here."""

    name: str
    role: Role
    active: bool = True
    has_password: bool = False
    """One without can use keys only."""
    created_at: datetime = field(default_factory=now)
    last_seen_at: datetime | None = None
    id: str = field(default_factory=new_id)

    def may(self, role: Role) -> bool:
        """Whether this is one of that role, or more."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorKey:
    """What a program shows in an administrator's name. The key itself is not here, and nowhere."""

    administrator_id: str
    hint: str
    """Its first characters."""
    name: str = ""
    created_at: datetime = field(default_factory=now)
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministratorSession:
    """An administrator in a browser, from the password on. The cookie is not here."""

    administrator_id: str
    client: str
    """The address that it began from."""
    expires_at: datetime
    created_at: datetime = field(default_factory=now)
    seen_at: datetime = field(default_factory=now)
    id: str = field(default_factory=new_id)


def checked_administrator(name: str) -> str:
    """The name in lower case. Raises Error for what is none: of plain letters, so that no two look the same."""
    plain = name.lower()
    if not _NAME.fullmatch(plain) or len(plain) > NAME_CHARACTERS:
        raise Error(
            f"{name[:NAME_CHARACTERS]!r} is no name of an administrator: it begins with a letter or digit, then also "
            f". _ @ + -, {NAME_CHARACTERS} characters at most"
        )
    return plain


def checked_password(password: str) -> str:
    """Raises Error for one that is too short or too long; the sentence does not hold it."""
    shortest, longest = PASSWORD_CHARACTERS
    if not shortest <= len(password) <= longest:
        raise Error(f"a password has {shortest} to {longest:,} characters: a few words that nobody would guess")
    return password
