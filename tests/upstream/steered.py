"""A provider over TLS that sends each piece of a reply on the test's word, by HTTP/1.1 and HTTP/2.

It knows nothing of models: a test takes the next `Served` and says what is sent, ended, cut, reset or garbled.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from tests.upstream.waiting import Changes, soon

EVENT_STREAM = {"content-type": "text/event-stream"}
type Headers = Mapping[str, str]


class Served(ABC):
    """One exchange as the provider sees it: what came, and the words by which the test has it answered."""

    def __init__(self, path: str, method: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.method, self.headers, self.body = path, method, headers, body
        self.sent = 0  # bytes of the reply's body that the transport took
        self.over = False
        self.gone = asyncio.Event()  # the proxy left before the reply's end

    @abstractmethod
    async def start(self, status: int = 200, headers: Headers = EVENT_STREAM) -> None:
        """Send the reply's head; without a content-length HTTP/1 is chunked."""

    @abstractmethod
    async def write(self, piece: bytes) -> None:
        """Send one piece, waiting until the transport took it."""

    @abstractmethod
    async def end(self) -> None:
        """End the reply as it should end."""

    @abstractmethod
    async def reset(self) -> None:
        """Give the reply up: a TCP reset, or RST_STREAM."""

    @abstractmethod
    async def garble(self) -> None:
        """Send what the protocol does not allow."""

    @abstractmethod
    async def cut(self) -> None:
        """Close the connection in the middle."""

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            await self.write(piece)
            self.sent += len(piece)

    async def reply(self, *pieces: bytes, status: int = 200, headers: Headers = EVENT_STREAM) -> None:
        """A whole reply at once."""
        await self.start(status, headers)
        await self.send(*pieces)
        await self.end()


class _H1Served(Served):
    writer: asyncio.StreamWriter
    chunked = True

    async def start(self, status: int = 200, headers: Headers = EVENT_STREAM) -> None:
        self.chunked = "content-length" not in headers
        lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
        lines += ["transfer-encoding: chunked"] * self.chunked
        await self._raw("\r\n".join([*lines, "", ""]).encode())

    async def _raw(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError("the proxy left")
        self.writer.write(data)
        await self.writer.drain()

    async def write(self, piece: bytes) -> None:
        await self._raw(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)

    async def end(self) -> None:
        self.over = True
        if self.chunked:
            await self._raw(b"0\r\n\r\n")

    async def reset(self) -> None:
        self.over = True
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def garble(self) -> None:
        self.over = True
        await self._raw(b"this is no chunk\r\n")

    async def cut(self) -> None:
        self.over = True
        self.writer.transport.abort()


class _H2Served(Served):
    connection: _H2Connection
    stream_id: int

    async def start(self, status: int = 200, headers: Headers = EVENT_STREAM) -> None:
        self.connection.h2.send_headers(self.stream_id, [(":status", str(status)), *headers.items()])
        await self.connection.flush()

    async def write(self, piece: bytes) -> None:
        link = self.connection
        while piece:
            await link.window.until(lambda: self.gone.is_set() or link.h2.local_flow_control_window(self.stream_id) > 0)
            if self.gone.is_set():
                raise ConnectionResetError("the proxy left")
            room = min(link.h2.local_flow_control_window(self.stream_id), link.h2.max_outbound_frame_size)
            link.h2.send_data(self.stream_id, piece[:room])
            piece = piece[room:]
            await link.flush()

    async def end(self) -> None:
        self.over = True
        self.connection.h2.end_stream(self.stream_id)
        await self.connection.flush()

    async def reset(self) -> None:
        self.over = True
        self.connection.h2.reset_stream(self.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self.connection.flush()

    async def garble(self) -> None:
        self.over = True
        self.connection.writer.write(b"\x00\x00\x01\x00\x00\x00\x00\x00\x00!")  # DATA on stream 0
        await self.connection.writer.drain()

    async def cut(self) -> None:
        self.over = True
        self.connection.writer.transport.abort()


class _H2Connection:
    """One HTTP/2 connection from the proxy."""

    def __init__(self, writer: asyncio.StreamWriter, provider: Provider) -> None:
        self.writer, self.provider = writer, provider
        self.window = Changes()
        self.served: dict[int, _H2Served] = {}
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf8"))
        streams = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values={streams: 250})

    async def flush(self) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError("the proxy left")
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def run(self, reader: asyncio.StreamReader) -> None:
        self.h2.initiate_connection()
        await self.flush()
        try:
            while data := await reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._hear(event)
                self.writer.write(self.h2.data_to_send())
                self.window.tell()
        except h2.exceptions.ProtocolError:
            pass
        finally:
            for served in self.served.values():
                self._left(served)

    def _hear(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream_id)):
                fields = {str(name): str(value) for name, value in event.headers or ()}
                served = _H2Served(fields.pop(":path"), fields.pop(":method"), fields, b"")
                served.connection, served.stream_id = self, stream_id
                self.served[stream_id] = served
                served.headers["host"] = fields.get(":authority", "")
            case h2.events.DataReceived(stream_id=int(stream_id)):
                self.served[stream_id].body += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
            case h2.events.StreamEnded(stream_id=int(stream_id)):
                self.provider.arrived(self.served[stream_id])
            case h2.events.StreamReset(stream_id=int(stream_id)):
                self._left(self.served[stream_id])
            case _:
                pass

    def _left(self, served: _H2Served) -> None:
        if not served.over:
            served.gone.set()
        self.window.tell()


class Provider:
    """The server. `next()` gives exchanges in the order in which their requests were complete."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self._waiting: asyncio.Queue[Served] = asyncio.Queue()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0

    async def next(self) -> Served:
        return await soon(self._waiting.get())

    def arrived(self, served: Served) -> None:
        self.requests += 1
        self._waiting.put_nowait(served)

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext, port: int = 0) -> AsyncIterator[Provider]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=context, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._open.values():
                writer.transport.abort()
            if self._open:
                await soon(asyncio.wait(self._open))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                await _H2Connection(writer, self).run(reader)
            else:
                await self._serve_h1(reader, writer)
        except OSError:
            pass  # the proxy left; `gone` says so
        finally:
            writer.transport.abort()

    async def _serve_h1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served: _H1Served | None = None
        try:
            while True:
                served = await _read_request(reader)
                served.writer = writer
                self.arrived(served)
                # The next head is awaited at once, which is how the proxy's leaving in mid-reply is noticed.
        except asyncio.IncompleteReadError:
            pass
        finally:
            if served and not served.over:
                served.gone.set()


async def _read_request(reader: asyncio.StreamReader) -> _H1Served:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    method, path, _ = first.split()
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return _H1Served(path, method, headers, body)
