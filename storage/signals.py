"""Tells a proxy that another process changed something in the database. What changed, whoever hears it looks up.

PostgreSQL says so by NOTIFY, over a connection of this module's own; an SQLite file is looked at a few times a second.
A signal is a hint and carries nothing: it may come twice, or for a change of one's own, but it never fails to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lockgate.errors import Error, told
from lockgate.storage.address import Address, parse

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from sqlalchemy import Connection

logger = logging.getLogger("lockgate.signals")

type Changed = Callable[[], Awaitable[None] | None]

APPROVALS, KILLS, ACCESS = "approval", "kill", "access"
"""The channels: what waits for people; what is stopped; projects, tokens and keys."""
POSTGRES_CHANNEL = "lockgate"
"""One for all: the name of what changed is the payload, so that a connection listens once."""
POLL_SECONDS = 0.25
BEAT_SECONDS = 5.0
"""How long a silent PostgreSQL is believed to be there, and to be the one that is written to."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0
"""Short, because a kill has to reach every proxy within two seconds of the database's return."""


def tell(connection: Connection, channel: str) -> None:
    """Within a transaction, after what was changed: who watches the channel hears of it once it is committed."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy import func, select

        connection.execute(select(func.pg_notify(POSTGRES_CHANNEL, channel)))
    else:  # a number in the file's header, which nobody else uses, and which belongs to the transaction
        told = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {(told + 1) % 2**31}")


class Signals:
    """`watch` before or after `start`, which needs a running loop; nothing is asked of the database before a `watch`.

    Whoever watches is told of every change on its channel, and whenever one may have been missed: when the connection
    is there for the first time, and each time it is there again.
    """

    def __init__(self, url: str) -> None:
        """Touches nothing yet. Raises ConfigError for a bad URL."""
        self._address = parse(url)
        self._watches: list[_Watch] = []
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def watch(self, channel: str, changed: Changed) -> Callable[[], None]:
        """Have `changed` called after each change, one call at a time, and again where it fails; gives what stops it.

        Changes that come while it runs make one further call together.
        """
        watch = _Watch(channel, changed)
        self._watches.append(watch)
        self._wanted.set()
        if self._task is not None:
            watch.start()

        def stop() -> None:
            watch.stop()
            if watch in self._watches:
                self._watches.remove(watch)
            if not self._watches:
                self._wanted.clear()

        return stop

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="lockgate-signals")
        for watch in self._watches:
            watch.start()

    async def close(self) -> None:
        """Nobody is told any more; a call that is under way is given up."""
        tasks = [task for task in (self._task, *(watch.task for watch in self._watches)) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=BEAT_SECONDS)
        self._watches.clear()
        self._task = None

    def _tell(self, channel: str | None = None) -> None:
        """Whoever watches this channel; everyone, where none is named."""
        for watch in self._watches:
            if channel is None or watch.channel == channel:
                watch.tell()

    async def _listen(self) -> None:
        pause, is_away = FIRST_RETRY_SECONDS, False

        def back() -> None:
            nonlocal pause, is_away
            if is_away:
                logger.warning("changes in %s are heard of again", self._address.shown)
            pause, is_away = FIRST_RETRY_SECONDS, False
            self._tell()

        while True:
            await self._wanted.wait()
            try:
                await (self._poll(back) if self._address.kind == "sqlite" else self._hear(back))
            except Exception as error:
                if not is_away:
                    is_away = True
                    why = self._address.clean(error) or type(error).__name__
                    logger.warning("changes in %s are not heard of: %s; trying again", self._address.shown, why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    async def _poll(self, back: Callable[[], None]) -> None:
        """An SQLite file's version differs when anyone else has committed something; microseconds, and no lock.

        Most of that is the log: only what was told is a change.
        """
        uri = f"{self._address.path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as connection:
            seen, told = _data_version(connection), _told(connection)
            back()
            while True:
                await asyncio.sleep(POLL_SECONDS)
                await self._wanted.wait()
                if (version := _data_version(connection)) != seen:
                    seen = version
                    if (number := _told(connection)) != told:
                        told = number
                        self._tell()

    async def _hear(self, back: Callable[[], None]) -> None:
        connection = await (await asyncio.to_thread(_connector, self._address))()
        try:
            await connection.execute(f"LISTEN {POSTGRES_CHANNEL}".encode())
            back()
            while True:
                async for notify in connection.notifies(timeout=BEAT_SECONDS):
                    self._tell(notify.payload)
                await _check(connection)
        finally:
            await connection.close()


class _Watch:
    """One who is told, on a task of its own, so that nobody waits for it."""

    def __init__(self, channel: str, changed: Changed) -> None:
        self.channel = channel
        self.task: asyncio.Task[None] | None = None
        self._changed = changed
        self._event = asyncio.Event()
        self._stopped = False

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"lockgate-watch-{self.channel}")

    def tell(self) -> None:
        self._event.set()

    def stop(self) -> None:
        """A call that is under way goes on to its end: it may be the one that stops it."""
        self._stopped = True
        self._event.set()

    async def _run(self) -> None:
        failed = False
        while await self._event.wait() and not self._stopped:
            self._event.clear()
            try:
                if (answer := self._changed()) is not None:
                    await answer
                failed = False
            except Exception as error:  # most often the database, which was there a moment ago
                if not failed:
                    logger.warning("what changed in '%s' cannot be read: %s; trying again", self.channel, told(error))
                failed = True
                self._event.set()
                await asyncio.sleep(LAST_RETRY_SECONDS)


def _data_version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA data_version").fetchone()[0]


def _told(connection: sqlite3.Connection) -> int:
    """Differs when `tell` was called."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _connector(address: Address) -> Callable[[], Awaitable[AsyncConnection[Any]]]:
    """What opens a connection; on a thread, because it imports the driver."""
    from psycopg import AsyncConnection
    from psycopg.conninfo import make_conninfo

    from lockgate.storage.engine import PATIENCE, libpq_arguments

    conninfo = make_conninfo("", **PATIENCE | libpq_arguments(address))
    return lambda: AsyncConnection[Any].connect(conninfo, autocommit=True)


async def _check(connection: AsyncConnection[Any]) -> None:
    """Raises where the server is gone, hangs, or is not the one that is written to: no signal would come from it."""
    async with asyncio.timeout(BEAT_SECONDS):
        found = await (await connection.execute("SHOW transaction_read_only")).fetchone()
    if found and found[0] == "on":
        raise Error("the server is read-only, so changes are made at another one")
