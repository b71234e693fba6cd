"""What the seals say of each row, in the order of the rows' ids: beside the database, in a file that is gone after."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lockgate.storage.seals import REWRITTEN, TAGS, unpack

PLACE_BITS = 32
_TABLE = """CREATE TABLE entry (
    tag INTEGER, id BLOB, digest BLOB, form INTEGER, place INTEGER, retired INTEGER, PRIMARY KEY (tag, id)
) WITHOUT ROWID"""
# An exchange is written again when it ends, a refusal of access while others are summed up with it, and the last digest
# counts. All else is written once: who writes it again, out of a spill, leaves what is there, so that the first digest
# counts, whatever others did to the row in between.
_SEALED = f"""INSERT INTO entry VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET
    digest = excluded.digest, form = excluded.form, place = excluded.place
    WHERE digest IS NULL OR tag IN ({", ".join(str(TAGS[table]) for table in REWRITTEN)})"""
_RETIRED = "INSERT INTO entry VALUES (?, ?, NULL, ?, ?, 1) ON CONFLICT DO UPDATE SET retired = 1"
_BY_ID = "SELECT id, digest, form, place, retired FROM entry WHERE tag = ? ORDER BY id"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What counts for one row; `digest` is None where there is only a word that retention removes it."""

    id: bytes
    digest: bytes | None
    form: int
    place: int
    retired: int

    @property
    def seal(self) -> tuple[int, int]:
        """The chain and the number of the seal."""
        return self.place >> PLACE_BITS, self.place & (1 << PLACE_BITS) - 1


class Entries:
    """About 70 bytes on the disk for each row; in memory, a cache of a few megabytes."""

    def __init__(self, first: bytes = b"") -> None:
        """Rows with an id before `first` are left out."""
        self._first = first
        self._file = sqlite3.connect("", isolation_level=None)  # SQLite's name for a file of its own
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _TABLE, "BEGIN"):
            self._file.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, chain: int, number: int, packed: bytes) -> None:
        """The entries of one seal, in the order of the chains. Raises ValueError for what are none."""
        form, entries = unpack(packed)
        place = (chain << PLACE_BITS) | number
        found = [entry for entry in entries if entry.id >= self._first]
        sealed = [(one.tag, one.id, one.digest, form, place) for one in found if one.digest is not None]
        self._file.executemany(_SEALED, sealed)
        self._file.executemany(_RETIRED, [(one.tag, one.id, form, place) for one in found if one.digest is None])

    def of(self, tag: int) -> Iterator[Sealed]:
        """By id."""
        return (Sealed(*row) for row in self._file.execute(_BY_ID, (tag,)))
