"""The tables of access: who may speak. Their columns follow the records in `lockgate.access.records`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from lockgate.storage.base import Base, Word
from lockgate.storage.columns import Id, Names


class ProjectModel(Base):
    """Who tokens and provider keys belong to. `grant` is `lockgate.access.grant.Grant` as JSON."""

    __tablename__ = "project"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    name: Mapped[str] = mapped_column(index=True, unique=True)
    active: Mapped[bool]
    notes: Mapped[str]
    grant: Mapped[dict[str, Any]] = mapped_column(JSON())
    created_at: Mapped[datetime]


class TokenModel(Base):
    """A token, by its digest alone: see `lockgate.access.keyring.Keyring.digest`."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    project_id: Mapped[str] = mapped_column(Id(), ForeignKey("project.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary(), index=True, unique=True)
    hint: Mapped[Word]
    name: Mapped[str]
    labels: Mapped[tuple[str, ...]] = mapped_column(Names())
    request_quota: Mapped[int | None] = mapped_column(BigInteger())
    requests: Mapped[int] = mapped_column(BigInteger())
    grant: Mapped[dict[str, Any]] = mapped_column(JSON())
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "project_id", "id"),)


class ProviderKeyModel(Base):
    """A provider's key: encrypted, or where it stands."""

    __tablename__ = "provider_key"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    project_id: Mapped[str | None] = mapped_column(Id(), ForeignKey("project.id", ondelete="CASCADE"), index=True)
    provider: Mapped[Word]
    name: Mapped[str]
    source: Mapped[Word]
    kept: Mapped[bytes | None] = mapped_column(LargeBinary(), deferred=True)
    """By `Keyring.encrypt`, about the row's id; None where the key stands elsewhere."""
    hint: Mapped[str]
    active: Mapped[bool]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class BudgetUseModel(Base):
    """What was used in a period by a token or a project that has a budget: see `lockgate.access.budgets`."""

    __tablename__ = "budget_use"

    subject_id: Mapped[str] = mapped_column(Id(), primary_key=True)
    """The token's or the project's."""
    period: Mapped[Word] = mapped_column(primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger())
    nano_usd: Mapped[int] = mapped_column(BigInteger())


class AdministratorModel(Base):
    """Who manages Lockgate. `password` is an argon2 hash, or None for one who has keys only."""

    __tablename__ = "administrator"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    name: Mapped[Word] = mapped_column(index=True, unique=True)
    role: Mapped[Word]
    active: Mapped[bool]
    password: Mapped[Word | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]


class AdministratorKeyModel(Base):
    """An administrator's key, by its digest alone."""

    __tablename__ = "administrator_key"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    administrator_id: Mapped[str] = mapped_column(Id(), ForeignKey("administrator.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(), index=True, unique=True)
    hint: Mapped[Word]
    name: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AdministratorSessionModel(Base):
    """An administrator in a browser, by the digest of the cookie alone."""

    __tablename__ = "administrator_session"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    administrator_id: Mapped[str] = mapped_column(Id(), ForeignKey("administrator.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(), index=True, unique=True)
    client: Mapped[Word]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
