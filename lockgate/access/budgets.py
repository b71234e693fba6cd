"""What may be used up in a day, a month or at all: reserved before, settled after, and added up where others see it.

What was used is kept in the database; what this proxy added lately, and what its exchanges under way may still take,
is known here. So one proxy never lets through what does not fit, and several can each only miss what the others did
in the last moments.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from lockgate.access.grant import Budget, Grant, Period
from lockgate.access.limits import WHOSE, Whose
from lockgate.errors import Error
from lockgate.usage.prices import NANO, dollars

logger = logging.getLogger("lockgate.access")

FRESH_SECONDS = 5.0
"""How long a sum is believed that others may have added to; where this proxy adds to it, it hears of theirs too."""
IDLE_SECONDS = 600.0
"""A sum that nobody asked for so long is forgotten; it is read again when somebody does."""
FORMS: Mapping[Period, str] = {"day": "%Y-%m-%d", "month": "%Y-%m", "life": "life"}


class Key(NamedTuple):
    """A sum: whose it is, and of which period, `2026-11-21`, `2026-11` or `life`."""

    subject: str
    period: str


@dataclass(frozen=True, slots=True)
class Sum:
    """What was used."""

    tokens: int = 0
    nano_usd: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    def __sub__(self, other: Sum) -> Sum:
        return Sum(self.tokens - other.tokens, self.nano_usd - other.nano_usd)


NOTHING = Sum()


class SumStore(Protocol):
    """Where sums are kept. Raises StorageError where it cannot be asked."""

    async def sums(self, keys: Sequence[Key]) -> Mapping[Key, Sum]:
        """Those that there are."""
        ...

    async def add(self, more: Mapping[Key, Sum]) -> Mapping[Key, Sum]:
        """What the sums are with that added."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One budget of a token or a project, in the period that runs."""

    whose: Whose
    key: Key
    budget: Budget

    @property
    def limit(self) -> int:
        """In tokens, or in nano-dollars."""
        return self.budget.tokens or round((self.budget.usd or 0) * NANO)

    def of(self, sum: Sum) -> int:
        return sum.nano_usd if self.budget.tokens is None else sum.tokens

    def said(self, amount: int) -> str:
        return dollars(amount) if self.budget.tokens is None else f"{amount:,} tokens"

    def __str__(self) -> str:
        return f"{WHOSE[self.whose]}'s budget of {self.said(self.limit)} {_PER[self.budget.per]}"


_PER: Mapping[Period, str] = {"day": "a day", "month": "a month", "life": "in all"}


@dataclass(slots=True)
class Reserved:
    """What one exchange may take, until it is known what it took."""

    keys: Sequence[Key]
    sum: Sum
    is_over: bool = False


@dataclass(slots=True)
class _Account:
    """One sum: as it was read last, what was added here since, and what is reserved."""

    written: Sum = NOTHING
    added: Sum = NOTHING
    reserved: Sum = NOTHING
    under_way: int = 0
    read_at: float = float("-inf")
    asked_at: float = float("-inf")
    warned: set[Budget] = field(default_factory=set[Budget])

    def used(self, line: Line) -> int:
        return line.of(self.written) + line.of(self.added)

    def taken(self, line: Line) -> int:
        """What is used, and what may be."""
        return self.used(line) + line.of(self.reserved)


def lines_of(whose: Whose, subject: str, grant: Grant, at: datetime) -> list[Line]:
    """The budgets of one grant at a moment, of UTC."""
    return [Line(whose, Key(subject, _period(each.per, at.date())), each) for each in grant.budgets]


@lru_cache(maxsize=16)
def _period(per: Period, day: date) -> str:
    return day.strftime(FORMS[per])


class Budgets:
    """All budgets of one proxy's tokens and projects."""

    def __init__(self, store: SumStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._accounts: dict[Key, _Account] = {}
        self._lock = asyncio.Lock()
        """One question at a time: a sum that is read while it is added to would count twice."""

    def __len__(self) -> int:
        return len(self._accounts)

    async def read(self, lines: Sequence[Line]) -> None:
        """See to it that the sums are known. Raises StorageError where one never was, and cannot be read."""
        now = self._clock()
        for line in lines:
            self._accounts.setdefault(line.key, _Account()).asked_at = now
        if self._old(lines):
            async with self._lock:
                await self._read(self._old(lines))

    def over(self, lines: Sequence[Line], asked: Sum) -> Line | None:
        """The first budget that this does not fit any more."""
        for line in lines:
            if self._accounts[line.key].taken(line) + line.of(asked) > line.limit:
                return line
        return None

    def left(self, line: Line) -> int:
        return max(0, line.limit - self._accounts[line.key].taken(line))

    def warning(self, lines: Sequence[Line]) -> str:
        """The budget that is nearest to its end, where its share is used that is to be warned of; else ""."""
        shares = [(self._share(line), line) for line in lines]
        low = [(share, line) for share, line in shares if share >= line.budget.warn_at]
        for share, line in low:
            if line.budget not in (warned := self._accounts[line.key].warned):
                warned.add(line.budget)
                logger.warning("%s (%s) is used up to %d %%", line, line.key.subject, 100 * share)
        if not low:
            return ""
        share, line = max(low, key=lambda one: one[0])
        return f"{line.whose}; per={line.budget.per}; used={100 * share:.0f}%"

    def reserve(self, lines: Sequence[Line], asked: Sum) -> Reserved:
        reserved = Reserved(list(dict.fromkeys(line.key for line in lines)), asked)
        for key in reserved.keys:
            account = self._accounts[key]
            account.reserved += asked
            account.under_way += 1
        return reserved

    def settle(self, reserved: Reserved, used: Sum) -> None:
        """The exchange is over, however it ended. Only the first call counts."""
        if reserved.is_over:
            return
        reserved.is_over = True
        for key in reserved.keys:
            account = self._accounts[key]
            account.reserved -= reserved.sum
            account.added += used
            account.under_way -= 1

    async def write(self) -> None:
        """Write down what was added since the last time; what cannot be written is written later."""
        async with self._lock:
            more = {key: account.added for key, account in self._accounts.items() if account.added != NOTHING}
            if more:
                self._take(await self._store.add(more), more)
        self._forget()

    def _old(self, lines: Sequence[Line]) -> list[Key]:
        before = self._clock() - FRESH_SECONDS
        return [line.key for line in lines if self._accounts[line.key].read_at < before]

    async def _read(self, keys: Sequence[Key]) -> None:
        if not keys:
            return
        try:
            found = await self._store.sums(keys)
        except Error as error:
            if any(self._accounts[key].read_at == float("-inf") for key in keys):
                raise
            logger.debug("what others used of budgets is not known: %s", error)
        else:
            self._take({key: found.get(key, NOTHING) for key in keys}, {})

    def _take(self, sums: Mapping[Key, Sum], written: Mapping[Key, Sum]) -> None:
        for key, sum in sums.items():
            account = self._accounts[key]
            account.written, account.read_at = sum, self._clock()
            account.added -= written.get(key, NOTHING)

    def _forget(self) -> None:
        before = self._clock() - IDLE_SECONDS
        for key, one in list(self._accounts.items()):
            if one.asked_at < before and not one.under_way and one.added == NOTHING:
                del self._accounts[key]

    def _share(self, line: Line) -> float:
        return self._accounts[line.key].used(line) / line.limit
