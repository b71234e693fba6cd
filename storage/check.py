"""Looks for what is wrong with a log: the database itself, what it holds, what waits for it. Changes nothing.

What is found is a sentence each. `wrong` is what somebody has to do something about; `known` is only told.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.exc import DBAPIError

from lockgate.errors import StorageError
from lockgate.records import now
from lockgate.storage import schema
from lockgate.storage.address import Address, parse
from lockgate.storage.backup import opened, snapshot
from lockgate.storage.choosing import SURELY_OVER
from lockgate.storage.content_models import BlobModel, HeadingModel, MessageBlobModel, MessageModel, ThreadModel
from lockgate.storage.contents import follows, is_heading, is_message, raw
from lockgate.storage.models import CommModel, ExchangeModel
from lockgate.storage.orphans import leaves, shared, unused
from lockgate.storage.sizes import stored_bytes
from lockgate.storage.waiting import look
from lockgate.wire.blobs import blob_hashes

SAMPLE = 10_000
"""Of each table, the rows with the least hashes: as good as chosen by lot, and the same the next time."""
ROWS = 500
SHOWN = 5
"""So many of one kind are named."""

_EXCHANGE, _COMM, _THREAD, _MESSAGE, _BLOB, _LINK, _HEADING = (
    cast(Table, model.__table__)
    for model in (ExchangeModel, CommModel, ThreadModel, MessageModel, BlobModel, MessageBlobModel, HeadingModel)
)

type Progress = Callable[[str, int], object]


@dataclass(slots=True, kw_only=True)
class Report:
    """Sentences."""

    wrong: list[str] = field(default_factory=list[str])
    known: list[str] = field(default_factory=list[str])

    def many(self, what: str, which: list[str]) -> None:
        """Something that is wrong with each of these."""
        if which:
            more = f" and {len(which) - SHOWN:,} more" if len(which) > SHOWN else ""
            self.wrong.append(f"{what}: {', '.join(which[:SHOWN])}{more}")


def check(
    url: str, *, spill: Path, free_bytes: int = 0, every: bool = False, progress: Progress = lambda name, rows: None
) -> Report:
    """Look at everything, or, without `every`, at `SAMPLE` messages of all. A database that is away is one sentence."""
    address, report = parse(url), Report()
    try:
        schema.require_current(address)
        with opened(address) as engine, snapshot(engine) as connection:
            report.known.append(f"{schema.place(address)}: version {schema.HEAD}, {stored_bytes(connection):,} bytes")
            _structure(connection, report)
            _contents(connection, report, None if every else SAMPLE, progress)
            _orphans(connection, report)
            _left_open(connection, report)
    except (StorageError, DBAPIError) as error:
        report.wrong.append(str(error if isinstance(error, StorageError) else schema.cannot_open(address, error)))
    _spill(report, spill, address)
    for folder in {address.path.absolute().parent if address.kind == "sqlite" else spill, spill}:
        _disk(report, folder, free_bytes)
    return report


def _structure(connection: Connection, report: Report) -> None:
    """What the database says of itself."""
    if connection.dialect.name == "sqlite":
        found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
        report.many("the SQLite file is damaged: restore a backup", found if found != ["ok"] else [])
        rows = connection.execute(text("PRAGMA foreign_key_check")).all()
        report.many(
            "rows that point to nothing, as others deleted what they point to",
            [f"{row[0]} {row[1] or ''} in {row[2]}".replace("  ", " ") for row in rows],
        )
        return
    invalid = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready")
    report.many("indexes that PostgreSQL calls invalid: REINDEX them", list(connection.scalars(invalid)))
    broken = text("SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated")
    report.many("foreign keys that are not enforced", list(connection.scalars(broken)))
    failures = connection.scalar(
        text("SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()")
    )
    if failures:
        report.wrong.append(f"PostgreSQL met {failures:,} damaged pages in this database: look at its disk")


def _contents(connection: Connection, report: Report, limit: int | None, progress: Progress) -> None:
    """Whether what is named by a hash is what its name says."""
    for name, table, wrong in (
        ("messages", _MESSAGE, _wrong_messages),
        ("links between messages", _THREAD, _wrong_nodes),
        ("files", _BLOB, _wrong_blobs),
        ("lists of headers", _HEADING, _wrong_headings),
    ):
        count = connection.scalar(select(func.count()).select_from(table)) or 0
        seen, bad = 0, list[str]()
        for seen, hash in enumerate(wrong(connection, limit), 1):
            bad += [hash.hex()] if hash else []
            progress(name, seen)
        report.many(f"{name} that were changed or are incomplete", bad)
        of = "" if seen >= count else f" of {count:,}"
        report.known.append(f"{seen:,}{of} {name} were checked")


def _wrong_messages(connection: Connection, limit: int | None) -> Iterator[bytes | None]:
    """For each, its hash where it is wrong."""
    columns = (_MESSAGE.c.hash, _MESSAGE.c.kind, raw(_MESSAGE), _MESSAGE.c.blobs)
    for row in _rows(connection, select(*columns).order_by(_MESSAGE.c.hash).limit(limit)):
        right = is_message(row.hash, row.kind, row.content, row.blobs) and not _missing(connection, row.hash, row.blobs)
        yield None if right else row.hash


def _missing(connection: Connection, message: bytes, places: bytes | None) -> bool:
    """Whether it lacks one of its files."""
    if not places:
        return False
    held = set(connection.scalars(select(_LINK.c.blob).where(_LINK.c.message == message)))
    return not set(blob_hashes(places)) <= held


def _wrong_nodes(connection: Connection, limit: int | None) -> Iterator[bytes | None]:
    for row in _rows(connection, select(_THREAD).order_by(_THREAD.c.hash).limit(limit)):
        yield None if follows(row.hash, row.parent, row.message) else row.hash


def _wrong_blobs(connection: Connection, limit: int | None) -> Iterator[bytes | None]:
    for row in _rows(connection, select(_BLOB).order_by(_BLOB.c.hash).limit(limit)):
        yield None if hashlib.sha256(row.content).digest() == row.hash else row.hash


def _wrong_headings(connection: Connection, limit: int | None) -> Iterator[bytes | None]:
    for row in _rows(connection, select(_HEADING.c.hash, raw(_HEADING)).order_by(_HEADING.c.hash).limit(limit)):
        yield None if is_heading(row.hash, row.content) else row.hash


def _rows(connection: Connection, query: Any) -> Iterator[Any]:
    yield from connection.execution_options(stream_results=True, yield_per=ROWS).execute(query)


def _orphans(connection: Connection, report: Report) -> None:
    """What nothing refers to: a run that was killed may leave some, and `db prune` removes it."""
    queries = {"thread": leaves(), **{table.name: unused(table) for table in shared()}}
    for name, query in queries.items():
        if count := connection.scalar(select(func.count()).select_from(query.order_by(None).subquery())):
            report.known.append(f"{count:,} rows of {name} that nothing refers to: `lockgate db prune` removes them")


def _left_open(connection: Connection, report: Report) -> None:
    opened_ = select(func.count()).where(_EXCHANGE.c.outcome == "open")
    count = connection.scalar(opened_) or 0
    over = connection.scalar(opened_.where(_EXCHANGE.c.started_at < now() - SURELY_OVER)) or 0
    if count > over:
        report.known.append(f"{count - over:,} exchanges are under way, or were when their proxy was killed")
    if over:
        report.wrong.append(
            f"{over:,} exchanges are open for more than a day: their proxies ended first;"
            " `lockgate db check --repair` ends them as `cut`"
        )


def _spill(report: Report, spill: Path, address: Address) -> None:
    found = look(spill, address)
    report.wrong += found.damaged
    if found.size:
        report.known.append(
            f"{found.records:,} records ({found.size:,} bytes, {found.files:,} files) wait for the database in"
            f" {found.folder}: they are written when Lockgate runs"
        )


def _disk(report: Report, folder: Path, least: int) -> None:
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    line = f"the disk of {folder} has {free:,} bytes left"
    if free < least:
        report.wrong.append(f"{line}, and limits.spill_free_bytes is {least:,}")
    else:
        report.known.append(line)
