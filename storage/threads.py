"""Conversations on their way into the database: taken apart, and of each only what is new. Runs on the writer's thread.

A request's messages are a chain of nodes from the first on, and its system prompts and tools another. The reply's
messages follow the request that the client sent, so that the client's next request, which holds them, costs only what
comes after them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Insert, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.records import Comm
from lockgate.storage.address import Address
from lockgate.storage.content_models import BlobModel, MessageBlobModel, MessageModel, ThreadModel
from lockgate.storage.models import CommModel
from lockgate.storage.recent import Recent
from lockgate.wire.blobs import blob_hashes
from lockgate.wire.conversation import Conversation, Part, node_hash, split, split_reply
from lockgate.wire.endpoints import endpoint_for
from lockgate.wire.repeats import Repeats

type Row = dict[str, Any]
type Take = Callable[[str, bytes], Conversation | None]
type Place = tuple[bytes | None, int]
"""The node of a conversation's last message, and how many there are up to it."""

logger = logging.getLogger("lockgate.log")

KNOWN_HASHES = 50_000
"""Of what is in the database: about 8 MB, and 80 long conversations at once."""
OPEN_EXCHANGES = 5_000
"""Whose replies are still to come; others are looked up."""

NOWHERE: Place = (None, 0)
WHOLE: Row = dict.fromkeys(("thread", "preamble", "envelope", "form", "digest", "reply_id"))
"""What a comm has that is not in parts."""

_COMM = CommModel.__table__.columns
_THREAD = ThreadModel.__table__.columns
_PLACES = select(_COMM.thread, _THREAD.depth).select_from(
    CommModel.__table__.outerjoin(ThreadModel.__table__, _COMM.thread == _THREAD.hash)
)
_TABLES = (BlobModel, MessageModel, ThreadModel, MessageBlobModel)
"""What others point to comes first."""


