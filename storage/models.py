"""The tables. Their columns follow the records in `lockgate.exchange`; migrations/ makes and changes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lockgate.storage.columns import AnyText, Id, Names, UtcTime

type Word = str
"""Text that Lockgate itself or its operator wrote; a plain `str` may hold whatever a client or a provider sends."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={  # the same names on both databases, so that a later migration can name what it changes
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: AnyText(), Word: Text(), datetime: UtcTime(), float: Float()}  # noqa: RUF012


class ExchangeModel(Base):
    """One light row for lists. An unset usage is four NULLs."""

    __tablename__ = "exchange"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[Word]
    provider: Mapped[Word]
    host: Mapped[Word]
    endpoint: Mapped[str]
    model: Mapped[str]
    agent: Mapped[str]
    session_id: Mapped[str]
    project: Mapped[Word]
    token: Mapped[Word]
    trigger: Mapped[Word]
    client: Mapped[Word]
    policy_set: Mapped[Word]
    streamed: Mapped[bool]
    status: Mapped[int | None]
    outcome: Mapped[Word]
    stop_reason: Mapped[str]
    input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    output_tokens: Mapped[int | None] = mapped_column(BigInteger())
    cache_read_tokens: Mapped[int | None] = mapped_column(BigInteger())
    cache_write_tokens: Mapped[int | None] = mapped_column(BigInteger())
    first_byte_ms: Mapped[float | None]
    duration_ms: Mapped[float | None]
    tool_calls: Mapped[int]
    blocked: Mapped[int]
    rules: Mapped[tuple[str, ...]] = mapped_column(Names())
    error: Mapped[str]

    # Lists go by id, newest first: ids sort by time. Each filter has an index that ends in it.
    __table_args__ = (
        Index(None, "kind", "id"),
        Index(None, "session_id", "id"),
        Index(None, "outcome", "id"),
    )


class CommModel(Base):
    """One communication. `content` is JSON text as bytes, exactly as given: byte for byte, and nothing is parsed."""

    __tablename__ = "comm"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str]
    type: Mapped[Word]
    source: Mapped[Word]
    destination: Mapped[Word]
    endpoint: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON())
    headers: Mapped[list[list[str]]] = mapped_column(JSON())
    trigger: Mapped[Word]
    status: Mapped[int | None]
    created_at: Mapped[datetime]
    content: Mapped[bytes | None] = mapped_column(LargeBinary(), deferred=True)


class RelationModel(Base):
    """Joins two comms. Its `metadata` column is called `detail` here, because SQLAlchemy keeps that name to itself."""

    __tablename__ = "comm_relationship"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    from_comm_id: Mapped[str] = mapped_column(Id(), ForeignKey("comm.id", ondelete="CASCADE"), index=True)
    to_comm_id: Mapped[str] = mapped_column(Id(), ForeignKey("comm.id", ondelete="CASCADE"), index=True)
    relationship_type: Mapped[Word]
    detail: Mapped[dict[str, Any]] = mapped_column("metadata", JSON())


class DecisionModel(Base):
    """What one rule did with one thing said. `given` and `out` are JSON text as bytes."""

    __tablename__ = "decision"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    rule: Mapped[str]
    policy: Mapped[Word]
    policy_set: Mapped[Word]
    mode: Mapped[Word]
    subject: Mapped[Word]
    action: Mapped[Word]
    score: Mapped[float | None]
    reason: Mapped[str]
    milliseconds: Mapped[float]
    created_at: Mapped[datetime]
    given: Mapped[bytes] = mapped_column(LargeBinary(), deferred=True)
    out: Mapped[bytes] = mapped_column(LargeBinary(), deferred=True)

    __table_args__ = (Index(None, "rule", "exchange_id"),)
