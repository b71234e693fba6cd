"""The scripted provider: real TLS, HTTP/1.1 and HTTP/2, real wire formats, and replies that a script decides.

In a test:        async with Provider(script, certificate=authority.leaf("127.0.0.1")) as provider: … provider.port
As a process:     python -m tests.upstream.provider --script FILE [--certificate PEM] [--port 0] [--requests FILE]

FILE is a Python file whose `script` is the script; the process prints its port as the first line. It keeps every
request, side calls too; `exchanges` leaves those out. An error within a script fails the test when the block ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import runpy
import ssl
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Literal, Self

import h2.exceptions

from tests.upstream.answering import Response, response
from tests.upstream.channels import Answering, Channel
from tests.upstream.gates import Gates
from tests.upstream.http1 import Http1
from tests.upstream.http2 import Http2
from tests.upstream.received import Received
from tests.upstream.script import Answer, Cut, End, Gate, Pause, Raw, Reset, Script, Step
from tests.upstream.side_calls import side_answer

type Ending = Literal["complete", "broken", "gone"]
"""How a reply ended: as scripted, by a scripted fault, or because the client left."""


class Provider:
    """A server on 127.0.0.1; without a certificate it speaks plain HTTP/1.1."""

    def __init__(
        self,
        script: Script,
        *,
        certificate: Path | None = None,
        port: int = 0,
        alpn: tuple[str, ...] = ("h2", "http/1.1"),
        side: Callable[[Received], Answer | None] = side_answer,
    ) -> None:
        self.requests: list[Received] = []  # all of them
        self.exchanges: list[Received] = []  # those that the script answered
        self.endings: dict[int, Ending] = {}
        self.script = script  # may be changed while it serves
        self.port = port
        self._side = side  # answers what is not the script's: None leaves it to the script
        self._tls = _tls(certificate, alpn) if certificate else None
        self._gates = Gates()
        self._changed = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._numbers = count(1)
        self._failures: list[Exception] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def open(self, gate: str) -> None:
        """Lets every reply pass the gate, now and later."""
        self._gates.open(gate)

    async def reached(self, gate: str) -> None:
        """Waits until a reply waits at the gate."""
        await self._gates.reached(gate)

    async def received(self, exchanges: int) -> None:
        """Waits until so many exchanges have been asked for."""
        while len(self.exchanges) < exchanges:
            await self._changed.wait()

    async def ended(self, request: Received) -> Ending:
        """Waits until the reply to a request has ended, and tells how."""
        while request.number not in self.endings:
            await self._changed.wait()
        return self.endings[request.number]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        if self._failures:
            raise ExceptionGroup("the scripted provider failed", self._failures)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await self._serve(reader, writer, next(self._numbers))
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        tls = writer.get_extra_info("ssl_object")
        is_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        connection = (Http2 if is_http2 else Http1)(reader, writer)
        await connection.serve(self._answering(number))

    def _answering(self, connection: int) -> Answering:
        async def answer(
            http: Literal["1.1", "2"],
            method: str,
            path: str,
            headers: list[tuple[str, str]],
            raw: bytes,
            channel: Channel,
        ) -> None:
            received = Received(
                number=len(self.requests) + 1,
                connection=connection,
                http=http,
                method=method,
                path=path,
                headers=tuple(headers),
                raw=raw,
            )
            self.requests.append(received)
            await self._answer(received, channel)

        return answer

    async def _answer(self, received: Received, channel: Channel) -> None:
        ending: Ending = "gone"
        try:
            answer = self._side(received) or self._scripted(received)
            ending = await self._play(response(answer, received), received, channel)
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass  # the client has left
        except Exception as error:
            self._failures.append(error)
            await channel.cut()
        finally:
            self.endings[received.number] = ending
            self._notify()

    async def _play(self, out: Response, received: Received, channel: Channel) -> Ending:
        for step in out.before:
            if await self._step(step, channel):
                return "broken"
        await channel.start(out.status, out.headers, out.length)
        for piece in () if received.method == "HEAD" else out.body:
            if isinstance(piece, bytes):
                await channel.send(piece)
            elif await self._step(piece, channel):
                return "broken"
        await channel.finish()
        return "complete"

    async def _step(self, step: Step, channel: Channel) -> bool:
        """Does one step; true if it ended the reply."""
        match step:
            case Gate():
                await self._gates.wait(step.name)
            case Pause():
                await asyncio.sleep(step.seconds)
            case Raw():
                await channel.send(step.data)
            case Cut():
                await channel.cut()
            case Reset():
                await channel.reset()
            case End():
                await channel.finish()
            case _:
                raise TypeError(f"{step!r} stands in no stream of a wire format")
        return isinstance(step, Cut | Reset | End)

    def _scripted(self, received: Received) -> Answer:
        self.exchanges.append(received)
        self._notify()
        return self.script(received)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _tls(certificate: Path, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(list(alpn))
    return context


def record(request: Received) -> str:
    """A request as one line of JSON."""
    body = request.body.decode(errors="replace")
    return json.dumps({"method": request.method, "path": request.path, "headers": request.headers, "body": body})


async def serve_forever(options: argparse.Namespace) -> None:
    script: Script = runpy.run_path(options.script)["script"]
    file: IO[str] | None = options.requests.open("w") if options.requests else None

    def kept(received: Received) -> Answer:
        """Written before it is answered: whoever has the answer can read it."""
        if file:
            print(record(received), file=file, flush=True)
        return script(received)

    async with Provider(kept, certificate=options.certificate, port=options.port) as provider:
        print(provider.port, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve scripted replies of a model provider on 127.0.0.1.")
    parser.add_argument("--script", required=True, help="a Python file that defines `script`")
    parser.add_argument("--certificate", type=Path, help="PEM with key and chain; without it, plain HTTP")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--requests", type=Path, help="where to write each exchange's request, a line of JSON each")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_forever(parser.parse_args()))


if __name__ == "__main__":
    main()
