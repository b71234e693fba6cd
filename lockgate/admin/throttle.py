"""So many tries at once, then one every so many seconds, for each name or address. No I/O; its memory is bounded."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

KEPT = 10_000
"""Of those that tried; whoever tried the longest ago is forgotten first."""


class Throttle:
    """`seconds` is how long until one try is given back."""

    def __init__(self, *, tries: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries, self._seconds, self._clock = tries, seconds, clock
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """When all tries will have been given back."""

    def __len__(self) -> int:
        return len(self._free_at)

    def wait(self, who: str) -> int:
        """Take one try; 0, or the whole seconds until there is one, when nothing was taken."""
        now = self._clock()
        free_at = max(self._free_at.get(who, now), now) + self._seconds
        if (over := free_at - now - self._tries * self._seconds) > 0:
            return math.ceil(over)
        self._free_at[who] = free_at
        self._free_at.move_to_end(who)
        if len(self._free_at) > KEPT:
            self._free_at.popitem(last=False)
        return 0

    def forget(self, who: str) -> None:
        """It was the right one after all: its tries are given back."""
        self._free_at.pop(who, None)
