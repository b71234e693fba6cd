"""The same limits for several proxies: counted in Redis, by its clock, in one step for each exchange.

What is under way is held by leases, which a proxy that dies does not renew. While Redis is away, a proxy counts by
itself, and has counted its own exchanges all along; or it refuses what is limited.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, count
from pathlib import Path
from typing import Literal, cast

from lockgate.access.limits import (
    BUSY_SECONDS,
    Limited,
    MemoryLimiter,
    Size,
    Subject,
    Taken,
    busy,
    check_size,
    too_fast,
)
from lockgate.access.redis_script import Away, RedisScript
from lockgate.health import Degraded

LEASE_SECONDS = 30.0
"""So long a proxy that died still counts."""
RENEWALS = 3
"""In the time of a lease, so that one or two may be lost."""
AT_ONCE = 200
"""Leases that are renewed in one step: Redis does nothing else meanwhile."""
_SCRIPT = Path(__file__).with_name("limits.lua")
_OTHERWISE = {
    "open": "each proxy counts by itself until it answers",
    "closed": "what is limited is refused until it answers",
}


@dataclass(slots=True, kw_only=True)
class SharedTaken(Taken):
    """What one exchange has taken, here and there."""

    own: Taken
    """Of this proxy's own count."""
    lease: str
    is_shared: bool
    """Whether it was counted in Redis as it began."""


class SharedLimiter:
    """A `Limiter`. `start` needs a running loop."""

    def __init__(self, url: str, *, when_away: Literal["open", "closed"] = "open") -> None:
        """Raises ConfigError."""
        self._is_open = when_away == "open"
        self._redis = RedisScript(url, _SCRIPT.read_text("utf-8"), back=self._renew, otherwise=_OTHERWISE[when_away])
        self._own = MemoryLimiter()
        self._proxy, self._numbers = secrets.token_hex(8), count()
        self._leases: dict[str, Sequence[str]] = {}
        """What is under way: the keys that each lease stands in."""
        self._task: asyncio.Task[None] | None = None

    @property
    def away(self) -> str | None:
        """Why Redis cannot be asked, as the end of a sentence; None while it can."""
        return self._redis.away

    def state(self) -> Degraded | None:
        """How this is as a part of the proxy's health."""
        if self.away is None:
            return None
        what = _OTHERWISE["open" if self._is_open else "closed"]
        detail = f"Redis at {self._redis.shown}: {self.away}"
        return Degraded(what=what, since=self._redis.away_since, is_fatal=not self._is_open, detail=detail)

    def start(self) -> None:
        self._redis.start()
        self._task = asyncio.get_running_loop().create_task(self._keep_renewing(), name="lockgate-leases")

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
        await self._redis.close()

    async def take(self, subjects: Sequence[Subject], size: Size) -> Taken:
        for subject in subjects:
            check_size(subject, size)
        counted, lease = [subject for subject in subjects if _is_counted(subject)], ""
        own: Taken | None = None
        if counted:
            lease = f"{self._proxy}:{next(self._numbers)}"
            try:
                await self._take(counted, size, lease)
            except Away as error:
                if not self._is_open:
                    raise Limited("how much is under way cannot be known at the moment", BUSY_SECONDS) from error
                own = await self._own.take(subjects, size)
            self._leases[lease] = [_keys(one)[1] for one in counted if one.limits.concurrent]
        return SharedTaken(
            subjects=subjects, tokens=size.tokens, own=own or self._own.count(subjects, size), lease=lease,
            is_shared=own is None,
        )  # fmt: skip

    def give_back(self, taken: Taken, tokens: int) -> None:
        taken = cast(SharedTaken, taken)
        self._own.give_back(taken.own, tokens)
        if not taken.is_over and taken.lease:
            del self._leases[taken.lease]
            self._settle(taken, tokens)
        taken.is_over = True

    async def _take(self, subjects: Sequence[Subject], size: Size, lease: str) -> None:
        """Raises Limited, Away."""
        numbers = [n or 0 for one in subjects for n in _rates(one)]
        keys = [key for one in subjects for key in _keys(one)]
        try:
            found = await self._redis.ask(keys, ["take", lease, round(LEASE_SECONDS * 1000), size.tokens, *numbers])
        except asyncio.CancelledError:
            self._redis.tell(keys, ["settle", lease, *[0] * len(keys)])  # it may have been given all the same
            raise
        if found:
            number, what, microseconds = found
            subject = subjects[cast(int, number) - 1]
            raise busy(subject) if what == "concurrent" else too_fast(subject, what, microseconds * 1000)

    def _settle(self, taken: SharedTaken, tokens: int) -> None:
        subjects = [one for one in taken.subjects if _is_counted(one)]
        more: list[int] = []
        for one in subjects:
            rate = one.limits.tokens_per_minute or 0
            more += (rate, tokens - min(taken.tokens, rate) if taken.is_shared else 0)
        self._redis.tell([key for one in subjects for key in _keys(one)], ["settle", taken.lease, *more])

    def _renew(self) -> None:
        held = ((key, lease) for lease, keys in self._leases.items() for key in keys)
        for some in batched(held, AT_ONCE):
            leases = [lease for _, lease in some]
            self._redis.tell([key for key, _ in some], ["renew", round(LEASE_SECONDS * 1000), *leases])

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            self._renew()


def _rates(subject: Subject) -> Iterator[int | None]:
    limits = subject.limits
    yield from (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent)


def _is_counted(subject: Subject) -> bool:
    return any(_rates(subject))


def _keys(subject: Subject) -> tuple[str, str]:
    """The buckets, and what is under way; the braces keep all of them at one server of a cluster."""
    key = f"lockgate:{{limits}}:{subject.whose}:{subject.id}"
    return key, f"{key}:leases"
