"""How fast, and how much at once: what exchanges take of the limits of those that they belong to. No I/O.

A rate is a bucket, as providers have it: it holds what a minute allows, and fills evenly. So the time until the next
request fits is known exactly, and short. Here it is counted in memory, where who does nothing is forgotten;
`shared_limits` counts the same for several proxies.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lockgate.config import AccessLimits
from lockgate.errors import AccessError

type Whose = Literal["token", "project", "address", "all"]
type Counted = Literal["requests", "tokens"]

WHOSE = {"token": "the token", "project": "the token's project", "address": "this address", "all": "Lockgate"}
MINUTE_NS = 60 * 10**9
SECOND_NS = 10**9
BUSY_SECONDS = 5
"""When to ask again where others have to end first: nobody knows when they do."""
LONGEST_WAIT_SECONDS = 30
"""Who has to wait longer is refused for good: some clients sleep as long as they are told, and others do not wait."""


class Limited(AccessError):
    """It is too much, or too fast. After `retry_after` whole seconds it fits; 0 where waiting does not help."""

    def __init__(self, sentence: str, retry_after: int = 0, *, kind: str = "limit") -> None:
        super().__init__(sentence, kind=kind)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Subject:
    """One that limits are for."""

    whose: Whose
    id: str
    limits: AccessLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a request is."""

    request_bytes: int
    messages: int
    tokens: int = 0
    """About so many it will take."""


@dataclass(slots=True)
class Taken:
    """What one exchange has taken, of every subject the same."""

    subjects: Sequence[Subject]
    tokens: int
    is_over: bool = False


@dataclass(slots=True)
class _State:
    """Of one subject. The times say when a bucket will be full again, in nanoseconds of the clock."""

    running: int = 0
    requests_full: int = 0
    tokens_full: int = 0


class Limiter(Protocol):
    """Counts what exchanges take. Each takes of all its subjects, or of none."""

    async def take(self, subjects: Sequence[Subject], size: Size) -> Taken:
        """For an exchange that begins. Raises Limited where one of the subjects has no room for it."""
        ...

    def give_back(self, taken: Taken, tokens: int) -> None:
        """The exchange is over, however it ended, and took so many tokens. Only the first call counts."""
        ...


class MemoryLimiter:
    """The limits of one proxy."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._states: OrderedDict[tuple[Whose, str], _State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    async def take(self, subjects: Sequence[Subject], size: Size) -> Taken:
        now = self._clock()
        for subject in subjects:
            check_size(subject, size)
            if state := self._states.get((subject.whose, subject.id)):
                _check(subject, state, size, now)
        return self.count(subjects, size)

    def count(self, subjects: Sequence[Subject], size: Size) -> Taken:
        """The same, whether or not there is room: somebody else has seen to that."""
        now = self._clock()
        self._forget(now, 1 + len(subjects))
        for subject in subjects:
            state = self._states.setdefault((subject.whose, subject.id), _State())
            state.running += 1
            if rate := subject.limits.requests_per_minute:
                state.requests_full = _later(state.requests_full, 1, rate, now)
            if rate := subject.limits.tokens_per_minute:
                state.tokens_full = _later(state.tokens_full, min(size.tokens, rate), rate, now)
        return Taken(subjects, size.tokens)

    def give_back(self, taken: Taken, tokens: int) -> None:
        if taken.is_over:
            return
        taken.is_over, now = True, self._clock()
        for subject in taken.subjects:
            state = self._states[subject.whose, subject.id]  # nobody is forgotten who has something running
            state.running -= 1
            if rate := subject.limits.tokens_per_minute:
                more = tokens - min(taken.tokens, rate)
                state.tokens_full = (
                    _later(state.tokens_full, more, rate, now) if more > 0 else state.tokens_full + more * _each(rate)
                )

    def _forget(self, now: int, count: int) -> None:
        """Look at one more than may come, so that those who do nothing are never many more than those who do."""
        for _ in range(min(count, len(self._states))):
            key, state = self._states.popitem(last=False)
            if state.running or state.requests_full > now or state.tokens_full > now:
                self._states[key] = state


def check_size(subject: Subject, size: Size) -> None:
    """Raises Limited for what is too large, whatever else there is."""
    limits, whose = subject.limits, WHOSE[subject.whose]
    if limits.request_bytes is not None and size.request_bytes > limits.request_bytes:
        raise Limited(
            f"a request of {size.request_bytes:,} bytes is too large: {whose} is held to {limits.request_bytes:,}"
        )
    if limits.messages is not None and size.messages > limits.messages:
        raise Limited(f"{size.messages:,} messages in a request are too many: {whose} is held to {limits.messages:,}")


def busy(subject: Subject) -> Limited:
    """As many are under way as may be."""
    held = f"{WHOSE[subject.whose]} is held to {subject.limits.concurrent:,} at a time"
    return Limited(f"{held}, and as many are under way", BUSY_SECONDS)


def too_fast(subject: Subject, what: Counted, wait: int) -> Limited:
    """There is room after so many nanoseconds."""
    rate = subject.limits.requests_per_minute if what == "requests" else subject.limits.tokens_per_minute
    seconds = -(-wait // SECOND_NS)
    sentence = (
        f"{WHOSE[subject.whose]} is held to {rate:,} {what} a minute: there is room for this request in {seconds} s"
    )
    return Limited(sentence, seconds if seconds <= LONGEST_WAIT_SECONDS else 0)


def _check(subject: Subject, state: _State, size: Size, now: int) -> None:
    """Raises Limited."""
    limits = subject.limits
    if limits.concurrent is not None and state.running >= limits.concurrent:
        raise busy(subject)
    if (rate := limits.requests_per_minute) and (wait := _wait(state.requests_full, 1, rate, now)) > 0:
        raise too_fast(subject, "requests", wait)
    if rate := limits.tokens_per_minute:
        wait = _wait(state.tokens_full, min(size.tokens, rate), rate, now)
        if wait > 0:
            raise too_fast(subject, "tokens", wait)


def _each(rate: int) -> int:
    """What one of so many takes of a minute; whole, so that sums stay exact."""
    return -(-MINUTE_NS // rate)


def _later(full: int, count: int, rate: int, now: int) -> int:
    """When the bucket will be full again, after so many were taken from it."""
    return max(full, now) + count * _each(rate)


def _wait(full: int, count: int, rate: int, now: int) -> int:
    """How long until the bucket holds so many; 0 or less where it does."""
    return _later(full, count, rate, now) - now - rate * _each(rate)
