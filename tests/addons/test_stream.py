from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate.addons.held import EndStream
from tests.addons.streaming import Faulty, Judged, Puts, exchange, later, pairs, through
from tests.upstream.proxied import (
    At,
    Http,
    Served,
    Tls,
    connect,
    make_tls,
    running_provider,
    soon,
)


@pairs
async def test_text_flows_while_a_call_is_held(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text ")
        await reply.until(b"text ")
        judged: Judged = puts.streams["/"]
        await served.send(b"?call ")
        await soon(judged.asked.wait())
        await served.send(b"more")
        await served.end()
        _, other, served = await exchange(at, "/other", None)
        await served.send(b"runs on")
        await other.until(b"runs on")
        assert reply.body == b"text "
        judged.verdict.set_result(b"allowed ")
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"text allowed more")
        assert await soon(puts.ends.get()) == "response"
        assert judged.reasons == []
        assert judged.ended


@pytest.mark.parametrize("upstream", ["h1", "h2"])
async def test_a_sibling_on_the_same_connection_runs_on_during_a_hold(tls: Tls, upstream: Http) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts, "h2", upstream) as at:
        user, held, served = await exchange(at, "/held")
        await served.send(b"?")
        await soon(puts.streams["/held"].asked.wait())
        _, free, other = await exchange(at, "/free", user)
        for step in (b"1", b"2", b"3"):
            await other.send(step)
            await free.until(step)
        await other.end()
        await free.over()
        assert (free.complete, free.body, held.body) == (True, b"123", b"")
        puts.streams["/held"].verdict.set_result(b"now")
        await served.end()
        await held.over()
        assert (held.complete, held.body) == (True, b"now")


async def _pieces(given: bytes) -> AsyncIterator[bytes]:
    yield b"<"
    await asyncio.sleep(0)
    yield b""
    yield given
    yield b">"


async def _at_once(given: bytes) -> bytes:
    return given


SHAPES: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "bytes": (lambda given: given, b"ab"),
    "a list, joined": (lambda given: [given, b"", given], b"aabb"),
    "a generator": (lambda given: (piece for piece in (given, b"", b".")), b"a.b.."),
    "an awaitable that does not wait": (_at_once, b"ab"),
    "an awaitable of several": (later, b"a!b!!"),
    "an async iterator": (_pieces, b"<a><b><>"),
    "an iterator of nothing": (lambda given: iter(()), b""),
}


@pairs
@pytest.mark.parametrize("shape", SHAPES)
async def test_what_a_stream_object_may_return(tls: Tls, client: Http, upstream: Http, shape: str) -> None:
    function, expected = SHAPES[shape]
    async with through(tls, Puts(lambda _: function), client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"a", b"b")
        await served.end()
        await reply.over()
        assert (reply.complete, reply.body) == (True, expected)
        assert b"" not in reply.pieces[:-1]


@pairs
async def test_an_end_may_emit_more(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(lambda _: lambda data: data or later(b"end")), client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text ")
        await served.end()
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"text end!")


async def test_what_the_client_got_is_stored_if_the_user_asked_for_it(tls: Tls) -> None:
    puts = Puts(lambda _: lambda data: data * 2 or later(b"end"))
    async with through(tls, puts, store_streamed_bodies=True) as at:
        _, reply, served = await exchange(at)
        await served.send(b"ab")
        await served.end()
        await reply.over()
        assert await soon(puts.ends.get()) == "response"
        response = puts.flows["/"].response
        assert response is not None
        assert response.raw_content == reply.body == b"ababend!"


async def test_a_reply_that_mitmproxy_streams_alone_passes(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: True)) as at:
        _, reply, served = await exchange(at)
        await served.send(b"a", b"b")
        await served.end()
        await reply.over()
        assert (reply.complete, reply.pieces) == (True, [b"a", b"b"])


async def test_a_reply_that_is_not_streamed_passes_whole(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: False)) as at:
        client = await at.client()
        reply = await client.send()
        served = await at.provider.next()
        await served.reply(b"a", b"b")
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"ab")


def _end_at_once(data: bytes) -> bytes:
    raise EndStream


async def _end_later(data: bytes) -> bytes:
    await asyncio.sleep(0)
    raise EndStream


async def _end_after_words(data: bytes) -> AsyncIterator[bytes]:
    yield b"!"
    await asyncio.sleep(0)
    raise EndStream


def _end_in_generator(data: bytes) -> Iterator[bytes]:
    yield b"!"
    raise EndStream


ENDINGS: dict[Callable[[bytes], Any], bytes] = {
    _end_at_once: b"text",
    _end_later: b"text",
    _end_after_words: b"text!",
    _end_in_generator: b"text!",
}


