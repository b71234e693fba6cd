"""What a rule remembers of sessions: tokens that it spent, and those that it ended. Kept in memory, and bounded."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from lockgate.exchange import Exchange

SESSIONS = 30_000
"""So many names of sessions are remembered, the latest."""


def session_keys(x: Exchange) -> Sequence[str]:
    """What the session is known by: its id, and the agent's own word for it, or else who began it with which words.

    A compaction or a fork changes the first: whoever has one of them is meant. Agents that name their sessions may
    begin all of them with the same words, which say nothing then.
    """
    marker = x.session.marker if x.session else ""
    return [key for key in (x.session_id, marker or opening(x)) if key]


def all_keys(x: Exchange) -> Sequence[str]:
    """Its first words as well, so that a session that is ended is known again where its agent names none any more."""
    return list(dict.fromkeys((*session_keys(x), opening(x))))


def opening(x: Exchange) -> str:
    """Who began the conversation, and all that they said before the model first answered, as a digest."""
    spots = (spot for spot in x.request.texts() if spot.role not in ("system", "definition"))
    said = "\0".join(spot.text for spot in takewhile(lambda spot: spot.role == "user", spots))
    return hashlib.sha256(f"{x.client}\0{x.agent}\0{said}".encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """The sessions of one rule."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._spent: OrderedDict[str, int] = OrderedDict()

    def end(self, keys: Iterable[str], seconds: float) -> None:
        """Refuse the session's requests for so long."""
        for key in keys:
            self._ended[key] = self._clock() + seconds
            _bound(self._ended)

    def is_ended(self, keys: Iterable[str]) -> bool:
        return any(self._clock() < self._ended.get(key, -math.inf) for key in keys)

    def spend(self, keys: Iterable[str], tokens: int) -> None:
        for key in keys:
            self._spent[key] = self._spent.pop(key, 0) + tokens
            _bound(self._spent)

    def spent(self, keys: Iterable[str]) -> int:
        return max((self._spent.get(key, 0) for key in keys), default=0)


def _bound(kept: OrderedDict[str, float] | OrderedDict[str, int]) -> None:
    if len(kept) > SESSIONS:
        kept.popitem(last=False)
