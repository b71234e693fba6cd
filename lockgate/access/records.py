"""Projects, tokens and provider keys, as they are kept and shown: no secret is in any of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lockgate.access.grant import Grant
from lockgate.records import new_id, now

type Standing = Literal["active", "expired", "revoked", "exhausted", "inactive"]
"""Whether a token can be used: `exhausted` has used up its requests, `inactive` is of a project that is not active."""

type KeySource = Literal["kept", "environment", "file", "command"]
"""Where a provider key stands: in the database, encrypted; or elsewhere, and the database says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Who tokens and provider keys belong to."""

    name: str
    active: bool = True
    notes: str = ""
    grant: Grant = field(default_factory=Grant)
    created_at: datetime = field(default_factory=now)
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A credential that withers. The token itself is not here, and nowhere."""

    project_id: str
    project: str
    """The project's name."""
    hint: str
    """Its first characters."""
    expires_at: datetime
    name: str = ""
    labels: tuple[str, ...] = ()
    request_quota: int | None = None
    """How many requests it is good for; None for any number."""
    requests: int = 0
    """How many were made with it."""
    grant: Grant = field(default_factory=Grant)
    created_at: datetime = field(default_factory=now)
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    project_active: bool = True
    project_grant: Grant = field(default_factory=Grant)
    id: str = field(default_factory=new_id)

    def standing(self, at: datetime) -> Standing:
        """Whether it can be used at this moment; of several reasons against, the one that lasts."""
        if self.revoked_at is not None:
            return "revoked"
        if at >= self.expires_at:
            return "expired"
        if not self.project_active:
            return "inactive"
        if self.request_quota is not None and self.requests >= self.request_quota:
            return "exhausted"
        return "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """A provider's own key, which stands behind tokens. The key itself is not here."""

    provider: str
    """A model host, or `anthropic`, `openai`, `google` for all of these formats."""
    name: str
    source: KeySource
    hint: str = ""
    """Of a kept key its last characters; else the variable, file or command that gives it."""
    project_id: str | None = None
    """None for every project."""
    project: str = ""
    active: bool = True
    created_at: datetime = field(default_factory=now)
    last_used_at: datetime | None = None
    id: str = field(default_factory=new_id)