@pairs
@pytest.mark.parametrize("ending", ENDINGS)
async def test_end_stream_ends_cleanly_and_cancels_upstream(
    tls: Tls, client: Http, upstream: Http, ending: Callable[[bytes], Any]
) -> None:
    puts = Puts(lambda _: Faulty(ending))
    async with through(tls, puts, client, upstream) as at:
        user, reply, served = await exchange(at)
        await served.send(b"text")
        await reply.until(b"text")
        await served.send(b"too much")
        await reply.over()
        await soon(served.gone.wait())
        assert (reply.complete, reply.body) == (True, ENDINGS[ending])
        assert await soon(puts.ends.get()) == "response"
        assert puts.streams["/"].reasons == []
        _, again, served = await exchange(at, "/again", user)
        await served.send(b"text")
        await again.until(b"text")


@pairs
async def test_end_stream_at_the_end_is_an_end(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(lambda _: Faulty(_end_at_once)), client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text")
        await served.end()
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"text")


@pytest.mark.parametrize("upstream", ["h1", "h2"])
async def test_two_hundred_streams_at_once_arrive_intact(tls: Tls, upstream: Http) -> None:
    async def run(at: At, client: Any, name: str) -> Any:
        return await client.send(path=f"/{name}")

    async def answer(served: Served) -> None:
        await served.start()
        for step in range(5):
            await served.send(f"?{step}{served.path} ".encode())
        await served.end()

    async with through(tls, Puts(lambda _: lambda data: later(data) if data else b""), "h2", upstream) as at:
        clients = [await at.client() for _ in range(2)]
        replies = {f"/{n}": await run(at, clients[n % 2], str(n)) for n in range(200)}
        served = [await at.provider.next() for _ in replies]  # all have begun before the first ends
        await soon(asyncio.gather(*map(answer, served)))
        for path, reply in replies.items():
            await reply.over()
            assert reply.complete, reply.error
            assert reply.body == "".join(f"?{step}{path} !" for step in range(5)).encode()


async def test_an_upstream_whose_certificate_was_wrong_is_asked_again(tls: Tls, tmp_path: Path) -> None:
    async with through(tls, Puts(lambda _: Judged()), "h2", "h1") as at:
        async with running_provider(make_tls(tmp_path), "h1") as wrong:
            user = await connect(at.proxy, tls, "h2", wrong.port)
            assert (await (await user.send()).over()).status == 502
        async with running_provider(tls, "h1", wrong.port) as right:
            reply = await user.send()
            await (await right.next()).reply(b"right")
            assert (await reply.over()).body == b"right"
            user.close()


@pairs
async def test_an_upstream_that_was_down_is_asked_again(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(lambda _: Judged()), client, upstream) as at:
        async with running_provider(tls, upstream) as gone:
            port = gone.port
        user = await connect(at.proxy, tls, client, port)
        reply = await (await user.send()).over()
        assert reply.status == 502
        if client == "h1":
            user.close()
            user = await connect(at.proxy, tls, client, port)
        async with running_provider(tls, upstream, port) as back:
            reply = await user.send()
            await (await back.next()).reply(b"back")
            assert (await reply.over()).body == b"back"
            user.close()


# joining


async def at_once(served: Any, *pieces: bytes, ends: bool = False) -> None:
    """Sends several HTTP/1 chunks in one write, which the proxy reads at once."""
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"] * ends
    served.over = ends
    served.writer.write(b"".join(chunks))
    await served.writer.drain()


async def test_what_one_read_brings_leaves_in_one_piece(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: lambda data: (data,))) as at:
        _, reply, served = await exchange(at)
        await at_once(served, b"1", b"2", b"3")
        await reply.until(b"123")
        await at_once(served, b"4", b"5", ends=True)
        await reply.over()
        assert (reply.complete, reply.pieces) == (True, [b"123", b"45"])


async def test_what_was_given_before_a_hold_does_not_wait_for_it(tls: Tls) -> None:
    puts = Puts(lambda _: Judged())
    async with through(tls, puts) as at:
        _, reply, served = await exchange(at)
        await at_once(served, b"1", b"2", b"?", b"4", b"5", ends=True)
        await reply.until(b"12")
        assert reply.body == b"12"
        puts.streams["/"].verdict.set_result(b"3")
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"12345")


async def test_what_was_given_before_an_early_end_still_leaves(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: Faulty(_end_at_once))) as at:
        _, reply, served = await exchange(at)
        await at_once(served, b"text", b"text", b"too much", b"text")
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"texttext")
