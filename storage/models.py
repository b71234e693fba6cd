"""The tables. Their columns follow `lockgate.records`; migrations/ makes and changes them.

Here are the log's own; what conversations are made of, what people do, and access have modules beside this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from lockgate.storage import access_models, content_models, people_models
from lockgate.storage.base import Base, Word
from lockgate.storage.columns import Id, Names, PackedJson

__all__ = ["Base", "access_models", "content_models", "people_models"]  # of all of them, `Base` knows every table


class ExchangeModel(Base):
    """One light row for lists. An unset usage is four NULLs."""

    __tablename__ = "exchange"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    started_at: Mapped[datetime]
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
    counted_by: Mapped[Word] = mapped_column(server_default="none")
    cost_nano_usd: Mapped[int | None] = mapped_column(BigInteger())
    first_byte_ms: Mapped[float | None]
    duration_ms: Mapped[float | None]
    tool_calls: Mapped[int]
    blocked: Mapped[int]
    rules: Mapped[tuple[str, ...]] = mapped_column(Names())
    error: Mapped[str]
    attested: Mapped[Word] = mapped_column(server_default="")
    purpose: Mapped[Word] = mapped_column(server_default="")

    # Lists go by id, newest first: ids sort by time. Indexes for filters are each database's own; see migration 0017.
    __table_args__ = (Index(None, "started_at", "id"),)


class SessionModel(Base):
    """One conversation of one agent. Exchanges name it; what it took is added up from them.

    Nothing keeps the parent: a session stays what it is where its parent is not there any more.
    """

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    parent_id: Mapped[str] = mapped_column(index=True)
    relation: Mapped[Word]
    node: Mapped[bytes] = mapped_column(LargeBinary())
    agent: Mapped[str]
    marker: Mapped[str] = mapped_column(index=True)
    project: Mapped[Word]
    token: Mapped[Word]
    client: Mapped[Word]
    title: Mapped[str]
    opening: Mapped[bytes] = mapped_column(LargeBinary())


class TurnModel(Base):
    """A turn that was released, by digests: see `lockgate.records.TurnRow`. It goes with its exchange."""

    __tablename__ = "turn"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str]
    node: Mapped[bytes] = mapped_column(LargeBinary(), index=True)
    parent: Mapped[bytes] = mapped_column(LargeBinary())
    meaning: Mapped[bytes] = mapped_column(LargeBinary(), index=True)
    words: Mapped[bytes] = mapped_column(LargeBinary())
    comm_id: Mapped[str] = mapped_column(Id())
    reply_id: Mapped[str] = mapped_column(index=True)
    attested: Mapped[Word]
    complete: Mapped[bool]
    veto: Mapped[bool]
    purpose: Mapped[Word]

    __table_args__ = (Index(None, "parent", "words"),)


class CommModel(Base):
    """One communication. `content` is its body, byte for byte, and nothing is parsed.

    `headers` are whole, or, with a `heading`, the places and values where they differ from it.

    A conversation has no `content` but its pieces: `thread` is the node of its last message, `preamble` that of its
    last system prompt or tool; `envelope` and `form` are those of `lockgate.wire.conversation.Conversation`, and
    `digest` is the SHA-256 of the bytes that were sent.
    """

    __tablename__ = "comm"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str]
    type: Mapped[Word]
    source: Mapped[Word]
    destination: Mapped[Word]
    endpoint: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON())
    headers: Mapped[list[list[Any]]] = mapped_column(JSON())
    trigger: Mapped[Word]
    status: Mapped[int | None]
    created_at: Mapped[datetime]
    content: Mapped[bytes | None] = mapped_column(LargeBinary(), deferred=True)
    thread: Mapped[bytes | None] = mapped_column(LargeBinary(), ForeignKey("thread.hash"))
    preamble: Mapped[bytes | None] = mapped_column(LargeBinary(), ForeignKey("thread.hash"), index=True)
    envelope: Mapped[bytes | None] = mapped_column(PackedJson(), deferred=True)
    form: Mapped[bytes | None] = mapped_column(PackedJson(), deferred=True)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary())
    heading: Mapped[bytes | None] = mapped_column(LargeBinary(), ForeignKey("heading.hash"))
    reply_id: Mapped[str | None] = mapped_column(index=True)
    """The provider's name of a reply, which a later request may give instead of what was said."""

    __table_args__ = (Index(None, "thread", postgresql_using="hash"),)


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

    __table_args__ = (Index(None, "rule", "exchange_id"), Index(None, "action", "exchange_id"))


class FramesModel(Base):
    """The frames of a streamed reply: `lockgate.exchange.FramesRow`. Few exchanges have a row, and none two."""

    __tablename__ = "frames"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"), index=True)
    content: Mapped[bytes] = mapped_column(PackedJson())


