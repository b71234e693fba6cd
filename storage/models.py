"""The tables. Their columns follow the records in `lockgate.exchange`; migrations/ makes and changes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from lockgate.storage.access_models import ProjectModel, ProviderKeyModel, TokenModel
from lockgate.storage.answers import USAGE_FIELDS
from lockgate.storage.base import Base, Word
from lockgate.storage.columns import Id, Names, PackedJson

__all__ = ["Base", "ProjectModel", "ProviderKeyModel", "TokenModel"]


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

    # Lists go by id, newest first: ids sort by time. Each filter has an index that ends in it.
    __table_args__ = (
        # Tokens and cost stand in the index of the plain list, so that a least of them is looked for there.
        Index("ix_exchange_kind_id", "kind", "id", "cost_nano_usd", *USAGE_FIELDS),
        *(Index(None, column, "id") for column in ("session_id", "outcome")),
        *(Index(None, column, "id") for column in ("provider", "model", "agent", "project", "status", "started_at")),
        Index(None, "attested", "id"),
        *(
            Index(f"ix_exchange_{name}_id", name, "id", sqlite_where=text(given), postgresql_where=text(given))
            for name, given in (("purpose", "purpose <> ''"), ("trigger", "trigger <> ''"))
        ),
    )


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
    """A turn that was released, by digests: see `lockgate.exchange.TurnRow`. It goes with its exchange."""

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


class MessageModel(Base):
    """One thing said to or by a model, once for all who say it; see `lockgate.wire.conversation.Part`.

    `content` is JSON text, and `size` its bytes, before they are compressed and without its blobs. `created_at` is
    the first time it was said.
    """

    __tablename__ = "message"

    hash: Mapped[bytes] = mapped_column(LargeBinary(), primary_key=True)
    kind: Mapped[Word]
    role: Mapped[str]
    content: Mapped[bytes] = mapped_column(PackedJson())
    blobs: Mapped[bytes | None] = mapped_column(LargeBinary())
    size: Mapped[int] = mapped_column(BigInteger())
    created_at: Mapped[datetime]


class BlobModel(Base):
    """A file that messages hold, decoded, under the SHA-256 of its bytes."""

    __tablename__ = "blob"

    hash: Mapped[bytes] = mapped_column(LargeBinary(), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary())


class MessageBlobModel(Base):
    """A message holds a file. What it says itself (`blobs`) is for whoever reads it; these rows keep the file there."""

    __tablename__ = "message_blob"

    message: Mapped[bytes] = mapped_column(
        LargeBinary(), ForeignKey("message.hash", ondelete="CASCADE"), primary_key=True
    )
    blob: Mapped[bytes] = mapped_column(LargeBinary(), ForeignKey("blob.hash"), primary_key=True, index=True)

    __table_args__ = ({"sqlite_with_rowid": False},)


class ThreadModel(Base):
    """One message after all those before it, as git's commits are: `hash` is that of the parent and the message."""

    __tablename__ = "thread"

    hash: Mapped[bytes] = mapped_column(LargeBinary(), primary_key=True)
    parent: Mapped[bytes | None] = mapped_column(LargeBinary(), ForeignKey("thread.hash"))
    message: Mapped[bytes] = mapped_column(LargeBinary(), ForeignKey("message.hash"), index=True)
    depth: Mapped[int]
    """How many nodes there are before it."""

    __table_args__ = (
        Index(None, "parent", postgresql_using="hash"),
        {"sqlite_with_rowid": False},
    )


class HeadingModel(Base):
    """A list of headers that many comms have, but for a few values; JSON text under its hash."""

    __tablename__ = "heading"

    hash: Mapped[bytes] = mapped_column(LargeBinary(), primary_key=True)
    content: Mapped[bytes] = mapped_column(PackedJson())


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
    """What an operator stopped, or a rule: `lockgate.exchange.Kill`. What was lifted or has passed stays to be read."""

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
    """A tool call that a person is asked about; see `lockgate.exchange.Approval`.

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
    """An administrative act, or a refusal of access: `lockgate.exchange.AuditEntry`. Exchanges go without it."""

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


class UsageDayModel(Base):
    """What the exchanges of one day in UTC took that are alike in all that is text here: see `usage_days`."""

    __tablename__ = "usage_day"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    day: Mapped[Word] = mapped_column(index=True)
    kind: Mapped[Word]
    trigger: Mapped[Word]
    provider: Mapped[Word]
    model: Mapped[str]
    agent: Mapped[str]
    project: Mapped[Word]
    token: Mapped[Word]
    outcome: Mapped[Word]
    exchanges: Mapped[int] = mapped_column(BigInteger())
    input_tokens: Mapped[int] = mapped_column(BigInteger())
    output_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_read_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger())
    nano_usd: Mapped[int] = mapped_column(BigInteger())
    unpriced: Mapped[int] = mapped_column(BigInteger())
    estimated: Mapped[int] = mapped_column(BigInteger())
    blocked: Mapped[int] = mapped_column(BigInteger())
    first_bytes: Mapped[int] = mapped_column(BigInteger())
    durations: Mapped[int] = mapped_column(BigInteger())
    first_byte_ms: Mapped[float]
    duration_ms: Mapped[float]


class UsageFoldModel(Base):
    """A day whose sums are in `usage_day`, where `done`; else an attempt to add them up."""

    __tablename__ = "usage_fold"

    day: Mapped[Word] = mapped_column(primary_key=True)
    attempt: Mapped[Word]
    done: Mapped[bool]


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
    """Whether Alembic compares what the database has by this name; full-text indexes are each database's own."""
    return name != "ix_said_words" and not (type_ == "table" and (name or "").startswith("said_fts"))
