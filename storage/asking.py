"""The port `Approvals` in SQL: a call is put before people, and its exchange waits for what they say.

Several proxies and whoever decides meet in the table alone. Every step is one UPDATE that names the state it begins
with, so that of two at once one wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate.errors import StorageError, told
from lockgate.records import Approval, new_id, now
from lockgate.storage.address import Address, parse
from lockgate.storage.signals import APPROVALS, Signals

if TYPE_CHECKING:
    from lockgate.storage.approval_rows import ApprovalRows

logger = logging.getLogger("lockgate.approvals")

GRACE_SECONDS = 90.0
"""How long a call waits for a client that left: those that gave up come back within a minute or so."""
CLOSE_SECONDS = 5.0


class SqlApprovals:
    """Asks over connections that open with the first question; hears of answers by the signals."""

    def __init__(self, url: str, signals: Signals, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Touches nothing yet. Raises ConfigError for a bad URL."""
        self._address, self._signals, self._grace_seconds = parse(url), signals, grace_seconds
        self._rows: asyncio.Future[ApprovalRows] | None = None
        self._waiting: dict[tuple[str, str], asyncio.Event] = {}
        """By the ids of approval and exchange: set when something about it is new."""
        self._stop_watching: Callable[[], None] | None = None
        self._left: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        """Raises StorageError."""
        rows = await self._opened()
        waiting = await rows.take_over(asked)
        while True:
            try:
                if waiting is None:
                    await rows.insert(asked)
                    put(asked)
                answer = await self._answer(rows, waiting or asked)
            except BaseException:
                self._leave(rows, waiting or asked)
                raise
            if answer is not None:
                return answer
            # Another request for the same took it over, and this one's client is there all the same.
            waiting, asked = None, replace(asked, id=new_id())

    async def close(self) -> None:
        """What nobody decided about is withdrawn: a client that comes back will not find this proxy."""
        self._closing.set()
        for news in self._waiting.values():
            news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._waiting or self._left:
                    await (asyncio.wait(set(self._left)) if self._left else asyncio.sleep(0))
        if self._rows is not None:
            await (await self._rows).close()

    async def _opened(self) -> ApprovalRows:
        """SQLAlchemy is imported on a thread, and not again for whoever did not wait for it."""
        if self._closing.is_set():
            raise StorageError("the proxy stops, and asks nobody any more")
        if self._rows is None:
            self._rows = asyncio.ensure_future(asyncio.to_thread(_open, self._address))
        return await asyncio.shield(self._rows)

    async def _answer(self, rows: ApprovalRows, waiting: Approval) -> Approval | None:
        """What was decided, which is used up with that; None where it is another exchange's by now."""
        news = self._heed(waiting)
        try:
            while True:
                news.clear()
                await self._opened()  # raises where the proxy stops
                found = await rows.get(waiting)
                if found is None or found.exchange_id != waiting.exchange_id or found.state == "withdrawn":
                    return None
                if _shown(found) != _shown(waiting):
                    raise StorageError(f"approval {found.id} was changed in the database since it was shown")
                if found.state == "expired":
                    return found
                if found.state != "pending":
                    return found if await rows.use(found) else None
                if (seconds := (found.deadline - now()).total_seconds()) <= 0:
                    await rows.expire(found)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await news.wait()
        finally:
            self._unheed(waiting)

    def _heed(self, waiting: Approval) -> asyncio.Event:
        news = self._waiting[waiting.id, waiting.exchange_id] = asyncio.Event()
        if self._stop_watching is None:
            self._stop_watching = self._signals.watch(APPROVALS, self._look)
        return news

    def _unheed(self, waiting: Approval) -> None:
        self._waiting.pop((waiting.id, waiting.exchange_id), None)
        if not self._waiting and self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    async def _look(self) -> None:
        """One question for all that wait here. Raises StorageError; then it is asked again."""
        if self._closing.is_set():
            return
        rows = await self._opened()
        for one in await rows.news(list(self._waiting)):
            if one in self._waiting:
                self._waiting[one].set()

    def _leave(self, rows: ApprovalRows, waiting: Approval) -> None:
        task = asyncio.get_running_loop().create_task(self._withdraw(rows, waiting))
        self._left.add(task)
        task.add_done_callback(self._left.discard)

    async def _withdraw(self, rows: ApprovalRows, waiting: Approval) -> None:
        """Unless the client comes back, to whichever proxy."""
        try:
            if (left_at := await rows.leave(waiting)) is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace_seconds):
                    await self._closing.wait()
            await rows.withdraw(waiting, left_at)
        except Exception as error:  # it expires
            logger.warning("approval %s cannot be withdrawn: %s", waiting.id, told(error))


def _shown(approval: Approval) -> tuple[object, ...]:
    return approval.tool, approval.arguments, approval.custom, approval.digest


def _open(address: Address) -> ApprovalRows:
    from lockgate.storage.approval_rows import ApprovalRows

    return ApprovalRows(address)
