"""The tables of what people do: mark, stop, decide, administer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lockgate.storage.base import Base, Word
from lockgate.storage.columns import Id, Names, PackedJson


class LabelModel(Base):
    """A word that a person gave to an exchange or to a session."""

    __tablename__ = "label"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    exchange_id: Mapped[str | None] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"))
    session_id: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index(None, "exchange_id", "name", unique=True),
        Index(None, "session_id", "name", unique=True),
    )


class NoteModel(Base):
    """What a person wrote about an exchange or a session."""

    __tablename__ = "note"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str | None] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str | None] = mapped_column(index=True)
    text: Mapped[str]
    created_at: Mapped[datetime]


class KillModel(Base):
    """What an operator stopped, or a rule: `lockgate.records.Kill`. What was lifted or has passed stays to be read."""

    __tablename__ = "kill"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    scope: Mapped[Word]
    target: Mapped[str]
    names: Mapped[tuple[str, ...]] = mapped_column(Names())
    set_by: Mapped[str]
    reason: Mapped[str]
    until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str]

    __table_args__ = (Index(None, "lifted_at", "until"),)  # most of them have passed; those in force are read often


class ApprovalModel(Base):
    """A tool call that a person is asked about; see `lockgate.records.Approval`.

    It may be there before its exchange is, which the log writes in its own time; it goes with it. `context` is JSON
    text.
    """

    __tablename__ = "approval"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), index=True)
    key: Mapped[Word] = mapped_column(index=True)
    digest: Mapped[Word]
    session_id: Mapped[str]
    rule: Mapped[str]
    agent: Mapped[str]
    project: Mapped[Word]
    model: Mapped[str]
    tool: Mapped[str]
    arguments: Mapped[str]
    custom: Mapped[bool]
    schema: Mapped[str]
    score: Mapped[float | None]
    reason: Mapped[str]
    context: Mapped[bytes] = mapped_column(PackedJson())
    asked_at: Mapped[datetime]
    deadline: Mapped[datetime]
    by_default: Mapped[Word]
    state: Mapped[Word]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime | None]
    note: Mapped[str]
    note_shown: Mapped[bool]
    edited: Mapped[str | None]
    left_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "state", "id"),)


class AuditModel(Base):
    """An administrative act, or a refusal of access: `lockgate.records.AuditEntry`. Exchanges go without it."""

    __tablename__ = "audit"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    last_at: Mapped[datetime | None]
    who: Mapped[str]
    where: Mapped[str]
    act: Mapped[str]
    subject: Mapped[str]
    outcome: Mapped[Word]
    reason: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    count: Mapped[int] = mapped_column(BigInteger())

    __table_args__ = (Index(None, "who", "id"), Index(None, "act", "id"))
