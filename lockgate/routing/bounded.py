"""Work of a library that may not notice that it was cancelled, with a bound all the same.

anyio, under httpx, takes a cancellation for one of its own where both fall on the moment in which a connection opens:
what was cancelled then goes on, and a timeout, which cancels once, waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def within[Result](seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """What the work gives. Raises TimeoutError after `seconds`, whether or not the work has noticed."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
        task.add_done_callback(_heard)
    if not done:
        raise TimeoutError
    return task.result()


def go_on() -> None:
    """Raises CancelledError where this task was cancelled and something on the way has swallowed that."""
    if (task := asyncio.current_task()) and task.cancelling():
        raise asyncio.CancelledError


def _heard(task: asyncio.Task[Any]) -> None:
    """Its end was not waited for: an error it ends with is nobody's."""
    if not task.cancelled():
        task.exception()
