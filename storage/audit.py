"""What is administered beside the proxies, such as by the command line: noted in the transaction that does it.

Proxies note by `lockgate.access.audit.LogAudit`, through their log. What is noted is asked of `lockgate.storage.trail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Connection, Table
from sqlalchemy.exc import IntegrityError

from lockgate.access.audit import LOCAL, entry_of
from lockgate.records import AuditEntry, AuditOutcome
from lockgate.storage.alone import one_at_a_time
from lockgate.storage.people_models import AuditModel
from lockgate.storage.sealer import Sealer
from lockgate.storage.seals import Signer

_AUDIT = cast(Table, AuditModel.__table__)
_FIELDS = [field.name for field in fields(AuditEntry)]
TRIES = 8
"""The writer of a proxy may begin a chain of the same number at the same moment."""


class Book:
    """Notes what one person or program does. Each entry has a seal and a chain of its own, as there is no writer."""

    def __init__(self, who: str, *, where: str = LOCAL, signer: Signer | None = None) -> None:
        self._who, self._where, self._signer = who, where, signer

    def note(
        self,
        at: Connection,
        act: str,
        subject: str,
        *,
        outcome: AuditOutcome = "success",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """In this transaction: the act and its entry are there together, or neither is."""
        entry = entry_of(
            who=self._who, where=self._where, act=act, subject=subject, outcome=outcome, before=before, after=after,
            reason=reason,
        )  # fmt: skip
        one_at_a_time(at)
        for _ in range(TRIES):
            with suppress(IntegrityError), at.begin_nested():
                keep(at, entry, Sealer(self._signer))
                return
        keep(at, entry, Sealer(self._signer))


def keep(at: Connection, entry: AuditEntry, sealer: Sealer) -> None:
    """Write the entry, and seal it."""
    row = {name: getattr(entry, name) for name in _FIELDS}
    at.execute(_AUDIT.insert(), row)  # before the seal: it takes SQLite's lock, so that no other chain begins
    sealer.write(at, [(_AUDIT.name, row)])
