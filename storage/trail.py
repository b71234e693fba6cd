"""The audit trail, read: typed, asynchronous, paged by id, the newest first. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, func, or_, select
from sqlalchemy.exc import DBAPIError

from lockgate.records import AuditEntry, AuditOutcome
from lockgate.storage.ids import SHOWN_CANDIDATES, digits_of, fits, require_one
from lockgate.storage.people_models import AuditModel
from lockgate.storage.reader import Reader
from lockgate.storage.schema import cannot_open

_AUDIT = cast(Table, AuditModel.__table__)
_C = _AUDIT.c
_TEXTS = ("who", "where", "act", "subject", "reason", "before", "after")
"""Where `text` is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are asked for; None does not look. Times are aware; `since` is included, `until` is not."""

    who: str | None = None
    where: str | None = None
    act: str | None = None
    """The whole act, or its beginning up to a full stop: `token` is all acts on tokens."""
    subject: str | None = None
    """A part of it, such as a name or an id."""
    outcome: AuditOutcome | None = None
    text: str | None = None
    """Stands somewhere in the entry, whatever the case of its letters; with SQLite, of those from A to Z."""
    since: datetime | None = None
    until: datetime | None = None


class Trail(Reader):
    """Reads one database's entries."""

    async def entries(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        after: str | None = None,
        where: AuditFilter = AuditFilter(),
    ) -> list[AuditEntry]:
        """The newest first, older than the one with the whole id `before`; with `after`, the oldest first."""
        query = select(_AUDIT).where(*_conditions(where)).limit(limit)
        if before is not None:
            query = query.where(_C.id < _whole(before))
        if after is not None:
            query = query.where(_C.id > _whole(after))
        return await self._read(query.order_by(_C.id.desc() if after is None else _C.id))

    async def find(self, id: str) -> AuditEntry | None:
        """The one with this id, or whose id alone begins or ends so. Raises Error for what is no id, or for several."""
        query = select(_AUDIT).where(fits(_C.id, id, of="an entry")).order_by(_C.id)
        found = await self._read(query.limit(SHOWN_CANDIDATES))
        require_one(id, [one.id for one in found], of="entries")
        return found[0] if found else None

    async def _read(self, query: Select[*tuple[Any, ...]]) -> list[AuditEntry]:
        try:
            async with self._engine.connect() as connection:
                return [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]
        except DBAPIError as error:
            raise cannot_open(self._address, error) from error


def _conditions(where: AuditFilter) -> Iterator[ColumnElement[bool]]:
    for name in ("who", "where", "outcome"):
        if (value := getattr(where, name)) is not None:
            yield _C[name] == value
    if where.act is not None:
        yield or_(_C.act == where.act, _C.act.startswith(f"{where.act}.", autoescape=True))
    if where.subject is not None:
        yield _holds("subject", where.subject)
    if where.text is not None:
        yield or_(*(_holds(name, where.text) for name in _TEXTS))
    if where.since is not None:  # a sum goes on after it began
        yield func.coalesce(_C.last_at, _C.at) >= where.since
    if where.until is not None:
        yield _C.at < where.until


def _holds(name: str, text: str) -> ColumnElement[bool]:
    return _C[name].icontains(text, autoescape=True)


def _whole(id: str) -> str:
    return digits_of(id, of="an entry")
