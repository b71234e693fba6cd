"""What the provider needs of a connection to answer one request, whichever HTTP it speaks."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

LINGER_NOT = struct.pack("ii", 1, 0)  # with it, closing a socket sends a reset


class Channel(Protocol):
    """The answer's way out. `cut` and `reset` end it without its end."""

    async def start(self, status: int, headers: dict[str, str], length: int | None) -> None: ...
    async def send(self, data: bytes) -> None: ...
    async def finish(self) -> None: ...
    async def cut(self) -> None: ...
    async def reset(self) -> None: ...


type Answering = Callable[[Literal["1.1", "2"], str, str, list[tuple[str, str]], bytes, Channel], Awaitable[None]]
"""Answers one request (HTTP version, method, path, headers, body) into the channel."""


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Ends a TCP connection with a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()
