"""Retention: exchanges go, the oldest first, in short transactions with a rest after each.

An exchange goes whole, with its comms, decisions and texts; those of Lockgate's own that were about it, such as a
judge's, go with it; then the messages and files go that nothing else refers to. What is archived is safe in its file
before anything of it is removed. Two who do this at once only share the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import ColumnElement, Engine, Table, delete, exists, func, or_, select

from lockgate.access.audit import LOCAL, entry_of
from lockgate.records import now
from lockgate.storage.alone import collecting
from lockgate.storage.archive import OF_SESSION, archive, belongs
from lockgate.storage.audit import keep
from lockgate.storage.choosing import SETTLED, Choice, with_own
from lockgate.storage.models import Base, CommModel, ExchangeModel
from lockgate.storage.orphans import Collector
from lockgate.storage.pace import Pace
from lockgate.storage.people_models import AuditModel
from lockgate.storage.places import unindex
from lockgate.storage.portable import tables
from lockgate.storage.sealer import Sealer
from lockgate.storage.seals import Signer
from lockgate.storage.sizes import Sizes, free_bytes, stored_bytes
from lockgate.storage.usage_days import forget

CHOSEN = 1_000
"""So many are chosen at once, and go into one file."""
CHOSEN_BY_SIZE = 100
"""The same where it is not known how many it takes."""
BATCH_EXCHANGES = 25
"""So many go in one transaction: some ten milliseconds."""
BATCH_ENTRIES = 500
VACUUM_PAGES = 500

_EXCHANGE, _COMM, _AUDIT = (cast(Table, model.__table__) for model in (ExchangeModel, CommModel, AuditModel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to go: what began before `until`, and the oldest while the log is larger than `max_bytes`."""

    until: datetime | None = None
    max_bytes: int | None = None
    keep_labels: Sequence[str] = ("*",)
    archive: Path | None = None
    audit_until: datetime | None = None
    """Entries of the audit trail from before then go; nothing else removes one."""
    most: int | None = None
    """About so many exchanges at most in this run."""


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What went, or would go."""

    exchanges: int = 0
    audit: int = 0
    """Entries of the audit trail."""
    first: datetime | None = None
    last: datetime | None = None
    """When the first and the last of them began."""
    sizes: Sizes = field(default_factory=Sizes)
    """What went, by table; bytes without indexes."""
    kept: dict[str, int] = field(default_factory=dict[str, int])
    """By label, how many stay for it that would have gone."""
    archives: list[Path] = field(default_factory=list[Path])
    bytes_before: int = 0
    bytes_after: int = 0
    reusable_bytes: int = 0
    """What an SQLite file keeps free for what comes next, rather than giving it back to the disk."""
    estimated: bool = False
    """Whether it is only about so much."""


class Pruner:
    """Removes by one plan, and seals what it removed. `engine` is a writer's, with one connection."""

    def __init__(self, engine: Engine, plan: Plan, pace: Pace | None = None, signer: Signer | None = None) -> None:
        self._engine, self._plan, self._pace = engine, plan, pace or Pace()
        self._sealer = Sealer(signer)
        self._done = Pruned()
        self._collector = Collector(engine, self._pace, self._done.sizes)

    def run(self, *, sweep: bool = True) -> Pruned:
        """Until nothing more is to go, or the pace was stopped; with `sweep`, also what earlier runs left behind."""
        plan, done = self._plan, self._done
        with self._engine.connect() as connection:
            choice = Choice.of(connection, plan.keep_labels)
            if plan.max_bytes is not None or plan.most is None:  # else nobody asks, and all tables are read for it
                done.bytes_before = done.bytes_after = stored_bytes(connection)
        if plan.until is not None:
            self._phase(choice, choice.until(plan.until), by_size=False)
        if plan.max_bytes is not None:
            self._phase(choice, choice.until(None), by_size=True)
        if plan.audit_until is not None:
            self._prune_audit(plan.audit_until)
        if sweep:
            self._sweep()
        self._finish(choice)
        return done

    def note(self, who: str, error: str = "") -> None:
        """What this run removed, in the audit trail."""
        done = self._done
        after = {"exchanges": done.exchanges, "entries": done.audit, "first": done.first, "last": done.last}
        entry = entry_of(
            who=who, where=LOCAL, act="log.prune", subject="log", outcome="error" if error else "success",
            after=after | {"archives": done.archives}, reason=error,
        )  # fmt: skip
        with self._engine.begin() as connection:
            keep(connection, entry, self._sealer)
        self._sealer.committed()

    def _prune_audit(self, until: datetime) -> None:
        old = select(_AUDIT.c.id).where(func.coalesce(_AUDIT.c.last_at, _AUDIT.c.at) < until).limit(BATCH_ENTRIES)
        while not self._pace.stopped:
            with self._pace.work(), collecting(self._engine) as connection:
                if not (ids := list(connection.scalars(old))):
                    return
                self._sealer.retired(connection, _AUDIT.name, ids)
                connection.execute(delete(_AUDIT).where(_AUDIT.c.id.in_(ids)))
            self._sealer.committed()
            self._done.audit += len(ids)

    def _phase(self, choice: Choice, until: datetime, *, by_size: bool) -> None:
        after: tuple[datetime, str] | None = None
        count = CHOSEN_BY_SIZE if by_size else CHOSEN
        while not self._enough(by_size=by_size):
            if self._plan.most is not None:
                count = max(1, min(count, self._plan.most - self._done.exchanges))
            with self._engine.connect() as connection:
                rows = [(began, id) for began, id in connection.execute(choice.oldest(until, after, count))]
                ids = with_own(connection, [id for _, id in rows])
            if not rows:
                return
            after = rows[-1]
            self._go(choice, ids, {id: began for began, id in rows})

    def _enough(self, *, by_size: bool) -> bool:
        plan, done = self._plan, self._done
        if self._pace.stopped or (plan.most is not None and done.exchanges >= plan.most):
            return True
        return by_size and plan.max_bytes is not None and done.bytes_after <= plan.max_bytes

    def _go(self, choice: Choice, ids: Sequence[str], began: dict[str, datetime]) -> None:
        """All of these, once they are archived: else some would be in two files."""
        if self._plan.archive and ids:
            self._done.archives.append(archive(self._engine, ids, self._plan.archive))
        for start in range(0, len(ids), BATCH_EXCHANGES):
            if self._pace.stopped:
                return
            with self._pace.work():
                gone, nodes = self._remove(choice, ids[start : start + BATCH_EXCHANGES])
            self._count([began[id] for id in gone if id in began], len(gone))
            self._collector.collect(nodes)
            self._measure()

    def _remove(self, choice: Choice, ids: Sequence[str]) -> tuple[list[str], set[bytes]]:
        """One transaction. Gives what went, and the nodes that it referred to."""
        with collecting(self._engine) as connection:
            gone = list(connection.scalars(choice.still(ids)))
            comms = connection.execute(
                select(_COMM.c.id, _COMM.c.thread, _COMM.c.preamble).where(_COMM.c.exchange_id.in_(gone))
            ).all()
            began = list(connection.scalars(select(_EXCHANGE.c.started_at).where(_EXCHANGE.c.id.in_(gone))))
            self._sealer.removed(connection, gone)
            unindex(connection, gone)
            keys = {"exchange": gone, "comm": [row.id for row in comms], "message": []}
            for table, condition in reversed(_rows_of(keys)):
                self._done.sizes.add(connection, table, condition)
                connection.execute(delete(table).where(condition))
            forget(connection, began)
        self._sealer.committed()
        return gone, {node for _, *nodes in comms for node in nodes if node}

    def _count(self, began: Sequence[datetime], count: int) -> None:
        done = self._done
        done.exchanges += count
        if began:
            done.first = min(began) if done.first is None else min(done.first, *began)
            done.last = max(began) if done.last is None else max(done.last, *began)

    def _measure(self) -> None:
        self._done.bytes_after = self._done.bytes_before - self._done.sizes.total

    def _sweep(self) -> None:
        self._collector.sweep()
        with self._pace.work(), collecting(self._engine) as connection:
            for name, key in OF_SESSION.items():
                table = Base.metadata.tables[name]
                moment = table.c.created_at if "created_at" in table.c else table.c.started_at
                empty = ~exists().where(_EXCHANGE.c.session_id == table.c[key])
                old = moment < now() - SETTLED  # its first exchange may be on its way
                connection.execute(delete(table).where(table.c[key].is_not(None), empty, old))

    def _finish(self, choice: Choice) -> None:
        done, plan = self._done, self._plan
        bounds = [moment for moment in (plan.until, done.last) if moment is not None]
        with self._engine.connect() as connection:
            done.kept = choice.kept(connection, max(bounds)) if bounds else {}
        self._measure()
        if self._engine.dialect.name == "sqlite":
            self._give_back()

    def _give_back(self) -> None:
        """An SQLite file gets smaller page by page, if it was made so."""
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver
            if self._plan.most is None:  # else it would be written anew every hour
                self._tidy_index(driver)
            before = -1
            while not self._pace.stopped and (free := free_bytes(connection)) not in (0, before):
                before = free
                with self._pace.work():
                    driver.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
            self._done.reusable_bytes = free_bytes(connection)

    def _tidy_index(self, driver: Any) -> None:
        """The full-text index keeps the words of what went until its parts are merged."""
        changes = -2
        while not self._pace.stopped and driver.total_changes - changes >= 2:  # fewer: nothing is left to merge
            changes = driver.total_changes
            with self._pace.work(), driver:
                driver.execute("INSERT INTO said_fts (said_fts, rank) VALUES ('merge', ?)", (-VACUUM_PAGES,))


def _rows_of(keys: dict[str, list[str]]) -> list[tuple[Table, ColumnElement[bool]]]:
    """Everything that belongs to these exchanges and comms; what others point to comes first."""
    found: list[tuple[Table, ColumnElement[bool]]] = []
    for table in tables():
        owned = {"id": table.name} if table in (_EXCHANGE, _COMM) else belongs(table)
        conditions = [table.c[name].in_(keys[owner]) for name, owner in owned.items() if owner != "message"]
        if conditions:
            found.append((table, or_(*conditions)))
    return found
