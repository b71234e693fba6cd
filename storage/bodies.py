"""Conversations out of the database: a body that was stored in parts, put together again.

Nothing that is read here is taken on trust: each node has to follow from its parent and its message, and each message
from what it says, so that a row that was changed, lost or led in a circle is told and never shown as what was sent.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select, type_coerce
from sqlalchemy.types import NullType

from lockgate.errors import WireError
from lockgate.storage.answers import Joined
from lockgate.storage.content_models import BlobModel, MessageModel, ThreadModel
from lockgate.storage.packing import unpack
from lockgate.wire.blobs import blob_hashes
from lockgate.wire.conversation import Conversation, Part, as_sent, join, node_hash, part_counts, part_hash
from lockgate.wire.document import loads_exact

type Row = Mapping[str, Any]
type Ask = Callable[[Select[*tuple[Any, ...]]], Awaitable[Sequence[Row]]]

HASHES_PER_QUERY = 500

_THREAD = ThreadModel.__table__.columns
_MESSAGE = MessageModel.__table__.columns
_BLOB = BlobModel.__table__.columns
_PACKED: ColumnElement[Any] = type_coerce(_MESSAGE.content, NullType()).label("content")
"""As it is stored: what is known already is not unpacked again."""


class Damaged(Exception):
    """Others changed the database. Its text is a sentence."""


async def joined(ask: Ask, comm: Row, known: dict[bytes, Part] | None = None) -> tuple[bytes | None, Joined]:
    """The body of a comm's row, which is in parts, and how it came back.

    What is `known` by its hash is not read again, and what was read is added: an original and a final have most parts
    in common.
    """
    contents: dict[bytes, Any] = {}
    try:
        conversation = await _conversation(ask, comm, {} if known is None else known, contents)
        document = join(conversation, contents)
    except Damaged as damage:
        return None, Joined(damage=str(damage))
    except (WireError, zlib.error, KeyError, IndexError, TypeError, ValueError) as error:
        return None, Joined(damage=f"its parts do not fit together: {error}")
    content, same = as_sent(document, comm["digest"])
    return content, Joined(as_sent=same)


async def _conversation(ask: Ask, comm: Row, known: dict[bytes, Part], contents: dict[bytes, Any]) -> Conversation:
    in_preamble, in_thread = part_counts(comm["form"])
    preamble = await _parts(ask, comm["preamble"], in_preamble, known, contents)
    messages = await _parts(ask, comm["thread"], in_thread, known, contents)
    wanted = {hash for part in (*preamble, *messages) for hash in blob_hashes(part.blobs)}
    blobs = {row["hash"]: row["content"] for row in await _rows(ask, _BLOB.values(), _BLOB.hash, wanted)}
    if damaged := [hash for hash in wanted if hashlib.sha256(blobs.get(hash, b"")).digest() != hash]:
        raise Damaged(f"the file {damaged[0].hex()} is missing or was changed")
    return Conversation(
        preamble=preamble,
        messages=messages,
        envelope=comm["envelope"],
        form=comm["form"],
        blobs=blobs,
        digest=comm["digest"],
    )


async def _parts(
    ask: Ask, node: bytes | None, count: int, known: dict[bytes, Part], contents: dict[bytes, Any]
) -> tuple[Part, ...]:
    """The last `count` parts up to this node, in order; what those say that were not known is put into `contents`."""
    if not count:
        return ()
    nodes: Sequence[Row] = await ask(_chain(node, count)) if node else ()
    if len(nodes) < count:
        missing = nodes[0]["parent"] if nodes else node
        raise Damaged(f"the thread's node {missing.hex() if missing else 'before its first'} is missing")
    for row in nodes:
        if (part := known.get(row["message"])) is None:
            part, contents[part.hash] = _read({**row, "content": unpack(row["content"] or b"")})
            known[part.hash] = part
        if node_hash(row["parent"], part.hash) != row["node"]:
            raise Damaged(f"the thread's node {row['node'].hex()} does not follow from its parent and its message")
    return tuple(known[row["message"]] for row in nodes)


def _chain(node: bytes, count: int) -> Select[*tuple[Any, ...]]:
    """At most `count` nodes with their messages, however they are joined, the first one first."""
    columns = (_THREAD.hash.label("node"), _THREAD.parent, _THREAD.message)
    chain = select(*columns, literal(1).label("step")).where(_THREAD.hash == node).cte("chain", recursive=True)
    before = select(*columns, chain.c.step + 1).where(_THREAD.hash == chain.c.parent, chain.c.step < count)
    chain = chain.union_all(before)
    said = (_MESSAGE.hash, _MESSAGE.kind, _MESSAGE.role, _PACKED, _MESSAGE.blobs)
    query = select(chain.c.node, chain.c.parent, chain.c.message, *said)
    return query.outerjoin(MessageModel, _MESSAGE.hash == chain.c.message).order_by(chain.c.step.desc())


async def _rows(
    ask: Ask, columns: Iterable[ColumnElement[Any]], key: ColumnElement[Any], wanted: Iterable[bytes]
) -> list[Row]:
    hashes = sorted(wanted)
    found: list[Row] = []
    for start in range(0, len(hashes), HASHES_PER_QUERY):
        found += await ask(select(*columns).where(key.in_(hashes[start : start + HASHES_PER_QUERY])))
    return found


def part_of(row: Row) -> Part:
    """The message of a row. Raises Damaged where it is not what its hash says."""
    return _read(row)[0]


def _read(row: Row) -> tuple[Part, Any]:
    """The same with what it says."""
    blobs = row["blobs"] or b""
    if row["hash"] is None:
        raise Damaged(f"the message {row['message'].hex()} is missing")
    content = loads_exact(row["content"])
    if part_hash(row["kind"], content, blobs) != row["hash"]:
        raise Damaged(f"the message {row['hash'].hex()} was changed")
    return Part(kind=row["kind"], role=row["role"], hash=row["hash"], content=row["content"], blobs=blobs), content
