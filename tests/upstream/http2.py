"""HTTP/2 of the scripted provider, on h2: one task for each stream, with flow control."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events

from tests.upstream.channels import Answering

READ_BYTES = 65536


class Http2:
    """One connection; `serve` reads it and starts a task for each whole request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        self._streams: dict[int, Stream] = {}

    async def serve(self, answering: Answering) -> None:
        """Answers requests until one side closes; replies whose client leaves are cancelled."""
        self.http.initiate_connection()
        try:
            await self.flush()
            while data := await self._reader.read(READ_BYTES):
                for event in self.http.receive_data(data):
                    self._handle(event, answering)
                await self.flush()
        finally:
            tasks = [stream.task for stream in self._streams.values() if stream.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def flush(self) -> None:
        if data := self.http.data_to_send():
            self.writer.write(data)
            await self.writer.drain()

    def _handle(self, event: h2.events.Event, answering: Answering) -> None:
        match event:
            case h2.events.RequestReceived():
                self._streams[event.stream_id] = Stream(self, event)
            case h2.events.DataReceived():
                self._streams[event.stream_id].body += event.data
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._streams[event.stream_id].answer(answering)
            case h2.events.StreamReset():
                self._streams[event.stream_id].leave()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                for stream in self._streams.values():
                    stream.window.set()
            case _:
                pass


class Stream:
    """One request and its reply; a channel."""

    def __init__(self, connection: Http2, event: h2.events.RequestReceived) -> None:
        self._connection = connection
        self._id = event.stream_id
        self._headers = [(str(name), str(value)) for name, value in event.headers or ()]
        self.body = bytearray()
        self.window = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def answer(self, answering: Answering) -> None:
        pseudo = dict(self._headers)
        headers = [("host", pseudo.get(":authority", "")), *(pair for pair in self._headers if pair[0][0] != ":")]
        answer = answering("2", pseudo[":method"], pseudo[":path"], headers, bytes(self.body), self)
        self.task = asyncio.ensure_future(answer)

    def leave(self) -> None:
        if self.task:
            self.task.cancel()

    async def start(self, status: int, headers: dict[str, str], length: int | None) -> None:
        framing = [] if length is None else [("content-length", str(length))]
        self._connection.http.send_headers(self._id, [(":status", str(status)), *headers.items(), *framing])
        await self._connection.flush()

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            room = await self._room()
            self._connection.http.send_data(self._id, bytes(rest[:room]))
            rest = rest[room:]
            await self._connection.flush()

    async def _room(self) -> int:
        """How many bytes may be sent now; waits until the client allows some."""
        http = self._connection.http
        while not (room := min(http.local_flow_control_window(self._id), http.max_outbound_frame_size)):
            self.window.clear()
            await self.window.wait()
        return room

    async def finish(self) -> None:
        self._connection.http.end_stream(self._id)
        await self._connection.flush()

    async def cut(self) -> None:
        self._connection.writer.close()

    async def reset(self) -> None:
        self._connection.http.reset_stream(self._id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self._connection.flush()
