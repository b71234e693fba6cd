"""The load, as a process of its own: what agents would send through a proxy, and what they would notice.

Started as `python -m lockgate.bench.client`; a job is a line of JSON, and what it found another.
Every job connects through CONNECT and TLS, sends one small exchange on each connection, and only then measures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter
from typing import Any

from lockgate.bench.sessions import session
from lockgate.bench.traffic import DELTA, HOST, KEY, LAST_CHUNK, Plan, request
from lockgate.bench.usage import cpu_seconds, resident_bytes

SETTLE_SECONDS = 0.3
"""The log writes up to this long after an exchange, and that belongs to its cost."""
READ_BYTES = 65536
JOB_SECONDS = 180.0
"""No job takes so long, whatever the proxy does."""


class Refused(Exception):
    """The proxy did not do what it was asked for."""


@dataclass(slots=True)
class Heard:
    """One streamed reply as it came: when each piece was read, and how many events were in it."""

    began: float
    first: float = 0.0
    pieces: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    text: bytes = b""
    ended: float = 0.0

    @property
    def gaps(self) -> list[float]:
        times = [at for at, events in self.pieces if events]
        return [after - before for before, after in pairwise(times)]


class Connection:
    """A kept connection to the provider's host, through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, target: str, context: ssl.SSLContext, key: str) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
        connection = cls(reader, writer)
        await connection._head()
        await writer.start_tls(context, server_hostname=HOST)
        await connection.exchange(request(Plan(), key=key))
        return connection

    async def exchange(self, asked: bytes) -> bytes:
        """A whole reply's body."""
        self._writer.write(asked)
        head = (await self._head()).lower()
        return await self._reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))

    async def stream(self, plan: Plan, body: bytes = b"") -> Heard:
        """A streamed reply to its end."""
        return await self.finish(await self.begin(plan, body))

    async def finish(self, heard: Heard) -> Heard:
        """The rest of a reply that has begun."""
        while not heard.text.endswith(LAST_CHUNK):
            await self._read(heard)
        heard.ended = perf_counter()
        if b"message_stop" not in heard.text:
            raise Refused(f"a stream ended with {heard.text!r}")
        return heard

    async def begin(self, plan: Plan, body: bytes = b"") -> Heard:
        """A streamed reply up to the first bytes of its body."""
        asked = request(plan, body)
        heard = Heard(perf_counter())
        self._writer.write(asked)
        await self._head()
        await self._read(heard)
        heard.first = perf_counter()
        return heard

    async def _read(self, heard: Heard) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise Refused(f"the proxy cut a stream after {heard.text!r}")
        heard.pieces.append((perf_counter(), data.count(DELTA)))
        heard.text = (heard.text + data)[-300:]

    async def _head(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise Refused((head + await self._reader.read(READ_BYTES)).decode(errors="replace"))
        return head

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connections(job: Any, count: int) -> AsyncGenerator[Sequence[Connection], None]:
    """Connections that have each had an exchange."""
    context = ssl.create_default_context(cafile=job["ca"])
    key = job.get("key", KEY)
    opened = [await Connection.open(job["port"], job["target"], context, key) for _ in range(count)]
    try:
        await asyncio.sleep(SETTLE_SECONDS)
        yield opened
    finally:
        for each in opened:
            each.close()


async def exchanges(job: Any) -> dict[str, Any]:
    """Small exchanges one after the other on one connection: what they cost the proxy; so far apart, if so asked."""
    asked = request(Plan(), key=job.get("key", KEY))
    async with connections(job, 1) as (connection,):
        for _ in range(job["warm"]):
            await connection.exchange(asked)
        await asyncio.sleep(SETTLE_SECONDS)
        began, cpu = perf_counter(), cpu_seconds(job["pid"])
        for number in range(job["count"]):
            body = await connection.exchange(asked)
            assert b'"end_turn"' in body
            if gap := job.get("gap_seconds"):
                await asyncio.sleep(max(0.0, began + (number + 1) * gap - perf_counter()))
        seconds = perf_counter() - began
        await asyncio.sleep(SETTLE_SECONDS)
        return {"count": job["count"], "seconds": seconds, "cpu_seconds": cpu_seconds(job["pid"]) - cpu}


async def streams(job: Any) -> dict[str, Any]:
    """Paced streams side by side, and one that is held while a judge thinks, if so asked: cost, gaps and pieces."""
    plan, count = Plan(reply="events", events=job["events"], gap_seconds=job["gap_seconds"]), job["count"]
    async with connections(job, count + 1) as (held, *opened):
        cpu = cpu_seconds(job["pid"])
        running = [asyncio.create_task(_later(number / count * job["gap_seconds"], each, plan))
                   for number, each in enumerate(opened)]  # fmt: skip
        call = await held.stream(Plan(reply="call", call=job["call"])) if job.get("call") else None
        heard = await asyncio.gather(*running)
        await asyncio.sleep(SETTLE_SECONDS)
        pieces = [events for each in heard for _, events in each.pieces if events]
        return {
            "events": sum(pieces),
            "alone": sum(events == 1 for events in pieces) / sum(pieces),
            "cpu_seconds": cpu_seconds(job["pid"]) - cpu,
            "gaps": [gap for each in heard for gap in each.gaps],
            "held_seconds": call.ended - call.began if call else 0.0,
        }


async def side_by_side(job: Any) -> dict[str, Any]:
    """Several jobs at the same time, with what each found."""
    return {"found": await asyncio.gather(*[JOBS[each["do"]](each) for each in job["jobs"]])}


async def _later(seconds: float, connection: Connection, plan: Plan) -> Heard:
    await asyncio.sleep(seconds)  # so that the streams' events do not come in step
    return await connection.stream(plan)


async def first_bytes(job: Any) -> dict[str, Any]:
    """Streams side by side, each followed by the next: how long each waited for the first byte of its body."""
    plan, count = Plan(reply="events", events=job["events"], gap_seconds=job["gap_seconds"]), job["count"]
    stagger = 0.0 if job["in_step"] else plan.events * plan.gap_seconds / count
    waits: list[float] = []
    async with connections(job, count) as opened:
        for _ in range(job["times"]):
            running = [_later(number * stagger, each, plan) for number, each in enumerate(opened)]
            waits += [heard.first - heard.began for heard in await asyncio.gather(*running)]
    return {"waits": waits}


async def turns(job: Any) -> dict[str, Any]:
    """An agent's turns, one after the other: the request grows, and the reply is streamed."""
    plan = Plan(reply="events", events=job["events"], gap_seconds=job["gap_seconds"])
    warm, *bodies = [body for body, _ in session(job["count"] + 1, seed=job["seed"])]
    async with connections(job, 1) as (connection,):
        await connection.stream(plan, warm)
        await asyncio.sleep(SETTLE_SECONDS)
        cpu = cpu_seconds(job["pid"])
        for body in bodies:
            await connection.stream(plan, body)
        await asyncio.sleep(SETTLE_SECONDS)
        size = sum(map(len, bodies)) // len(bodies)
        return {"count": len(bodies), "cpu_seconds": cpu_seconds(job["pid"]) - cpu, "request_bytes": size}


async def hold(job: Any) -> dict[str, Any]:
    """Streams that are all held at once: the memory that the proxy needs for them."""
    async with connections(job, job["count"]) as opened:
        before = resident_bytes(job["pid"])
        plans = [Plan(reply="call", call=number) for number in range(1, len(opened) + 1)]
        heard = await asyncio.gather(*[each.begin(plan) for each, plan in zip(opened, plans, strict=True)])
        rest = [asyncio.create_task(each.finish(began)) for each, began in zip(opened, heard, strict=True)]
        await asyncio.wait(rest, timeout=job["seconds"])
        held = sum(not each.done() and b"tool_use" not in began.text for each, began in zip(rest, heard, strict=True))
        found = {"held": held, "before_bytes": before, "bytes": resident_bytes(job["pid"])}
        for each in rest:
            each.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        return found


JOBS = {job.__name__: job for job in (exchanges, streams, side_by_side, first_bytes, turns, hold)}


def main() -> None:
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        job = json.loads(line)
        try:
            found = asyncio.run(asyncio.wait_for(JOBS[job["do"]](job), JOB_SECONDS))
        except (Refused, OSError, asyncio.IncompleteReadError, AssertionError) as error:  # a timeout is an OSError
            found = {"error": f"{type(error).__name__}: {error}"}
        gc.collect()
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