class Threads:
    """Remembers what is in the database already, so that it is neither sent nor looked for again."""

    def __init__(self, address: Address) -> None:
        insert = sqlite.insert if address.kind == "sqlite" else postgresql.insert
        self._inserts: list[Insert] = [
            insert(cast(Table, model.__table__)).on_conflict_do_nothing() for model in _TABLES
        ]
        self._new: tuple[dict[Any, Row], ...] = ()
        """What is being written, by table and hash."""
        self._known = Recent[bytes, None](KNOWN_HASHES)
        self._requests = Recent[str, Place](OPEN_EXCHANGES)
        self._replies = Recent[str, Place](OPEN_EXCHANGES)
        self._repeats = Repeats()
        self.apart: dict[str, Conversation] = {}
        """By the id of its comm, each body in parts that is being written."""

    def write(self, connection: Connection, comms: Iterable[Comm]) -> dict[str, Row]:
        """Write the parts, and give for each comm by its id what stands in its row: `content` or where its parts are.

        What is written counts as known only after `committed`.
        """
        self._new = ({}, {}, {}, {})
        self.apart = {}
        found = {comm.id: self._stored(connection, comm) for comm in comms}
        for insert, new in zip(self._inserts, self._new, strict=True):
            if new:  # always in one order, so that two proxies never wait for each other
                rows = [row for _, row in sorted(new.items(), key=lambda item: (item[1].get("depth", 0), item[0]))]
                connection.execute(insert, rows)
        return found

    def committed(self) -> None:
        for new in self._new[:3]:
            for hash in new:
                self._known[hash] = None

    def forget(self) -> bool:
        """Somebody may have deleted what was known: look again. Tells whether anything was known."""
        knew = bool(self._known or self._requests or self._replies)
        self._known.clear()
        self._requests.clear()
        self._replies.clear()
        return knew

    def _stored(self, connection: Connection, comm: Comm) -> Row:
        asked = comm.type == "REQUEST"
        place, conversation = self._taken_apart(connection, comm)
        if conversation is None:
            return {"content": comm.content, **WHOLE}
        try:
            thread = self._chain(comm, place, conversation.messages)
        except LookupError:  # what it repeats is not known to be in the database any more
            place, conversation = self._taken_apart(connection, comm, take=split)
            assert conversation
            thread = self._chain(comm, place, conversation.messages)
        self.apart[comm.id] = conversation
        for hash, content in conversation.blobs.items():
            if hash not in self._known:
                self._new[0][hash] = {"hash": hash, "content": content}
        preamble, _ = self._chain(comm, NOWHERE, conversation.preamble)
        if asked and comm.exchange_id not in self._requests:
            self._requests[comm.exchange_id] = thread
        elif not asked and conversation.id:
            self._replies[conversation.id] = thread
        return {
            "content": None,
            "thread": thread[0],
            "preamble": preamble,
            "envelope": conversation.envelope,
            "form": conversation.form,
            "digest": conversation.digest,
            "reply_id": None if asked else conversation.id or None,
        }

    def _taken_apart(
        self, connection: Connection, comm: Comm, take: Take | None = None
    ) -> tuple[Place, Conversation | None]:
        """The conversation, and what it follows; None for a body that is kept whole."""
        endpoint = endpoint_for("POST", comm.endpoint.rpartition(" ")[2])
        if endpoint is None or not comm.content:
            return NOWHERE, None
        if comm.type == "REQUEST":
            conversation = _apart(take or self._repeats.split, endpoint.format.name, comm)
            follows = conversation and conversation.follows
            return (self._replied(connection, follows) if follows else NOWHERE), conversation
        if not endpoint.converses or (place := self._asked(connection, comm.exchange_id)) is None:
            return NOWHERE, None
        return place, _apart(split_reply, endpoint.format.name, comm)

    def _asked(self, connection: Connection, exchange_id: str) -> Place | None:
        """Where the request ends that the client sent; None where it is not known or not in parts."""
        if (place := self._requests.get(exchange_id)) is not None:
            return place
        where = (_COMM.exchange_id == exchange_id, _COMM.type == "REQUEST", _COMM.digest.is_not(None))
        return _place(connection, _PLACES.where(*where).order_by(_COMM.id))

    def _replied(self, connection: Connection, id: str) -> Place:
        """Where the reply of this name ends, as the client got it; a conversation of its own where it is not known."""
        if (place := self._replies.get(id)) is not None:
            return place
        return _place(connection, _PLACES.where(_COMM.reply_id == id).order_by(_COMM.id.desc())) or NOWHERE

    def _chain(self, comm: Comm, place: Place, parts: Sequence[Part]) -> Place:
        """The rows of the nodes after this place that are new, and where the chain ends.

        Raises LookupError where a part is new and its content was left out.
        """
        start, depth = place
        nodes: list[Any] = [start]
        for part in parts:
            nodes.append(node_hash(nodes[-1], part.hash))
        new: list[tuple[Row, Part]] = []
        for at in range(len(parts) - 1, -1, -1):
            node, part = nodes[at + 1], parts[at]
            if node in self._known or node in self._new[2]:
                break  # and so is all before it
            if not part.content:
                raise LookupError
            new.append(({"hash": node, "parent": nodes[at], "message": part.hash, "depth": depth + at}, part))
        for row, part in new:
            self._add_message(comm, part)
            self._new[2][row["hash"]] = row
        return nodes[-1], depth + len(parts)

    def _add_message(self, comm: Comm, part: Part) -> None:
        if part.hash in self._known or part.hash in self._new[1]:
            return
        self._new[1][part.hash] = {
            "hash": part.hash,
            "kind": part.kind,
            "role": part.role,
            "content": part.content,
            "blobs": part.blobs or None,
            "size": len(part.content),
            "created_at": comm.created_at,
        }
        for blob in blob_hashes(part.blobs):
            self._new[3][part.hash, blob] = {"message": part.hash, "blob": blob}


def _place(connection: Connection, query: Select[*tuple[Any, ...]]) -> Place | None:
    row = connection.execute(query.limit(1)).first()
    return None if row is None else (row.thread, 0 if row.depth is None else row.depth + 1)


def _apart(take: Take, format: str, comm: Comm) -> Conversation | None:
    try:
        return take(format, comm.content or b"")
    except Exception as error:  # whatever a body does to us, it is not lost for it
        logger.warning("the body of Comm %s is kept whole: taking it apart failed: %s", comm.id, type(error).__name__)
        return None
