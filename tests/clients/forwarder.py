"""A minimal CONNECT proxy for tests: it leads provider names to a loopback port and refuses every other host."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

READ_BYTES = 65536


class Forwarder:
    """Tunnels `CONNECT name:443` to 127.0.0.1:`port` for the names given; `asked` keeps all targets asked for."""

    def __init__(self, names: tuple[str, ...], port: int) -> None:
        self.asked: list[str] = []
        self._names = names
        self._target = port
        self._tunnels: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for tunnel in list(self._tunnels):
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._tunnel(reader, writer)
        finally:
            self._tunnels.discard(task)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
        method, target = head.split()[:2]
        self.asked.append(target)
        if method != "CONNECT" or target.rpartition(":")[0] not in self._names:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", self._target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, out_writer))
                both.create_task(_pump(out_reader, writer))
        finally:
            out_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries bytes one way until that side ends, then ends the other."""
    with suppress(OSError):  # also that of a half that is closed already
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
