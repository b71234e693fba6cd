"""How fast work beside the writer goes: in short pieces, with a rest after each, so that nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

LEAST_REST_SECONDS = 0.02
"""SQLite's writers try again every hundredth of a second or so: a rest has to be long enough to be seen."""
MOST_REST_SECONDS = 2.0


class Pace:
    """`rest` is how often as long as a piece took the rest after it is; a `stop` ends every rest."""

    def __init__(self, rest: float = 1.0, stop: threading.Event | None = None) -> None:
        self._rest = rest
        self._stop = stop or threading.Event()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @contextmanager
    def work(self) -> Generator[None]:
        """One piece of work, and then the rest."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self._stop.wait(min(max(LEAST_REST_SECONDS, took * self._rest), MOST_REST_SECONDS))
