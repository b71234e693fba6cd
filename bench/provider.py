"""The provider, and the judge, as a process of their own: lean, so that they cost little beside the proxy.

Started as `python -m lockgate.bench.provider PEM`; prints its two ports, TLS first, and ends with its standard input.
A request says in a header what it wants to be answered. The judge takes the seconds that its path names.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys

from lockgate.bench.traffic import (
    LAST_CHUNK,
    STREAM_HEAD,
    Plan,
    call,
    chunk,
    closing,
    delta,
    opening,
    plan_of,
    whole_reply,
)

JUDGE_PATH = "/judge/"
VERDICT = whole_reply('{"score": 0, "reason": "it lists a folder"}')
SMALL = whole_reply()


class Answering(asyncio.Protocol):
    """One connection that is kept; one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer:
            self._answer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended or len(body) < _length(head):
            return
        self._received.clear()
        path = head.split(b" ", 2)[1].decode()
        if path.startswith(JUDGE_PATH):
            self._answer = asyncio.create_task(self._judge(float(path.removeprefix(JUDGE_PATH))))
        elif (plan := plan_of(bytes(head))).reply == "whole":
            self._transport.write(SMALL)
        else:
            self._answer = asyncio.create_task(self._stream(plan))

    async def _judge(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._transport.write(VERDICT)

    async def _stream(self, plan: Plan) -> None:
        write = self._transport.write
        write(STREAM_HEAD)
        write(chunk(opening()))
        for number in range(plan.events):
            await asyncio.sleep(plan.gap_seconds)  # since the last one, so that two never leave at once
            write(chunk(delta(number)))
        if plan.reply == "call":
            write(chunk(call(plan.call)))
        else:
            write(chunk(closing()))
        write(LAST_CHUNK)


def _length(head: bytes | bytearray) -> int:
    _, found, rest = bytes(head).lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(pem: str) -> None:
    """Answer until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["http/1.1"])
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(Answering, "127.0.0.1", 0, ssl=with_tls, backlog=1024) for with_tls in (context, None)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    gc.freeze()
    asyncio.run(serve(sys.argv[1]))
