"""What nothing refers to any more: nodes of threads, their messages and the files in these, found and removed.

Each transaction takes a bounded number of nodes, and with them what only they held, so that a crash leaves nothing in
between. Writers go on beside it: foreign keys refuse one of the two whenever both mean the same row, and the writer
then writes the row again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Column, Connection, Engine, Select, Table, delete, exists, select
from sqlalchemy.orm import aliased

from lockgate.storage.alone import collecting
from lockgate.storage.content_models import BlobModel, MessageBlobModel, MessageModel, ThreadModel
from lockgate.storage.models import Base
from lockgate.storage.pace import Pace
from lockgate.storage.sizes import Sizes

CHUNK = 400
"""Nodes that are looked at in one transaction: some milliseconds."""

_THREAD, _MESSAGE, _BLOB, _LINK = (
    cast(Table, model.__table__) for model in (ThreadModel, MessageModel, BlobModel, MessageBlobModel)
)


@dataclass(frozen=True, slots=True)
class Node:
    """A row of `thread`."""

    hash: bytes
    parent: bytes | None
    message: bytes
    depth: int


@dataclass(slots=True)
class Collector:
    """Works on one connection at a time; `sizes` adds up what it removes."""

    engine: Engine
    pace: Pace
    sizes: Sizes = field(default_factory=Sizes)

    def collect(self, nodes: Iterable[bytes]) -> None:
        """Remove these nodes and all before them, as far as nothing else refers to them."""
        for some in _chunks(sorted(set(nodes))):
            with self.engine.connect() as connection:
                found = sorted((Node(*row) for row in connection.execute(up_from(some))), key=lambda one: -one.depth)
            alive = set[bytes]()
            for chunk in _chunks(found):
                self._collect(chunk, alive)

    def sweep(self) -> None:
        """Look through everything for what nothing refers to, such as what a run that was killed left."""
        last = b""
        while not self.pace.stopped and (found := self._hashes(leaves().where(_THREAD.c.hash > last))):
            last = found[-1]
            self.collect(found)
        for table in shared():
            last = b""
            while not self.pace.stopped and (found := self._hashes(unused(table).where(table.c.hash > last))):
                last = found[-1]
                with self.pace.work(), collecting(self.engine) as connection:
                    self._unused(connection, table, found)

    def _hashes(self, query: Select[bytes]) -> list[bytes]:
        with self.engine.connect() as connection:
            return list(connection.scalars(query.limit(CHUNK)))

    def _collect(self, chunk: Sequence[Node], alive: set[bytes]) -> None:
        """The deepest come first. `alive` are those that something refers to, and what comes before them."""
        with self.engine.connect() as connection:
            if not _dead(connection, chunk, alive):  # the usual case in a conversation that goes on: nothing is locked
                return
        with self.pace.work(), collecting(self.engine) as connection:
            held = _locked(connection, _THREAD, [node.hash for node in chunk])
            alive |= {node.parent for node in chunk if node.hash not in held and node.parent}
            if dead := _dead(connection, [node for node in chunk if node.hash in held], alive):
                self._delete(connection, _THREAD, [node.hash for node in dead])
                self._unused(connection, _MESSAGE, {node.message for node in dead})

    def _unused(self, connection: Connection, table: Table, hashes: Collection[bytes]) -> None:
        """Remove those of these rows that nothing refers to; messages with the files only they held."""
        held = _locked(connection, table, hashes)
        gone = sorted(held - referred(connection, table, held, but=_LINK.c.message))
        blobs: set[bytes] = set()
        if table is _MESSAGE:
            for some in _chunks(gone):
                blobs |= set(connection.scalars(select(_LINK.c.blob).where(_LINK.c.message.in_(some))))
        self._delete(connection, table, gone)
        if blobs:
            self._unused(connection, _BLOB, blobs)

    def _delete(self, connection: Connection, table: Table, hashes: Sequence[bytes]) -> None:
        for some in _chunks(hashes):
            self.sizes.add(connection, table, table.c.hash.in_(some))
            connection.execute(delete(table).where(table.c.hash.in_(some)))


def _dead(connection: Connection, chunk: Sequence[Node], alive: set[bytes]) -> list[Node]:
    """Those that nothing refers to, neither another table nor a node that stays; `alive` grows by what they follow."""
    hashes = [node.hash for node in chunk]
    alive |= referred(connection, _THREAD, hashes, but=_THREAD.c.parent)
    children: dict[bytes, set[bytes]] = {}
    for hash, parent in connection.execute(
        select(_THREAD.c.hash, _THREAD.c.parent).where(_THREAD.c.parent.in_(hashes))
    ):
        children.setdefault(parent, set()).add(hash)
    dead: dict[bytes, Node] = {}
    for node in chunk:
        if node.hash in alive or not children.get(node.hash, set()) <= dead.keys():
            alive |= {node.parent} if node.parent else set()
        else:
            dead[node.hash] = node
    return list(dead.values())


def referred(connection: Connection, table: Table, hashes: Collection[bytes], *, but: Column[Any]) -> set[bytes]:
    """Those of these rows that a foreign key of any table points to, not counting one of the columns."""
    found: set[bytes] = set()
    for some in _chunks(sorted(hashes)):
        for column in pointing_to(table):
            if column is not but:
                found |= set(connection.scalars(select(column).where(column.in_(some)).distinct()))
    return found


def pointing_to(table: Table) -> Iterator[Column[Any]]:
    """Columns whose foreign keys name rows of this table."""
    for other in Base.metadata.tables.values():
        for column in other.columns:
            if any(key.column is table.c.hash for key in column.foreign_keys):
                yield column


def _locked(connection: Connection, table: Table, hashes: Collection[bytes]) -> set[bytes]:
    """Those that are there and nobody else is about to use: PostgreSQL's writers are never waited for."""
    found: set[bytes] = set()
    for some in _chunks(sorted(hashes)):
        query = select(table.c.hash).where(table.c.hash.in_(some)).with_for_update(skip_locked=True)
        found |= set(connection.scalars(query))
    return found


def up_from(nodes: Sequence[bytes]) -> Select[Any, Any, Any, Any]:
    """These nodes and all before them, each once, so that a circle that others made ends."""
    columns = (_THREAD.c.hash, _THREAD.c.parent, _THREAD.c.message, _THREAD.c.depth)
    chain = select(*columns).where(_THREAD.c.hash.in_(nodes)).cte("chain", recursive=True)
    chain = chain.union(select(*columns).where(_THREAD.c.hash == chain.c.parent))
    return select(chain.c.hash, chain.c.parent, chain.c.message, chain.c.depth)


def shared() -> list[Table]:
    """Tables whose rows stand once, under their hash, for all who refer to them; what refers to others comes first."""
    return [table for table in reversed(Base.metadata.sorted_tables) if table is not _THREAD and _is_hashed(table)]


def _is_hashed(table: Table) -> bool:
    return [column.name for column in table.primary_key] == ["hash"]


def unused(table: Table) -> Select[bytes]:
    """The hashes of the rows that nothing refers to."""
    query = select(table.c.hash).order_by(table.c.hash)
    for column in pointing_to(table):
        if column is not _THREAD.c.parent and column is not _LINK.c.message:
            query = query.where(~exists().where(column == table.c.hash))
    return query


def leaves() -> Select[bytes]:
    """Nodes that no table and no other node refers to."""
    child = aliased(ThreadModel)
    return unused(_THREAD).where(~exists().where(child.parent == _THREAD.c.hash))


def _chunks[T](values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
