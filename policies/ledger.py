"""What a rule remembers of sessions: tokens that it spent, and those that it ended. Kept in memory, and bounded."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from lockgate.exchange import Exchange

SESSIONS = 10_000
"""So many are remembered, the latest."""


def session_key(x: Exchange) -> str:
    """Names the session: by the agent's word, else by its client and what it was first asked."""
    if x.session_id:
        return x.session_id
    first = next((spot.text for spot in x.request.texts() if spot.role == "user"), "")
    return hashlib.sha256(f"{x.client}\0{x.agent}\0{first}".encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """The sessions of one rule."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._spent: OrderedDict[str, int] = OrderedDict()

    def end(self, key: str, seconds: float) -> None:
        """Refuse the session's requests for so long."""
        self._ended[key] = self._clock() + seconds
        _bound(self._ended)

    def is_ended(self, key: str) -> bool:
        until = self._ended.get(key)
        return until is not None and self._clock() < until

    def spend(self, key: str, tokens: int) -> None:
        self._spent[key] = self._spent.pop(key, 0) + tokens
        _bound(self._spent)

    def spent(self, key: str) -> int:
        return self._spent.get(key, 0)


def _bound(kept: OrderedDict[str, float] | OrderedDict[str, int]) -> None:
    if len(kept) > SESSIONS:
        kept.popitem(last=False)
