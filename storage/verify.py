"""`lockgate log verify`: the log compared with its seals, in one snapshot and in bounded memory. Nothing here writes.

Seals and rows are read once each, in order; see `chains`, `entries` and `contents` for the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lockgate.storage.address import Address, parse
from lockgate.storage.chains import Chains, entries_of
from lockgate.storage.contents import Contents
from lockgate.storage.engine import READER_BUSY_SECONDS, writer_engine
from lockgate.storage.entries import Entries, Sealed
from lockgate.storage.findings import Finding, Findings, Kind, Report
from lockgate.storage.rows import Rows, id_bytes
from lockgate.storage.schema import cannot_open, require_current
from lockgate.storage.seals import TAGS, Head, unpack

type Progress = Callable[[str, int], object]
"""Hears what is read, and how many of it were."""

PROGRESS_ROWS = 10_000
NOT_SEALED = (
    "labels, notes, sessions' names and what search and cost stand on are not sealed: people's own words, or made of"
    " the rest"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How the log is to be verified."""

    since: datetime | None = None
    """Rows from before are not compared; all seals are."""
    keys: Collection[bytes] = ()
    """Public keys of Ed25519 that signatures are trusted by."""
    heads: Sequence[Head] = ()
    """Noted before: each has to be there still."""
    signed: bool = False
    """A signature of one of `keys` has to stand behind every row."""
    signing: bool = False
    """Seals should be signed: it is told first where they are not."""


def verify(url: str, wanted: Wanted = Wanted(), progress: Progress | None = None) -> Report:
    """Compare the whole log with its seals.

    Raises ConfigError for a bad URL, StorageError for a database that is missing, behind, newer, not ours, or away.
    """
    address = parse(url)
    require_current(address)
    try:
        with _snapshot(address) as connection:
            return _Verification(connection, wanted, progress or _silent).report()
    except DBAPIError as error:
        raise cannot_open(address, error) from error


@contextmanager
def _snapshot(address: Address) -> Generator[Connection]:
    """What is written meanwhile is not seen."""
    engine = writer_engine(address, busy_seconds=READER_BUSY_SECONDS)
    try:
        with engine.connect() as connection:
            if address.kind == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            else:
                connection.exec_driver_sql("PRAGMA query_only = ON")
                driver = cast(Any, connection.connection.driver_connection)
                driver.text_factory = _text
                connection.exec_driver_sql("BEGIN")
            yield connection
    finally:
        engine.dispose()


