"""Clients that see every byte: HTTP/1.1 and HTTP/2 through CONNECT and the proxy's own certificate.

They show what libraries hide: how a reply was cut, whether it ended or was aborted, what an unread stream does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.upstream.waiting import Changes, soon

type Headers = Mapping[str, str]


@dataclass(kw_only=True, eq=False)
class Reply:
    """What came back so far. `pieces` are HTTP/1 chunks or HTTP/2 DATA frames as they were cut."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: list[bytes] = field(default_factory=list[bytes])
    complete: bool = False
    error: str = ""
    stream_id: int = 0
    changes: Changes = field(default_factory=Changes)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def is_over(self) -> bool:
        return self.complete or bool(self.error)

    async def head(self) -> Reply:
        await self.changes.until(lambda: self.status or self.is_over)
        return self

    async def until(self, part: bytes) -> Reply:
        """Waits until the body holds that part; AssertionError when the reply is over without it."""
        await self.changes.until(lambda: part in self.body or self.is_over)
        assert part in self.body, f"over without {part!r}: {self.body[-200:]!r} {self.error}"
        return self

    async def over(self) -> Reply:
        await self.changes.until(lambda: self.is_over)
        return self

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.changes.tell()

    def finish(self, error: str = "") -> None:
        if not self.is_over:
            self.complete, self.error = not error, error
            self.changes.tell()


class Client(Protocol):
    """What both clients can do. `reading=False` leaves the reply unread: a socket or a window that fills up."""

    @property
    def closed(self) -> asyncio.Event: ...

    async def send(
        self, body: bytes = b"{}", headers: Headers | None = None, *, path: str = "/", reading: bool = True
    ) -> Reply: ...

    def read_on(self, reply: Reply) -> None: ...

    def close(self) -> None: ...


async def tunnel(
    proxy: int, host: str, port: int, context: ssl.SSLContext, headers: Headers | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection to host and port through the proxy's CONNECT; ConnectionError when it refuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"host: {host}:{port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await soon(reader.readuntil(b"\r\n\r\n"))
    if answer.split()[1] != b"200":
        writer.transport.abort()
        raise ConnectionError(answer.decode("latin1"))
    try:
        await soon(writer.start_tls(context, server_hostname=host))
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


class H1Client:
    """One HTTP/1.1 connection, one exchange at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host
        self.closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def send(
        self,
        body: bytes = b"{}",
        headers: Headers | None = None,
        *,
        path: str = "/",
        method: str = "POST",
        reading: bool = True,
    ) -> Reply:
        fields = {"host": self.host, "content-length": str(len(body)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        reply = Reply()
        if reading:
            self.read_on(reply)
        return reply

    def read_on(self, reply: Reply) -> None:
        self._task = asyncio.ensure_future(self._read(reply))

    async def _read(self, reply: Reply) -> None:
        try:
            await self._read_head(reply)
            await self._read_body(reply)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            reply.finish(repr(error))
            self.closed.set()

    async def _read_head(self, reply: Reply) -> None:
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        reply.headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines) if name}
        reply.status = int(first.split()[1])
        reply.changes.tell()

    async def _read_body(self, reply: Reply) -> None:
        if "chunked" in reply.headers.get("transfer-encoding", ""):
            while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                reply.add((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readuntil(b"\r\n")
        elif length := reply.headers.get("content-length"):
            reply.add(await self.reader.readexactly(int(length)))
        else:  # delimited by the close
            while piece := await self.reader.read(65536):
                reply.add(piece)
        reply.finish()

    def close(self) -> None:
        if self._task:
            self._task.cancel()
        self.writer.transport.abort()


class H2Client:
    """One HTTP/2 connection with any number of streams. A stream that is not read gets no window of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host
        self.closed = asyncio.Event()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf8"))
        self._replies: dict[int, Reply] = {}
        self._unread: dict[int, int] = {}  # stream: bytes whose window is kept back
        self.h2.initiate_connection()
        self.flush()
        self._task = asyncio.ensure_future(self._run())

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def send(
        self,
        body: bytes = b"{}",
        headers: Headers | None = None,
        *,
        path: str = "/",
        method: str = "POST",
        reading: bool = True,
        end: bool = True,
    ) -> Reply:
        reply = Reply(stream_id=self.h2.get_next_available_stream_id())
        self._replies[reply.stream_id] = reply
        if not reading:
            self._unread[reply.stream_id] = 0
        pseudo = {":method": method, ":scheme": "https", ":authority": self.host, ":path": path}
        self.h2.send_headers(reply.stream_id, [*pseudo.items(), *(headers or {}).items()])
        self.more(reply, body, end=end)
        return reply

    def more(self, reply: Reply, body: bytes, *, end: bool = False) -> None:
        """Sends more of a request whose `send` had `end=False`."""
        size = self.h2.max_outbound_frame_size
        for at in range(0, len(body), size):
            self.h2.send_data(reply.stream_id, body[at : at + size])
        if end:
            self.h2.end_stream(reply.stream_id)
        self.flush()

    def read_on(self, reply: Reply) -> None:
        if held := self._unread.pop(reply.stream_id, 0):
            self.h2.increment_flow_control_window(held, reply.stream_id)
            self.flush()

    def reset(self, reply: Reply) -> None:
        self.h2.reset_stream(reply.stream_id, h2.errors.ErrorCodes.CANCEL)
        reply.finish("reset by the client")
        self.flush()

    async def _run(self) -> None:
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._hear(event)
                self.flush()
        except (OSError, h2.exceptions.ProtocolError) as error:
            self._fail(repr(error))
        self._fail("connection closed")

    def _fail(self, error: str) -> None:
        self.closed.set()
        for reply in self._replies.values():
            reply.finish(error)

    def _hear(self, event: h2.events.Event) -> None:
        reply = self._replies.get(getattr(event, "stream_id", None) or 0)
        if reply is None:
            return
        match event:
            case h2.events.ResponseReceived():
                reply.headers = {str(name): str(value) for name, value in event.headers or ()}
                reply.status = int(reply.headers.pop(":status"))
                reply.changes.tell()
            case h2.events.DataReceived():
                reply.add(event.data or b"")
                self._acknowledge(reply.stream_id, event.flow_controlled_length or 0)
            case h2.events.StreamEnded():
                reply.finish()
            case h2.events.StreamReset():
                reply.finish(f"reset {int(event.error_code or 0)}")
            case _:
                pass

    def _acknowledge(self, stream_id: int, size: int) -> None:
        if not size:
            return
        if stream_id in self._unread:
            self._unread[stream_id] += size
            self.h2.increment_flow_control_window(size)
        else:
            self.h2.acknowledge_received_data(size, stream_id)

    def close(self) -> None:
        self._task.cancel()
        self.writer.transport.abort()
