"""What is not as it should be, part by part: the database, the spill, model hosts.

Parts say what they have met; nobody is probed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.errors import told
from lockgate.records import ExchangeRow, now

WINDOW_SECONDS = 60.0
FEWEST_TRIES = 3
"""Fewer say nothing: one that failed may be anything."""
FAILING_SHARE = 0.5
MOST_TRIES = 1_000
"""Of one host that are kept in mind; with more in a minute, the latest count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A part that is not as it should be."""

    what: str
    """For anyone who may ask whether the proxy is ready: it names no place, no address and nobody."""
    since: datetime
    is_fatal: bool = False
    """Whether exchanges fail for it; else the proxy goes on without the part."""
    detail: str = ""
    """The same for who may see more."""


type Part = Callable[[], Degraded | None]
"""How a part is; None where it is well. It is asked on the event loop, and waits for nothing."""


class Health:
    """All parts of one proxy, by name."""

    def __init__(self, parts: Mapping[str, Part] | None = None) -> None:
        self._parts = dict(parts or {})
        self.started_at = now()

    def add(self, name: str, part: Part) -> None:
        self._parts[name] = part

    def states(self) -> Mapping[str, Degraded | None]:
        return {name: _asked(part) for name, part in self._parts.items()}


def _asked(part: Part) -> Degraded | None:
    try:
        return part()
    except Exception as error:  # the others are told all the same
        return Degraded(what="it cannot be told how this is", since=now(), detail=told(error))


@dataclass(slots=True)
class _Tries:
    """Of one model host, within the window."""

    seen: deque[tuple[float, bool]] = field(default_factory=deque[tuple[float, bool]])
    failed: int = 0
    failing_since: datetime | None = None

    def add(self, at: float, failed: bool) -> None:
        self.seen.append((at, failed))
        self.failed += failed
        self.forget(at - WINDOW_SECONDS)

    def forget(self, before: float) -> None:
        while self.seen and (self.seen[0][0] < before or len(self.seen) > MOST_TRIES):
            self.failed -= self.seen.popleft()[1]
        if len(self.seen) < FEWEST_TRIES or self.failed < FAILING_SHARE * len(self.seen):
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = now()


class Upstreams:
    """Which model hosts fail, as exchanges have found.

    It never makes a proxy unready: another one would fare no better.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: dict[str, _Tries] = {}

    def ended(self, row: ExchangeRow) -> None:
        """Note an exchange with a model host of the configuration."""
        if (failed := provider_failed(row)) is not None:
            self._hosts.setdefault(row.host, _Tries()).add(self._clock(), failed)

    def state(self) -> Degraded | None:
        for tries in self._hosts.values():
            tries.forget(self._clock() - WINDOW_SECONDS)
        failing = {host: tries for host, tries in self._hosts.items() if tries.failing_since}
        if not failing:
            return None
        shares = (f"{host}: {one.failed} of {len(one.seen)} tries failed" for host, one in sorted(failing.items()))
        return Degraded(
            what="a model host answers with errors, or not at all",
            since=min(tries.failing_since for tries in failing.values() if tries.failing_since),
            detail=f"within the last minute, {'; '.join(shares)}",
        )


def provider_failed(row: ExchangeRow) -> bool | None:
    """Whether the provider is at fault; None where it was not asked, or nobody knows what it would have said.

    An error that says that the client is at fault, a rate limit included, is an answer as good as any.
    """
    match row.outcome:
        case "passed" | "changed" | "blocked":
            return False
        case "cut":
            return True  # it gave no reply, or broke off
        case "error" if "limits.reply_bytes" in row.error:
            return False  # it said more than whoever asked may have
        case "error" if row.error.startswith("HTTP "):
            return row.status is None or row.status >= 500
        case "error" if row.status in (200, 502):
            return True  # an error in the midst of a stream, or a reply that nobody can read
        case _:
            return None
