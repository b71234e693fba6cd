"""The tables of what conversations are made of, each thing once, under its hash."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from lockgate.storage.base import Base, Word
from lockgate.storage.columns import PackedJson


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