class _Verification:
    def __init__(self, connection: Connection, wanted: Wanted, progress: Progress) -> None:
        self._connection, self._wanted, self._progress = connection, wanted, progress
        self._findings = Findings()
        self._first = _first_id(wanted.since)
        self._rows = self._retired = self._older = 0
        self._older_than: dict[str, bytes] = {}

    def report(self) -> Report:
        chains = Chains(self._connection, self._findings, self._wanted.heads)
        for chain in chains.chains.values():
            for table, id in chain.beginning.older.items():
                self._older_than[table] = max(bytes.fromhex(id), self._older_than.get(table, b""))
        with Entries(self._first) as entries:
            chains.walk(self._counted(entries.take))
            for table in TAGS:
                self._compare(table, entries.of(TAGS[table]))
        contents = Contents(self._connection, self._findings, self._progress)
        contents.check(self._wanted.since)
        unchecked = tuple(self._unchecked(chains))
        return Report(
            findings=self._findings.first(),
            found=self._findings.count,
            rows=self._rows,
            messages=contents.count,
            retired=self._retired,
            chains=len(chains.chains),
            seals=chains.seals,
            heads=tuple(map(str, chains.heads)),
            unchecked=unchecked,
        )

    def _counted(self, take: Callable[[int, int, bytes], None]) -> Callable[[int, int, bytes], None]:
        def taken(chain: int, number: int, packed: bytes) -> None:
            take(chain, number, packed)
            if number % PROGRESS_ROWS == 0:
                self._progress(f"seals of chain {chain}", number)

        return taken

    # Rows against entries, both by id.

    def _compare(self, name: str, entries: Iterator[Sealed]) -> None:
        table = Rows(self._connection, name, self._first)
        entry, last = next(entries, None), b""
        for count, (raw, row) in enumerate(table, 1):
            if count % PROGRESS_ROWS == 0:
                self._progress(name, count)
            id = id_bytes(raw)
            if id is None or id <= last:
                self._find("inserted", table, id or b"", f"its id {raw!r} is not one of Lockgate's")
                continue
            last = id
            while entry and entry.id < id:
                self._missing(table, entry)
                entry = next(entries, None)
            if entry and entry.id == id:
                self._same(table, entry, row)
                entry = next(entries, None)
            else:
                self._unsealed(table, id)
        while entry:
            self._missing(table, entry)
            entry = next(entries, None)

    def _same(self, table: Rows, entry: Sealed, row: Sequence[Any]) -> None:
        if entry.digest is None:
            self._unsealed(table, entry.id)
        elif table.digest(row, entry.form) == entry.digest:
            self._rows += 1
        else:
            self._find("changed", table, entry.id, f"it is not what {_seal(entry)} covers")

    def _missing(self, table: Rows, entry: Sealed) -> None:
        if entry.retired:
            self._retired += 1
        elif not self._findings.told:
            beside = self._beside(table.name, entry)
            self._find("removed", table, entry.id, f"{_seal(entry)} covers it", beside)
        else:
            self._find("removed", table, entry.id, "")

    def _unsealed(self, table: Rows, id: bytes) -> None:
        if id <= self._older_than.get(table.name, b""):
            self._older += 1
        else:
            self._find("inserted", table, id, "no seal covers it")

    def _find(self, kind: Kind, table: Rows, id: bytes, why: str, beside: str = "") -> None:
        exchange = "" if self._findings.told else table.exchange_of(id)
        row = str(UUID(bytes=id)) if id else "?"
        of = f" of exchange {exchange}" if exchange and table.name != "exchange" else ""
        of = of or (f", sealed beside exchange {beside}," if beside else "")
        sentence = f"{table.name} {row}{of} was {kind}: {why}"
        found = Finding(kind=kind, table=table.name, id=row, exchange_id=exchange or beside, sentence=sentence)
        self._findings.add(found, rank=1, order=row)

    def _beside(self, name: str, sealed: Sealed) -> str:
        """The exchange that a row was sealed after, which is its own unless it was written alone; no entry of
        the audit trail has one."""
        if name in ("exchange", "audit"):
            return ""
        beside = b""
        for entry in unpack(entries_of(self._connection, *sealed.seal))[1]:
            if entry.tag == TAGS["exchange"]:
                beside = entry.id
            if entry.id == sealed.id:
                break
        return str(UUID(bytes=beside)) if beside else ""

    # What remains open.

    def _unchecked(self, chains: Chains) -> Iterator[str]:
        """In sentences; what no signature stands behind is a finding, too, where one has to."""
        unknown = (
            [f"{self._older:,} rows are older than the first seal: nothing is known of them"] if self._older else []
        )
        unsigned = list(self._unsigned(chains))
        for sentence in (*unknown, *unsigned) if self._wanted.signed else ():
            self._findings.add(Finding(kind="chain", table="seal", id="", sentence=sentence), rank=0)
        wanted = self._wanted
        signs = (
            wanted.signed or wanted.signing or wanted.keys or any(one.beginning.key for one in chains.chains.values())
        )
        yield from unknown
        yield from unsigned if signs else ()
        if wanted.since:
            yield f"rows from before {wanted.since.isoformat(timespec='seconds')} were not compared"
        if not wanted.heads:
            yield "whether the end of a chain was cut off: --head looks for a head that was noted before"
        yield NOT_SEALED
        yield from () if signs else unsigned

    def _unsigned(self, chains: Chains) -> Iterator[str]:
        vouched = chains.vouched(self._wanted.keys)
        bare = {number: chain.head.number - vouched[number] for number, chain in chains.chains.items()}
        bare = {number: count for number, count in bare.items() if count > 0}
        if bare:
            keys = sorted({key.hex() for number in bare if (key := chains.chains[number].beginning.key)})
            seals = f"{sum(bare.values()):,} of {chains.seals:,} seals, in {_listed('chain', sorted(bare))},"
            other = f"; there are signatures of {_listed('key', keys)}" if keys else ""
            no = f"{seals} have no signature of a known key"
            yield f"{no}: who can write to the database can make them anew{other}"


def _first_id(since: datetime | None) -> bytes:
    """The least UUIDv7 of that moment: its first six bytes are the milliseconds since 1970."""
    return b"" if since is None else max(int(since.timestamp() * 1000), 0).to_bytes(6, "big") + bytes(10)


def _seal(sealed: Sealed) -> str:
    chain, number = sealed.seal
    return f"seal {number} of chain {chain}"


def _listed(noun: str, names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:5]))
    return f"{noun}{'' if len(names) == 1 else 's'} {shown}" + (" …" if len(names) > 5 else "")


def _text(data: bytes) -> str:
    """In an SQLite file, others may have written anything."""
    return data.decode("utf-8", "surrogateescape")


def _silent(what: str, count: int) -> None:
    pass
