"""A proxy whose replies pass through a stream object, and the words that its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow

from lockgate.addons.seam import AwaitableStreams
from tests.upstream.proxied import (
    At,
    H1Client,
    H2Client,
    Http,
    Served,
    Tls,
    proxied,
)

PAIRS = [(client, upstream) for client in ("h1", "h2") for upstream in ("h1", "h2")]
pairs = pytest.mark.parametrize(("client", "upstream"), PAIRS, ids=[f"{c}-to-{u}" for c, u in PAIRS])
MB = 1024 * 1024


class Judged:
    """A stream object that asks about chunks that begin with `?`; verdicts come on the test's word."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.verdict: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.was_cancelled = asyncio.Event()
        self.reasons: list[str] = []
        self.ended = False

    def __call__(self, data: bytes) -> Any:
        self.ended = not data
        return self.judge(data) if data.startswith(b"?") else data

    async def judge(self, data: bytes) -> bytes:
        self.asked.set()
        try:
            return await self.verdict
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise

    def closed(self, reason: str, by_client: bool) -> None:
        self.reasons.append(reason)


class Puts:
    """Puts what `make(path)` gives on each streamed reply, and remembers which hooks ended a flow."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.make = make
        self.streams: dict[str, Any] = {}
        self.flows: dict[str, HTTPFlow] = {}
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    def responseheaders(self, flow: HTTPFlow) -> None:
        assert flow.response
        self.flows[flow.request.path] = flow
        self.streams[flow.request.path] = flow.response.stream = self.make(flow.request.path)

    def response(self, flow: HTTPFlow) -> None:
        self.ends.put_nowait("response")

    def error(self, flow: HTTPFlow) -> None:
        self.ends.put_nowait("error")


def through(tls: Tls, puts: object, client: Http = "h1", upstream: Http = "h1", **options: object) -> Any:
    return proxied(tls, AwaitableStreams(), puts, client=client, upstream=upstream, **options)


async def exchange(
    at: At, path: str = "/", client: H1Client | H2Client | None = None, **more: Any
) -> tuple[Any, Any, Served]:
    """A client, its reply that has begun, and the provider's side of it."""
    client = client or await at.client()
    reply = await client.send(path=path, **more)
    served = await at.provider.next()
    await served.start()
    await reply.changes.until(lambda: reply.status or not more.get("reading", True))
    return client, reply, served


async def later(given: bytes) -> tuple[bytes, ...]:
    await asyncio.sleep(0)
    return (b"", given, b"!")


class Faulty:
    """Forwards the first chunk, fails with the second."""

    def __init__(self, fault: Callable[[bytes], Any]) -> None:
        self.fault = fault
        self.reasons: list[str] = []

    def __call__(self, data: bytes) -> Any:
        return data if data == b"text" else self.fault(data)

    def closed(self, reason: str, by_client: bool) -> None:
        self.reasons.append(reason)


async def flood(served: Served, size: int) -> None:
    piece = b"x" * 65536
    for _ in range(size // len(piece)):
        await served.send(piece)
    await served.end()


async def stuck_at(at: At, served: Served) -> int:
    """Bytes that upstream has sent when it can send no more: none left it while other exchanges passed."""
    other, before = await at.client("h1"), -1
    while served.sent != before:
        before = served.sent
        for _ in range(10):
            reply = await other.send(path="/other")
            await (await at.provider.next()).reply(b"ok")
            await reply.over()
    return before


class Floods:
    """A stream object for the flooded path, another for the exchanges beside it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __call__(self, path: str) -> Any:
        return self.stream if path == "/" else True
