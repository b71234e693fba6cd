from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.addons.streaming import MB, Floods, Judged, Puts, exchange, flood, pairs, stuck_at, through
from tests.upstream.proxied import (
    Http,
    Tls,
    soon,
)


@pairs
async def test_upstream_is_not_read_while_a_reply_is_held_long(tls: Tls, client: Http, upstream: Http) -> None:
    judged = Judged()
    async with through(tls, Puts(Floods(judged)), client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"?")
        await soon(judged.asked.wait())
        sending = asyncio.ensure_future(flood(served, 64 * MB))
        assert await stuck_at(at, served) < 16 * MB
        judged.verdict.set_result(b"!")
        await soon(sending)
        await reply.over()
        assert (reply.complete, sum(map(len, reply.pieces))) == (True, 64 * MB + 1)


@pairs
async def test_upstream_is_not_read_while_the_client_does_not_read(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(Floods(lambda data: data)), client, upstream) as at:
        user, reply, served = await exchange(at, reading=False)
        sending = asyncio.ensure_future(flood(served, 64 * MB))
        assert await stuck_at(at, served) < 16 * MB
        user.read_on(reply)
        await soon(sending)
        await reply.over()
        assert (reply.complete, sum(map(len, reply.pieces))) == (True, 64 * MB)


@pairs
async def test_a_client_that_leaves_lets_its_congested_upstream_go(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(Floods(lambda data: data)), client, upstream) as at:
        user, _, served = await exchange(at, reading=False)
        sending = asyncio.ensure_future(flood(served, 64 * MB))
        assert await stuck_at(at, served) < 16 * MB
        user.close()
        await soon(served.gone.wait())
        with pytest.raises(OSError):  # noqa: PT011 - a reset or a closed transport, by timing
            await soon(sending)


async def test_what_a_stream_object_holds_itself_counts(tls: Tls) -> None:
    judged: Any = Judged()
    judged.held_bytes = 512 * MB
    async with through(tls, Puts(Floods(judged)), stream_backlog=256 * MB) as at:
        _, reply, served = await exchange(at)
        await served.send(b"?")
        await soon(judged.asked.wait())
        sending = asyncio.ensure_future(flood(served, 64 * MB))
        assert await stuck_at(at, served) < 16 * MB
        judged.verdict.set_result(b"!")
        await soon(sending)
        await reply.over()
        assert reply.complete
