from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from lockgate.addons.seam import AwaitableStreams
from tests.addons.streaming import Faulty, Judged, Puts, exchange, pairs, through
from tests.upstream.proxied import (
    Http,
    Tls,
    proxied,
    soon,
)


@pairs
async def test_a_client_that_leaves_during_a_hold_cancels_both_sides(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, client, upstream) as at:
        user, _, served = await exchange(at)
        await served.send(b"?")
        judged: Judged = puts.streams["/"]
        await soon(judged.asked.wait())
        await served.send(b"unheard")
        user.close()
        await soon(judged.was_cancelled.wait())
        await soon(served.gone.wait())
        assert await soon(puts.ends.get()) == "error"
        assert len(judged.reasons) == 1


@pytest.mark.parametrize("upstream", ["h1", "h2"])
async def test_a_stream_reset_during_a_hold_leaves_its_sibling_unharmed(tls: Tls, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, "h2", upstream) as at:
        user, held, served = await exchange(at, "/held")
        _, free, other = await exchange(at, "/free", user)
        await other.send(b"1")
        await served.send(b"?")
        judged: Judged = puts.streams["/held"]
        await soon(judged.asked.wait())
        user.reset(held)
        await soon(judged.was_cancelled.wait())
        await soon(served.gone.wait())
        await other.send(b"2")
        await other.end()
        await free.over()
        assert (free.complete, free.body) == (True, b"12")
        assert len(judged.reasons) == 1
        assert puts.streams["/free"].reasons == []


@pairs
async def test_a_client_that_leaves_in_mid_stream_closes_its_object(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, client, upstream) as at:
        user, reply, served = await exchange(at)
        await served.send(b"text")
        await reply.until(b"text")
        user.close()
        await soon(served.gone.wait())
        assert await soon(puts.ends.get()) == "error"
        assert len(puts.streams["/"].reasons) == 1


async def test_upstream_is_cancelled_although_the_judge_is_slow_to_stop(tls: Tls) -> None:
    asked, may_stop, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def judge(data: bytes) -> bytes:
        asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            await may_stop.wait()
            stopped.set()

    async with through(tls, Puts(lambda _: judge)) as at:
        user, _, served = await exchange(at)
        await served.send(b"?")
        await soon(asked.wait())
        user.close()
        await soon(served.gone.wait())
        assert not stopped.is_set()
        may_stop.set()
        await soon(stopped.wait())


class Disconnected:
    """Tells that the proxy noticed the end of an upstream connection."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def server_disconnected(self, data: object) -> None:
        self.event.set()


class LastWords(Judged):
    def failed(self, message: str) -> bytes:
        return b" failed"


@pairs
@pytest.mark.parametrize("way", ["cut", "reset", "garble"])
async def test_upstream_failing_during_a_hold_ends_the_reply_after_what_was_held(
    tls: Tls, client: Http, upstream: Http, way: str
) -> None:
    puts, disconnected = Puts(lambda _: LastWords()), Disconnected()
    async with proxied(tls, AwaitableStreams(), puts, disconnected, client=client, upstream=upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text ", b"?")
        judged: Judged = puts.streams["/"]
        await soon(judged.asked.wait())
        await {"cut": served.cut, "reset": served.reset, "garble": served.garble}[way]()
        if (upstream, way) != ("h2", "reset"):  # which leaves the connection open
            await soon(disconnected.event.wait())
        await reply.until(b"text ")
        assert reply.body == b"text "
        judged.verdict.set_result(b"allowed")
        await reply.over()
        assert (reply.complete, reply.body) == (False, b"text allowed failed")
        assert await soon(puts.ends.get()) == "error"
        assert len(judged.reasons) == 1


@pairs
async def test_upstream_failing_in_mid_stream_is_no_clean_end(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text")
        await reply.until(b"text")
        await served.cut()
        await reply.over()
        assert (reply.complete, reply.body) == (False, b"text")
        assert len(puts.streams["/"].reasons) == 1


def _raise_at_once(data: bytes) -> bytes:
    raise ValueError("secret")


async def _raise_later(data: bytes) -> bytes:
    await asyncio.sleep(0)
    raise ValueError("secret")


async def _raise_in_iterator(data: bytes) -> AsyncIterator[bytes]:
    await asyncio.sleep(0)
    raise ValueError("secret")
    yield data


def _raise_in_generator(data: bytes) -> Iterator[bytes]:
    raise ValueError("secret")
    yield data


async def _cancel_itself(data: bytes) -> bytes:
    raise asyncio.CancelledError


def _give_text(data: bytes) -> Any:
    return ["secret"]


FAULTS = [_raise_at_once, _raise_later, _raise_in_iterator, _raise_in_generator, _cancel_itself, _give_text]


@pairs
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_stream_object_that_fails_aborts_the_reply(
    tls: Tls, client: Http, upstream: Http, fault: Callable[[bytes], Any]
) -> None:
    puts = Puts(lambda _: Faulty(fault))
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text")
        await reply.until(b"text")
        await served.send(b"secret")
        await reply.over()
        await soon(served.gone.wait())
        assert (reply.complete, reply.body) == (False, b"text")
        assert await soon(puts.ends.get()) == "error"
        assert len(puts.streams["/"].reasons) == 1
        assert "aborted" in str(puts.flows["/"].error)
        (logged,) = at.proxy.crashes
        assert "is aborted" in logged
        assert "secret" not in logged
        at.proxy.crashes.clear()


@pairs
async def test_a_flow_killed_during_an_await_is_aborted(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"?")
        judged: Judged = puts.streams["/"]
        await soon(judged.asked.wait())
        puts.flows["/"].kill()
        judged.verdict.set_result(b"never")
        await reply.over()
        await soon(served.gone.wait())
        assert (reply.complete, reply.body) == (False, b"")
        assert await soon(puts.ends.get()) == "error"
        assert len(judged.reasons) == 1


async def test_what_fails_while_a_stream_is_closed_changes_nothing(tls: Tls) -> None:
    class Clumsy:
        def __call__(self, data: bytes) -> bytes:
            return data

        def closed(self, reason: str, by_client: bool) -> None:
            raise ValueError("secret")

        def failed(self, message: str) -> bytes:
            raise ValueError("secret")

    puts = Puts(lambda _: Clumsy())
    async with through(tls, puts) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text")
        await reply.until(b"text")
        await served.cut()
        await reply.over()
        assert not reply.complete
        assert await soon(puts.ends.get()) == "error"
        assert ["failed in closed()" in each or "last words" in each for each in at.proxy.crashes] == [True, True]
        at.proxy.crashes.clear()
