"""HTTP/1.1 of the scripted provider, on h11."""

from __future__ import annotations

import asyncio

import h11

from tests.upstream.channels import Answering, reset_connection

READ_BYTES = 65536


class Http1:
    """One connection; it is its own channel, because it answers one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)
        self._open = True

    async def serve(self, answering: Answering) -> None:
        """Answers requests until one side closes; a reply whose client leaves is cancelled."""
        while self._open and (request := await self._request()):
            head, body = request
            headers = [(name.decode(), value.decode("latin1")) for name, value in head.headers]
            answer = answering("1.1", head.method.decode(), head.target.decode(), headers, body, self)
            await self._unless_gone(asyncio.ensure_future(answer))
            self._next_cycle()

    async def start(self, status: int, headers: dict[str, str], length: int | None) -> None:
        framing = [("transfer-encoding", "chunked")] if length is None else [("content-length", str(length))]
        if status == 204:
            framing = []
        await self._write(h11.Response(status_code=status, headers=[*headers.items(), *framing]))

    async def send(self, data: bytes) -> None:
        await self._write(h11.Data(data=data))

    async def finish(self) -> None:
        await self._write(h11.EndOfMessage())

    async def cut(self) -> None:
        self._open = False
        self._writer.close()

    async def reset(self) -> None:
        self._open = False
        reset_connection(self._writer)

    async def _write(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()

    async def _request(self) -> tuple[h11.Request, bytes] | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            match await self._event():
                case h11.Request() as head:
                    pass
                case h11.Data() as piece:
                    body += piece.data
                case h11.EndOfMessage() if head is not None:
                    return head, bytes(body)
                case _:
                    return None

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if not isinstance(event, type) or event is h11.PAUSED:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(READ_BYTES))

    async def _unless_gone(self, answer: asyncio.Future[None]) -> None:
        """Answers while watching whether the client closes; what else it sends waits for its turn."""
        watch = asyncio.ensure_future(self._closed())
        try:
            await asyncio.wait((answer, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open = self._open and answer.done()
            answer.cancel()
            watch.cancel()
            await asyncio.gather(answer, watch, return_exceptions=True)

    async def _closed(self) -> None:
        while data := await self._reader.read(READ_BYTES):
            self._http.receive_data(data)

    def _next_cycle(self) -> None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._open = False
