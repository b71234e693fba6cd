"""What mitmproxy by itself does wrong with streamed replies, and the seam puts right."""

from __future__ import annotations

from tests.addons.streaming import Puts, exchange, pairs, through
from tests.upstream.proxied import (
    Http,
    Tls,
)


async def test_a_reply_from_http2_without_a_length_is_chunked_for_http1(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: True), "h1", "h2") as at:
        _, reply, served = await exchange(at)
        assert reply.headers["transfer-encoding"] == "chunked"
        await served.send(b"text")
        await served.reset()
        await reply.over()
        assert (reply.complete, reply.body) == (False, b"text")


@pairs
async def test_a_length_that_no_longer_holds_is_removed(tls: Tls, client: Http, upstream: Http) -> None:
    async with through(tls, Puts(lambda _: lambda data: data * 2), client, upstream) as at:
        user = await at.client()
        reply = await user.send()
        served = await at.provider.next()
        await served.reply(b"abc", headers={"content-length": "3"})
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"abcabc")
        assert "content-length" not in reply.headers


async def test_trailers_from_http2_do_not_stall_an_http1_client(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: lambda data: data), "h1", "h2") as at:
        _, reply, served = await exchange(at)
        await served.send(b"text")
        served.connection.h2.send_headers(served.stream_id, [("checksum", "1")], end_stream=True)  # type: ignore[attr-defined]
        await served.connection.flush()  # type: ignore[attr-defined]
        await reply.over()
        assert (reply.complete, reply.body) == (True, b"text")
