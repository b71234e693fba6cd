"""Headers as they are stored: a list that comes again and again stands once, and beside each comm what differs from it.

An agent sends the same twenty headers with every request, and a provider answers with the same names and a few other
values. Runs on the writer's thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, cast

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.storage.address import Address
from lockgate.storage.content_models import HeadingModel
from lockgate.storage.recent import Recent
from lockgate.wire.document import dumps, loads

type Row = dict[str, Any]
type Pairs = Sequence[tuple[str, str]]

KNOWN_LISTS = 500
HASH_BYTES = 16
FEW_HEADERS = 3
"""So many are hardly longer than the hash of their list."""


class Headings:
    """Remembers, for each sequence of names, the list that is in the database."""

    def __init__(self, address: Address) -> None:
        insert = sqlite.insert if address.kind == "sqlite" else postgresql.insert
        self._insert = insert(cast(Table, HeadingModel.__table__)).on_conflict_do_nothing()
        self._known = Recent[tuple[str, ...], tuple[bytes, Pairs]](KNOWN_LISTS)
        self._new: dict[tuple[str, ...], tuple[bytes, Pairs]] = {}

    def write(self, connection: Connection, headers: Sequence[Pairs]) -> list[Row]:
        """For each list what stands in its comm's row: `heading` and `headers`. It is known after `committed`."""
        rows: list[Row] = []
        self._new = {}
        found = [self._stored(one, rows) for one in headers]
        if rows:
            connection.execute(self._insert, sorted(rows, key=lambda row: row["hash"]))
        return found

    def committed(self) -> None:
        for names, heading in self._new.items():
            self._known[names] = heading

    def forget(self) -> bool:
        """Somebody may have deleted what was known. Tells whether anything was."""
        knew = bool(len(self._known))
        self._known.clear()
        return knew

    def _stored(self, pairs: Pairs, rows: list[Row]) -> Row:
        if len(pairs) <= FEW_HEADERS:
            return {"heading": None, "headers": [list(pair) for pair in pairs]}
        names = tuple(name for name, _ in pairs)
        heading = self._new.get(names) or self._known.get(names)
        changes = list(_changes(heading[1], pairs)) if heading else None
        if heading is None or changes is None or 2 * len(changes) > len(pairs):
            content = dumps([list(pair) for pair in pairs])
            heading = self._new[names] = (hash_of(content), pairs)
            rows.append({"hash": heading[0], "content": content})
            changes = []
        return {"heading": heading[0], "headers": changes}


def hash_of(content: bytes) -> bytes:
    """The name of a list, of its JSON text."""
    return blake2b(content, digest_size=HASH_BYTES).digest()


def whole(heading: bytes | None, stored: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """The headers, from the content of their heading and what stands in the comm's row."""
    if heading is None:
        return tuple((name, value) for name, value in stored)
    pairs = [(name, value) for name, value in loads(heading)]
    for place, value in stored:
        pairs[place] = (pairs[place][0], value)
    return tuple(pairs)


def _changes(known: Pairs, pairs: Pairs) -> Iterator[tuple[int, str]]:
    for place, ((_, before), (_, value)) in enumerate(zip(known, pairs, strict=True)):
        if value != before:
            yield place, value
