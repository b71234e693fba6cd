"""A client in a terminal of its own, and somebody who types: for what clients do only with a person there."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROWS, COLUMNS = 40, 120
WAIT_SECONDS = 60
LOOK_SECONDS = 0.05
"""How often a wait looks again: what it waits for tells nobody when it happens."""


class Terminal:
    """What the client has drawn so far, and its keyboard."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.drawn = b""

    @classmethod
    @asynccontextmanager
    async def started(
        cls, command: Sequence[str], environment: Mapping[str, str], work: Path
    ) -> AsyncGenerator[Terminal]:
        """The client is killed when the block ends."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        variables = {**environment, "TERM": "xterm-256color"}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=slave, stdout=slave, stderr=slave, env=variables, cwd=work, start_new_session=True
        )
        os.close(slave)
        terminal = cls(master)
        asyncio.get_running_loop().add_reader(master, terminal._read)
        try:
            yield terminal
        finally:
            asyncio.get_running_loop().remove_reader(master)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            os.close(master)

    async def says(self, text: str) -> None:
        """Types a line, and presses enter once the client shows it."""
        seen = len(self.drawn)
        os.write(self._master, text.encode())
        await self.until(lambda: text.split()[-1].encode() in self.drawn[seen:])
        os.write(self._master, b"\r")

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)

    def _read(self) -> None:
        try:
            self.drawn += os.read(self._master, 65536)
        except OSError:  # the client has closed its end
            asyncio.get_running_loop().remove_reader(self._master)
