"""What may be put on `flow.response.stream`, and how its waiting is run.

Nothing here knows mitmproxy: bytes in, bytes out, one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol

MADE_BYTES = 64 * 1024  # what an async iterator may be ahead of the client

type Output = bytes | Iterable[bytes] | Awaitable[bytes | Iterable[bytes]] | AsyncIterable[bytes]


class EndStream(Exception):
    """Raised by a stream object: the reply ends cleanly with what was given so far, and upstream is cancelled."""


class ReplyStream(Protocol):
    """What is put on `flow.response.stream`. The call is required; the rest is used where it is there.

    Called with each chunk of the reply's body and once with b"" at its end. Any exception but EndStream aborts the
    reply. A list or tuple leaves as one piece; an empty piece never leaves.
    """

    keep_alive_seconds: float  # 0: no keep-alives
    holding: bool  # bytes were withheld that will come later
    held_bytes: int  # counted while a call awaits; what is withheld until more comes, the object itself must bound

    def __call__(self, data: bytes, /) -> Output: ...

    def keep_alive(self) -> bytes:
        """What the client is told while nothing was sent for `keep_alive_seconds` and the reply is held."""
        ...

    def failed(self, message: str, /) -> bytes:
        """The last words to the client before the abort, when upstream failed in the middle of the reply."""
        ...

    def cut(self, message: str, /) -> bytes:
        """The last words to the client where the exchange is cut from outside; b"" where only a reset is safe."""
        ...

    def closed(self, reason: str, by_client: bool, /) -> None:
        """Called once if the stream is over before its own end: by the client, or upstream failed, aborted, killed."""
        ...


_abandoned: set[asyncio.Task[None]] = set()  # cancelled, but perhaps still cleaning up; the loop's references are weak


class Held:
    """What a stream object is still working on, in one task; what it made so far waits to be taken."""

    def __init__(self, output: Awaitable[bytes | Iterable[bytes]] | AsyncIterable[bytes]) -> None:
        self._made: list[bytes] = []
        self._made_bytes = 0
        self._waiting: asyncio.Future[None] | None = None  # for something made, or the end
        self._blocked: asyncio.Future[None] | None = None  # for room to make more
        self.seconds: float | None = None  # until the next keep-alive is due
        self.is_idle = False  # whether the last wait ended without any news
        self.is_abandoned = False
        run = self._iterate(output) if isinstance(output, AsyncIterable) else self._await(output)
        # It runs right here up to where it really waits; if nowhere, nothing is paused.
        self.task = asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

    async def _await(self, output: Awaitable[bytes | Iterable[bytes]]) -> None:
        try:
            result = await output
            self._made.extend((result,) if isinstance(result, bytes) else result)
        finally:
            _wake(self._waiting)

    async def _iterate(self, output: AsyncIterable[bytes]) -> None:
        try:
            async for piece in output:
                self._made.append(piece)
                self._made_bytes += len(piece)
                _wake(self._waiting)
                if self._made_bytes > MADE_BYTES:
                    self._blocked = asyncio.get_running_loop().create_future()
                    await self._blocked
        finally:
            close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(output, "aclose", None)
            if close is not None:
                await close()
            _wake(self._waiting)

    def take(self) -> bytes:
        """What was made since the last call, as one piece."""
        made, self._made, self._made_bytes = b"".join(self._made), [], 0
        _wake(self._blocked)
        return made

    async def wait(self) -> None:
        """Returns when something was made, the work is over or abandoned, or a keep-alive is due."""
        self.is_idle = False
        if self._made or self.task.done() or self.is_abandoned:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.seconds):
                await self._waiting
        except TimeoutError:
            self.is_idle = True

    def abandon(self, reason: str) -> None:
        """Cancels the work and lets the stream go on at once, however long the work takes to stop."""
        self.is_abandoned = True
        leave(self.task, reason)
        _wake(self._waiting)


def leave(task: asyncio.Task[None], reason: str) -> None:
    """Cancels what is under way, and waits for nothing."""
    if task.done():
        _forget(task)
    else:
        _abandoned.add(task)
        task.add_done_callback(_forget)
        task.cancel(reason)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _forget(task: asyncio.Task[None]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not report it: nobody is left to hear it
