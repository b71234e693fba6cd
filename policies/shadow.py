"""A shadow rule sees what passes and changes nothing: only its decisions are recorded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from lockgate.errors import told
from lockgate.events import Event, MessageEnd, Request
from lockgate.policies.base import Blocked
from lockgate.policies.run import Run

WAITING = 1_000
"""More than this many things to look at, and the shadow has fallen behind: it is left out and that is recorded."""


class Shadow:
    """A rule asked beside the stream, in order: it never makes the client wait."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._waiting: deque[Coroutine[Any, Any, Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._behind = False

    def request(self, request: Request) -> None:
        if self.run.requests:
            self._ask(self.run.request(request))

    def events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if type(event) is MessageEnd and self.run.ends:
                self._ask(self.run.end())
            if self.run.cares(event):
                self._ask(self.run.event(event))

    async def close(self) -> None:
        """Wait for the verdicts still to come: each has the rule's deadline."""
        if self._task is not None:
            await self._task

    def _ask(self, question: Coroutine[Any, Any, Any]) -> None:
        if self._behind or len(self._waiting) >= WAITING:
            question.close()
            self._say_behind()
            return
        self._waiting.append(question)
        if self._task is None or self._task.done():
            # An eager task runs at once as far as it can: a rule that does not wait is done here.
            self._task = asyncio.Task(self._work(), loop=asyncio.get_running_loop(), eager_start=True)

    async def _work(self) -> None:
        while self._waiting:
            try:
                await self._waiting.popleft()
            except Blocked:
                pass  # it was recorded, which is all that a shadow does
            except Exception as error:
                self.run.record("failure", "failed", 0.0, refusal=Blocked(told(error)))

    def _say_behind(self) -> None:
        if not self._behind:
            self._behind = True
            self.run.record(
                "failure", "failed", 0.0, refusal=Blocked(f"more than {WAITING} events waited for this rule")
            )
