"""The management API as a part of a proxy: opened with it, closed with it. Nothing heavy is imported before."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lockgate.access.audit import Audit
from lockgate.access.keyring import Keyring
from lockgate.admin.proxy import Proxy
from lockgate.config import Config, is_address
from lockgate.errors import Error, told
from lockgate.parts import Parts

if TYPE_CHECKING:
    from uvicorn import Server

    from lockgate.admin.desk import Desk

logger = logging.getLogger("lockgate.admin")

CLOSE_SECONDS = 10.0
RETRY_SECONDS = 5.0


class Management:
    """Listens from `start` on; who connects waits until all is imported."""

    def __init__(self, config: Config, keyring: Keyring, proxy: Proxy, audit: Audit | None = None) -> None:
        self._config, self._keyring, self._proxy, self._audit = config, keyring, proxy, audit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lockgate-admin")
        self._socket: socket.socket | None = None
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._parts = Parts()

    @property
    def port(self) -> int:
        """Where it listens; 0 before."""
        return self._socket.getsockname()[1] if self._socket else 0

    def start(self) -> None:
        """Needs a running loop. Raises ConfigError where the address cannot be had."""
        from lockgate.admin.listening import listen

        self._socket = listen(self._config.admin.listen)
        self._task = asyncio.get_running_loop().create_task(self._serve(self._socket), name="lockgate-admin")

    async def close(self) -> None:
        """What is under way has a few seconds; new connections are not taken."""
        await self._proxy.activity.close()
        if self._server is not None:
            self._server.should_exit = True
        elif self._task is not None:
            self._task.cancel()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        if self._socket is not None:
            self._socket.close()
        await asyncio.to_thread(self._thread.shutdown)
        await self._parts.close()

    async def _serve(self, listening: socket.socket) -> None:
        try:
            desk, self._server = await asyncio.to_thread(self._opened)
            self._watch_approvals(desk)
            logger.info("the console is at %s", self._address())
            beside = [asyncio.create_task(each) for each in (self._offer_setup(desk), self._follow_others(desk))]
            await self._server.serve(sockets=[listening])
            for task in beside:
                task.cancel()
        except Exception as error:
            logger.error("the management API has stopped: %s", told(error))
            listening.close()

    def _opened(self) -> tuple[Desk, Server]:
        """On a thread: FastAPI and SQLAlchemy take a second to import."""
        from lockgate.admin.app import make_app
        from lockgate.admin.console.pages import compile_all
        from lockgate.admin.opening import open_desk
        from lockgate.admin.server import server_of
        from lockgate.storage import schema
        from lockgate.storage.address import parse

        if parse(self._config.database).kind == "sqlite":
            schema.upgrade(self._config.database)  # as the log does, and whoever is first
        desk = open_desk(self._config, self._keyring, self._thread, self._proxy, self._parts, self._audit)
        compile_all()
        return desk, server_of(make_app(desk))

    def _watch_approvals(self, desk: Desk) -> None:
        """Here and not on the thread: signals are of the loop."""
        from lockgate.admin.waiting import Waiting
        from lockgate.storage.signals import APPROVALS

        self._proxy.watch(APPROVALS, Waiting(desk.approvals, desk.activity).look)

    async def _follow_others(self, desk: Desk) -> None:
        from lockgate.admin.others import Others

        await Others(desk.large, desk.activity).run()

    async def _offer_setup(self, desk: Desk) -> None:
        """Where there is no administrator, print the link that makes the first; to a terminal, and into no log."""
        known = await self._is_managed(desk)
        while known is None:
            await asyncio.sleep(RETRY_SECONDS)
            known = await self._is_managed(desk)
        if known:
            return
        if not sys.stderr.isatty():
            logger.warning("there is no administrator yet: make one with `lockgate admin create NAME`")
            return
        minutes = self._config.admin.setup_minutes
        print(
            f"No administrator yet. To make the first, open this link once, within {minutes:g} minutes:\n"
            f"  {self._address()}/setup#{desk.setup.begin()}",
            file=sys.stderr,
        )

    async def _is_managed(self, desk: Desk) -> bool | None:
        """Whether there is an administrator; None where that cannot be known just now."""
        try:
            return await desk.people.do(lambda people: people.are_there())
        except Error as error:
            logger.debug("whether there is an administrator is not known: %s", error)
            return None

    def _address(self) -> str:
        host = self._config.admin.listen.rpartition(":")[0]
        if is_address(host) and host.strip("[]") in ("0.0.0.0", "::"):
            host = "127.0.0.1"
        return f"http://{host}:{self.port}"