class SaidModel(Base):
    """A text that can be searched, or a piece of one: what is new in a request, and replies.

    The text itself stands where it was said: in `message`, else in the comm's body. SQLite's index of it is the table
    said_fts; PostgreSQL's knows which words a text has, and `words` in which order (`lockgate.storage.words`).
    """

    __tablename__ = "said"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(Id(), ForeignKey("exchange.id", ondelete="CASCADE"))
    comm_id: Mapped[str] = mapped_column(Id())
    message: Mapped[bytes | None] = mapped_column(LargeBinary())
    part: Mapped[int]
    """Which piece of the message's texts, or of the comm's, it is."""
    digest: Mapped[bytes] = mapped_column(LargeBinary())
    """Of the text and its role: what an exchange says twice, as where a rule changed only some of it, is found once."""
    words: Mapped[Word | None] = mapped_column(deferred=True)

    __table_args__ = (
        Index(None, "exchange_id", "digest", unique=True),
        {"sqlite_autoincrement": True},  # a number that was deleted may still stand in said_fts
    )


class ToolUseModel(Base):
    """The tools that a model called in an exchange, and how often."""

    __tablename__ = "tool_use"

    name: Mapped[str] = mapped_column(primary_key=True)
    exchange_id: Mapped[str] = mapped_column(
        Id(), ForeignKey("exchange.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    calls: Mapped[int]

    __table_args__ = ({"sqlite_with_rowid": False},)


class UsageSums:
    """What some exchanges of one day in UTC took together: see `usage_days`."""

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    day: Mapped[Word] = mapped_column(index=True)
    kind: Mapped[Word]
    model: Mapped[str]
    project: Mapped[Word]
    token: Mapped[Word]
    exchanges: Mapped[int] = mapped_column(BigInteger())
    input_tokens: Mapped[int] = mapped_column(BigInteger())
    output_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_read_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger())
    nano_usd: Mapped[int] = mapped_column(BigInteger())
    unpriced: Mapped[int] = mapped_column(BigInteger())
    estimated: Mapped[int] = mapped_column(BigInteger())


class UsageDayModel(UsageSums, Base):
    """The sums of those that are alike in all that is text here."""

    __tablename__ = "usage_day"

    trigger: Mapped[Word]
    provider: Mapped[Word]
    agent: Mapped[str]
    outcome: Mapped[Word]
    blocked: Mapped[int] = mapped_column(BigInteger())
    first_bytes: Mapped[int] = mapped_column(BigInteger())
    durations: Mapped[int] = mapped_column(BigInteger())
    first_byte_ms: Mapped[float]
    duration_ms: Mapped[float]


class UsageSessionDayModel(UsageSums, Base):
    """The same by session, of which there are many more than of all else."""

    __tablename__ = "usage_session_day"

    session_id: Mapped[str]


class UsageFoldModel(Base):
    """A day whose sums are kept, where `done`; else an attempt to add them up."""

    __tablename__ = "usage_fold"

    day: Mapped[Word] = mapped_column(primary_key=True)
    attempt: Mapped[Word]
    done: Mapped[bool]


class ProxyModel(Base):
    """One run of a proxy, and when it was last seen: see `lockgate.storage.proxies`."""

    __tablename__ = "proxy"

    id: Mapped[str] = mapped_column(Id(), primary_key=True)
    host: Mapped[Word]
    pid: Mapped[int] = mapped_column(BigInteger())
    version: Mapped[Word]
    listen: Mapped[tuple[str, ...]] = mapped_column(Names())
    policy_set: Mapped[Word]
    open_exchanges: Mapped[int]
    held: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ChainModel(Base):
    """The seals of one writer; see `lockgate.storage.seals`. Numbers have no gaps, so that a lost chain is missed.

    `beginning` is JSON text, and all that is sealed of it; `id` is there for the writer to find its own.
    """

    __tablename__ = "chain"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Id(), index=True, unique=True)
    beginning: Mapped[bytes] = mapped_column(LargeBinary())


class SealModel(Base):
    """What was written in one transaction: its rows with their digests, and their hash after the seal before."""

    __tablename__ = "seal"

    chain: Mapped[int] = mapped_column(ForeignKey("chain.number"), primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entries: Mapped[bytes] = mapped_column(LargeBinary())
    seal: Mapped[bytes] = mapped_column(LargeBinary())
    signature: Mapped[bytes | None] = mapped_column(LargeBinary())


def is_modelled(name: str | None, type_: str, parents: object) -> bool:
    """Whether Alembic compares what the database has by this name; indexes for lists and texts are each one's own."""
    own = ("said_fts",) if type_ == "table" else ("ix_said_words", "ix_exchange_")
    return name == "ix_exchange_started_at_id" or not (name or "").startswith(own)
