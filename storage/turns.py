"""A conversation to read, turn by turn: of each exchange what was new in it, block by block, and what rules did.

Only what is new is read: from the end of a request's thread back to what the model said last, and the reply. So a page
of a long session costs no more than one of a short one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, func, select

from lockgate.errors import WireError
from lockgate.records import Decision, ExchangeRow
from lockgate.storage.bodies import Damaged, part_of
from lockgate.storage.content_models import MessageModel, ThreadModel
from lockgate.storage.models import CommModel, DecisionModel, RelationModel
from lockgate.storage.said import endpoint_of
from lockgate.wire.blobs import put_blobs
from lockgate.wire.blocks import Block, blocks_of
from lockgate.wire.conversation import Conversation, Part, node_hash, part_counts, split, split_reply
from lockgate.wire.document import loads, loads_exact

type Row = Mapping[str, Any]
type Ask = Callable[[Select[*tuple[Any, ...]]], Awaitable[Sequence[Row]]]

KEYS_PER_QUERY = 500
NEW_MESSAGES = 60
"""So many of a request are told, the last ones: a session may begin with a long history from elsewhere."""
WHOLE_BYTES = 1_000_000
"""A body that is kept whole, because it is no conversation, is read up to this size."""

_COMM = CommModel.__table__.columns
_DECISION = DecisionModel.__table__.columns
_MESSAGE = MessageModel.__table__.columns
_RELATION = RelationModel.__table__.columns
_THREAD = ThreadModel.__table__.columns
_COMMS = tuple(_COMM[name] for name in ("id", "exchange_id", "type", "trigger", "endpoint", "thread", "form", "digest"))
_NODES = (
    _THREAD.hash.label("node"), _THREAD.parent, _THREAD.message,
    _MESSAGE.hash, _MESSAGE.kind, _MESSAGE.role, _MESSAGE.content, _MESSAGE.blobs,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the client said that was new, as it sent it, and the reply as the client got it."""

    exchange: ExchangeRow
    asked: tuple[Block, ...] = ()
    answered: tuple[Block, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """Those that did something, and all shadows that would have; without what they were given."""
    repeats: bool = False
    """Whether the request is the one before it, sent once more."""
    is_cut: bool = False
    """Whether more was new than is told."""
    damage: str = ""
    """Why something cannot be told: a sentence."""


@dataclass(slots=True)
class _Walk:
    """From the last message of a comm backwards."""

    comm: Row
    node: bytes | None
    left: int
    is_request: bool
    parts: list[Part] = field(default_factory=list[Part])
    is_cut: bool = False
    damage: str = ""


async def turns_of(ask: Ask, rows: Sequence[ExchangeRow]) -> list[Turn]:
    """Of these exchanges, in their order."""
    ids = [row.id for row in rows]
    own = {row.id: row.trigger for row in rows}
    comms = await _all(ask, select(*_COMMS).order_by(_COMM.id), _COMM.exchange_id, ids)
    comms = [comm for comm in comms if comm["trigger"] == own[comm["exchange_id"]]]
    ends = await _ends(ask, comms)
    walks = {comm["id"]: _walk(comm) for comm in ends if comm["digest"] is not None}
    await _go(ask, list(walks.values()))
    whole = await _whole(ask, [comm["id"] for comm in ends if comm["digest"] is None])
    known: dict[str, list[Row]] = {}
    for comm in ends:
        known.setdefault(comm["exchange_id"], []).append(comm)
    decisions = await _decisions(ask, ids)
    turns: list[Turn] = []
    threads: list[bytes | None] = [None]
    for row in rows:
        turns.append(_turn(row, known.get(row.id, ()), walks, whole, decisions.get(row.id, ()), threads))
    return turns


def _turn(
    row: ExchangeRow,
    comms: Sequence[Row],
    walks: Mapping[str, _Walk],
    whole: Mapping[str, bytes | None],
    decisions: Sequence[Decision],
    threads: list[bytes | None],
) -> Turn:
    told: dict[str, tuple[Block, ...]] = {"REQUEST": (), "RESPONSE": ()}
    damage, is_cut, repeats = "", False, False
    for comm in comms:
        if (walk := walks.get(comm["id"])) is not None:
            damage, is_cut = damage or walk.damage, is_cut or walk.is_cut
            if comm["type"] == "REQUEST":
                repeats = bool(comm["thread"]) and comm["thread"] == threads[-1]
                threads.append(comm["thread"])
            told[comm["type"]] = tuple(_blocks(comm, reversed(walk.parts)))
        else:
            told[comm["type"]] = tuple(_blocks_of_whole(comm, whole.get(comm["id"])))
    return Turn(
        exchange=row, asked=told["REQUEST"], answered=told["RESPONSE"], decisions=tuple(decisions),
        repeats=repeats, is_cut=is_cut, damage=damage,
    )  # fmt: skip


def _blocks(comm: Row, parts: Iterator[Part], conversation: Conversation | None = None) -> Iterator[Block]:
    known = endpoint_of(comm["endpoint"])
    for part in parts:
        message = loads(part.content)
        if conversation:
            put_blobs(message, part.blobs, conversation.blobs)
        else:
            _name_files(message, part.blobs)
        yield from blocks_of(known.format.name if known else "anthropic", message)


def _name_files(message: Any, places: bytes) -> None:
    """Put back what stood before a file's hash, such as `data:image/png;base64,`."""
    for path, head, digest in loads_exact(places) if places else ():
        node = message
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = f"{head}sha256:{digest}"


def _blocks_of_whole(comm: Row, content: bytes | None) -> list[Block]:
    if not content:
        return []
    known = endpoint_of(comm["endpoint"])
    try:
        take = split if comm["type"] == "REQUEST" else split_reply
        apart = take(known.format.name, content) if known else None
        if apart is not None:
            new = _new(apart.messages) if comm["type"] == "REQUEST" else apart.messages
            return list(_blocks(comm, iter(new), apart))
    except (WireError, KeyError, IndexError, TypeError, ValueError):
        pass
    return [Block(kind="other", text=content.decode("utf-8", "replace"))]


def _new(messages: Sequence[Part]) -> Sequence[Part]:
    last = max((at for at, part in enumerate(messages) if part.role == "assistant"), default=-1)
    return messages[last + 1 :][-NEW_MESSAGES:]


async def _ends(ask: Ask, comms: Sequence[Row]) -> list[Row]:
    """Of each exchange, the request as it came and the reply as it went."""
    ids = [comm["id"] for comm in comms]
    query = select(_RELATION.from_comm_id, _RELATION.to_comm_id).where(_RELATION.relationship_type == "modified_to")
    changes = {row["from_comm_id"]: row["to_comm_id"] for row in await _all(ask, query, _RELATION.from_comm_id, ids)}
    results, known = set(changes.values()), set(ids)
    found: dict[tuple[str, str], Row] = {}
    for comm in comms:
        is_end = comm["id"] not in results if comm["type"] == "REQUEST" else changes.get(comm["id"]) not in known
        if is_end and (comm["type"] == "RESPONSE" or (comm["exchange_id"], "REQUEST") not in found):
            found[comm["exchange_id"], comm["type"]] = comm
    return list(found.values())


def _walk(comm: Row) -> _Walk:
    is_request = comm["type"] == "REQUEST"
    try:
        count = part_counts(comm["form"])[1]
    except (WireError, KeyError, IndexError, TypeError, ValueError):
        return _Walk(comm, None, 0, is_request, damage="its parts do not fit together")
    return _Walk(comm, comm["thread"] if count else None, count, is_request)


async def _go(ask: Ask, walks: Sequence[_Walk]) -> None:
    """One step of all walks at a time."""
    known: dict[bytes, Row] = {}
    while waiting := [walk for walk in walks if walk.node is not None]:
        query = select(*_NODES).outerjoin(MessageModel, _MESSAGE.hash == _THREAD.message)
        wanted = {walk.node for walk in waiting if walk.node is not None} - known.keys()
        known |= {row["node"]: row for row in await _all(ask, query, _THREAD.hash, wanted)}
        for walk in waiting:
            _step(walk, known.get(walk.node or b""))


def _step(walk: _Walk, row: Row | None) -> None:
    try:
        if row is None:
            raise Damaged("a message of its thread is missing")
        if walk.is_request and row["role"] == "assistant":
            walk.node = None
            return
        if len(walk.parts) == NEW_MESSAGES:
            walk.node, walk.is_cut = None, True
            return
        part = part_of(row)
        if node_hash(row["parent"], part.hash) != row["node"]:
            raise Damaged(f"the thread's node {row['node'].hex()} does not follow from its parent and its message")
        walk.parts.append(part)
        walk.left -= 1
        walk.node = row["parent"] if walk.left else None
    except (Damaged, WireError) as damage:
        walk.node, walk.damage = None, str(damage)


async def _whole(ask: Ask, ids: Collection[str]) -> dict[str, bytes | None]:
    query = select(_COMM.id, _COMM.content).where(func.length(_COMM.content) <= WHOLE_BYTES)
    return {row["id"]: row["content"] for row in await _all(ask, query, _COMM.id, ids)}


async def _decisions(ask: Ask, ids: Collection[str]) -> dict[str, list[Decision]]:
    columns = [column for column in _DECISION if column.name not in ("given", "out")]
    query = select(*columns).where(_DECISION.action != "forwarded").order_by(_DECISION.created_at, _DECISION.id)
    found: dict[str, list[Decision]] = {}
    for row in await _all(ask, query, _DECISION.exchange_id, ids):
        found.setdefault(row["exchange_id"], []).append(Decision(**row))
    return found


async def _all(ask: Ask, query: Select[*tuple[Any, ...]], key: Any, wanted: Collection[Any]) -> list[Row]:
    values, found = sorted(wanted), list[Row]()
    for start in range(0, len(values), KEYS_PER_QUERY):
        found += await ask(query.where(key.in_(values[start : start + KEYS_PER_QUERY])))
    return found
