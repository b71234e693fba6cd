"""What is named by its own hash, messages, threads, files and headers: seals cover the names, and this the contents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, Text, and_, or_, select, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import aliased
from sqlalchemy.types import NullType

from lockgate.storage.content_models import BlobModel, HeadingModel, MessageModel, ThreadModel
from lockgate.storage.findings import Finding, Findings, Kind, id_text
from lockgate.storage.headings import hash_of
from lockgate.storage.models import CommModel
from lockgate.storage.packing import unpack
from lockgate.storage.recent import Recent
from lockgate.wire.blobs import blob_hashes
from lockgate.wire.conversation import node_hash, part_hash
from lockgate.wire.document import loads_exact

type Progress = Callable[[str, int], object]

ROWS_AT_ONCE = 100
PROGRESS_ROWS = 10_000
KNOWN_BLOBS = 50_000
"""A file that many messages hold is read once, as long as it is among so many."""

_MESSAGE, _THREAD, _BLOB, _HEADING = (
    cast(Table, model.__table__) for model in (MessageModel, ThreadModel, BlobModel, HeadingModel)
)


class Contents:
    """Each message, node, file and list of headers is what its name says, and what a row points to is there."""

    def __init__(self, connection: Connection, findings: Findings, progress: Progress) -> None:
        self._connection, self._findings, self._progress = connection, findings, progress
        self._known = Recent[bytes, None](KNOWN_BLOBS)
        self.count = 0

    def check(self, since: datetime | None) -> None:
        """With `since`, only messages that were first said then; nodes have no time."""
        messages = select(_MESSAGE.c.hash, _MESSAGE.c.kind, raw(_MESSAGE), type_coerce(_MESSAGE.c.blobs, NullType()))
        if since:
            messages = messages.where(_MESSAGE.c.created_at >= since)
        for row in self._rows("message", messages):
            self._message(*row)
        for hash, parent, message in self._rows("thread", select(_THREAD.c.hash, _THREAD.c.parent, _THREAD.c.message)):
            if not follows(hash, parent, message):
                self._find("changed", "thread", hash, "it does not follow from its parent and its message")
            else:
                self.count += 1
        for hash, packed in self._rows("heading", select(_HEADING.c.hash, raw(_HEADING))):
            self._heading(hash, packed)
        self._check_depths()
        self._check_present()

    def _message(self, hash: bytes, kind: str, content: Any, blobs: bytes | None) -> None:
        if not is_message(hash, kind, content, blobs):
            self._find("changed", "message", hash, "its content has another hash")
            return
        self.count += 1
        for blob in blob_hashes(blobs):
            if blob not in self._known:
                self._known[blob] = None
                self._blob(blob, hash)

    def _blob(self, hash: bytes, message: bytes) -> None:
        content = self._connection.execute(select(_BLOB.c.content).where(_BLOB.c.hash == hash)).scalar()
        if content is None:
            self._find("removed", "blob", hash, "a message holds this file", message)
        elif not isinstance(content, bytes) or hashlib.sha256(content).digest() != hash:
            self._find("changed", "blob", hash, "its content has another hash", message)

    def _heading(self, hash: bytes, packed: Any) -> None:
        if is_heading(hash, packed):
            self.count += 1
        else:
            self._find("changed", "heading", hash, "its content has another hash")

    def _check_depths(self) -> None:
        parent = aliased(ThreadModel)
        wrong = (
            select(ThreadModel.hash)
            .outerjoin(parent, ThreadModel.parent == parent.hash)
            .where(
                or_(ThreadModel.depth != parent.depth + 1, and_(ThreadModel.parent.is_(None), ThreadModel.depth != 0))
            )
        )
        for (hash,) in self._rows("depths", wrong):
            self._find("changed", "thread", hash, "its depth is not one more than its parent's")

    def _check_present(self) -> None:
        node, message = aliased(ThreadModel), aliased(MessageModel)
        for column in (ThreadModel.parent, CommModel.thread, CommModel.preamble):
            lost = select(column).distinct().outerjoin(node, column == node.hash)
            for (hash,) in self._rows("threads", lost.where(column.is_not(None), node.hash.is_(None))):
                self._find("removed", "thread", hash, "what follows it is there")
        heading = aliased(HeadingModel)
        lost = select(CommModel.heading).distinct().outerjoin(heading, CommModel.heading == heading.hash)
        for (hash,) in self._rows("headings", lost.where(CommModel.heading.is_not(None), heading.hash.is_(None))):
            self._find("removed", "heading", hash, "a communication has these headers")
        lost = select(ThreadModel.message).distinct().outerjoin(message, ThreadModel.message == message.hash)
        for (hash,) in self._rows("messages", lost.where(message.hash.is_(None))):
            self._find("removed", "message", hash, "a thread holds it")

    def _rows(self, what: str, query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
        rows = self._connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
        for count, row in enumerate(rows, 1):
            if count % PROGRESS_ROWS == 0:
                self._progress(what, count)
            yield row

    def _find(self, kind: Kind, table: str, hash: Any, why: str, message: bytes = b"") -> None:
        """`message` is the one that holds a file."""
        name = hash.hex() if isinstance(hash, bytes) else "?"
        exchange = "" if self._findings.told else self._exchange_with(message or hash)
        of = f" in exchange {exchange}" if exchange else ""
        found = Finding(
            kind=kind, table=table, id=name, exchange_id=exchange, sentence=f"{table} {name}{of} was {kind}: {why}"
        )
        self._findings.add(found, rank=2)

    def _exchange_with(self, hash: Any) -> str:
        """The first exchange that says the message, or what follows the node, of this name."""
        if not isinstance(hash, bytes):
            return ""
        first = or_(ThreadModel.message == hash, ThreadModel.hash == hash, ThreadModel.parent == hash)
        nodes = select(ThreadModel.hash).where(first).cte("nodes", recursive=True)
        nodes = nodes.union(select(ThreadModel.hash).where(ThreadModel.parent == nodes.c.hash))
        ends = (CommModel.thread, CommModel.preamble)
        ends_here = (*ends, CommModel.heading)
        inside = or_(*(end == hash for end in ends_here), *(end.in_(select(nodes.c.hash)) for end in ends))
        found = select(sql_cast(CommModel.exchange_id, Text())).where(inside).order_by(CommModel.id).limit(1)
        return id_text(self._connection.execute(found).scalar())


def follows(hash: object, parent: bytes | None, message: bytes) -> bool:
    """Whether a node is what its name says, whatever was put there."""
    try:
        return node_hash(parent, message) == hash
    except TypeError:
        return False


def is_message(hash: object, kind: str, packed: Any, blobs: bytes | None) -> bool:
    """The same of a message, by its content as `raw` gives it; whether its files are there is not looked at."""
    try:
        _ = list(blob_hashes(blobs))
        return part_hash(kind, loads_exact(unpack(packed)), blobs or b"") == hash
    except Exception:
        return False


def is_heading(hash: object, packed: Any) -> bool:
    """The same of a list of headers."""
    try:
        return hash_of(unpack(packed)) == hash
    except Exception:
        return False


def raw(table: Table) -> ColumnElement[Any]:
    """Its packed content as the driver gives it: what others put there may be nothing that can be unpacked."""
    return type_coerce(table.c.content, NullType()).label("content")
