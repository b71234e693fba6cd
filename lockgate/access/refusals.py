"""Refusals of access, those that are alike in one entry: who knocks ten thousand times is told of once, with a count.

A first refusal is noted at once, and the entry is written again as more come. Nothing is left out: what is not told by
itself is counted.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from lockgate.access.audit import entry_of
from lockgate.errors import AccessError, Error
from lockgate.ports import CommLog
from lockgate.records import AuditEntry, AuditOutcome, now

UNKNOWN = "unknown"
MANY = "(several)"
WINDOW_SECONDS = 600.0
"""What comes later than so long after the first one begins an entry of its own."""
WRITE_SECONDS = 0.4
"""How often `write` is to be called: with half a second of the log's, a refusal is safe a second after it happened."""
BRISK_SECONDS = 60.0
SLOW_SECONDS = 10.0
"""An entry that is older than `BRISK_SECONDS` is written so often only: each time, the log grows by a seal."""
ENTRIES = 250
"""So many grow at a time. Who comes with more addresses or tokens than that is summed up by the kind of refusal."""

type _Key = tuple[str, str, str]


@dataclass(slots=True)
class _Sum:
    entry: AuditEntry
    subject: str
    """Of all that it stands for, or of the first."""
    began: float
    written: float
    is_written: bool = True


class Refusals:
    """Sums up by the address, the token and the kind of refusal. On the event loop."""

    def __init__(self, log: CommLog | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Without a log, nothing is kept."""
        self._log, self._clock = log, clock
        self._sums: OrderedDict[_Key, _Sum] = OrderedDict()
        """In the order of their beginnings."""

    def note(self, error: Exception, *, where: str, subject: str, token: str = "") -> bool:
        """Whether this one has an entry of its own; else it was added to another."""
        kind, known, outcome = "unchecked", "", "error"
        if isinstance(error, AccessError):
            kind, known, outcome = error.kind, error.token, "denied"
        reason = str(error) if isinstance(error, Error) else type(error).__name__
        return self.add(
            who=known or token, where=where, act=f"access.{kind}", subject=subject, outcome=outcome, reason=reason
        )

    def add(self, *, who: str, where: str, act: str, subject: str, outcome: AuditOutcome, reason: str = "") -> bool:
        """The same of whatever else is to be summed up."""
        key = (where, who or UNKNOWN, act)
        self._end_old()
        if key not in self._sums and len(self._sums) >= ENTRIES:
            key = (MANY, MANY, act)
        if found := self._sums.get(key):
            self._grow(found, subject)
            return False
        where, who, _ = key
        self._begin(
            key, entry_of(who=who, where=where, act=act, subject=subject, outcome=outcome, reason=reason), subject
        )
        return True

    async def write(self) -> None:
        """Write down how far they have grown."""
        self._end_old()
        at = self._clock()
        self._put([one for one in self._sums.values() if not one.is_written and _is_due(one, at)])

    async def close(self) -> None:
        """Write down all of it."""
        self._put([one for one in self._sums.values() if not one.is_written])

    def _begin(self, key: _Key, entry: AuditEntry, subject: str) -> None:
        at = self._clock()
        self._sums[key] = begun = _Sum(entry, subject, at, at)
        self._put([begun])

    def _grow(self, found: _Sum, subject: str) -> None:
        entry = found.entry
        if found.subject and subject != found.subject:
            entry, found.subject = replace(entry, subject=f"{entry.subject}, and others"), ""
        found.entry = replace(entry, count=entry.count + 1, last_at=now())
        found.is_written = False

    def _end_old(self) -> None:
        oldest = self._clock() - WINDOW_SECONDS
        while self._sums and (first := next(iter(self._sums.values()))).began < oldest:
            if not first.is_written:
                self._put([first])
            self._sums.popitem(last=False)

    def _put(self, sums: list[_Sum]) -> None:
        if sums and self._log:
            self._log.put([one.entry for one in sums])
        for one in sums:
            one.is_written, one.written = True, self._clock()


def _is_due(one: _Sum, at: float) -> bool:
    return at - one.began < BRISK_SECONDS or at - one.written >= SLOW_SECONDS
