from __future__ import annotations

import socket

import pytest
from mitmproxy.http import HTTPFlow, Response

from lockgate.addons.answers import ANSWERS, Answers
from tests.addons.streaming import Puts, through
from tests.upstream.proxied import (
    Http,
    Tls,
    connect,
    soon,
)


async def test_a_request_from_http2_without_a_length_gets_one_for_http1(tls: Tls) -> None:
    async with through(tls, Puts(lambda _: True), "h2", "h1") as at:
        user = await at.client()
        reply = await user.send(b"x" * 30_000)
        served = await at.provider.next()
        assert (served.headers["content-length"], served.body) == ("30000", b"x" * 30_000)
        await served.reply(b"ok")
        assert (await reply.over()).complete


class Limits:
    """Takes ten bytes of request and twenty of reply."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def requestheaders(self, flow: HTTPFlow) -> None:
        flow.metadata[ANSWERS] = Answers(
            request_bytes=10,
            reply_bytes=20,
            oversize=lambda: Response.make(400, b"too long", {"content-type": "text/plain"}),
            unanswered=lambda reason: Response.make(502, f"no reply: {reason}", {"content-type": "text/plain"}),
        )

    def request(self, flow: HTTPFlow) -> None:
        self.ends.append("request")

    def error(self, flow: HTTPFlow) -> None:
        assert flow.error
        self.ends.append(flow.error.msg)


@pytest.mark.parametrize("client", ["h1", "h2"])
@pytest.mark.parametrize("announced", [True, False], ids=["by content-length", "by bytes read"])
async def test_an_oversize_request_is_refused_and_upstream_not_asked(tls: Tls, client: Http, announced: bool) -> None:
    limits = Limits()
    async with through(tls, limits, client) as at:
        user = await at.client()
        body, headers = b"12345678901", {"content-length": "11"}
        if not announced:
            body, headers = (b"b\r\n" + body + b"\r\n0\r\n\r\n" if client == "h1" else body), {}
            if client == "h1":
                headers = {"content-length": "", "transfer-encoding": "chunked"}
        reply = await (await user.send(body, headers)).over()
        assert (reply.status, reply.body, reply.complete) == (400, b"too long", True)
        assert limits.ends == ["request body exceeds 10 bytes"]
        assert at.provider.connections == 0
        again = await user.send(b"1234567890", {"content-length": "10"})
        await (await at.provider.next()).reply(b"ok")
        assert (await again.over()).body == b"ok"
        assert limits.ends[1:] == ["request"]


async def test_an_oversize_request_is_refused_before_the_client_is_told_to_go_on(tls: Tls) -> None:
    async with through(tls, Limits()) as at:
        user = await at.client()
        reply = await (await user.send(b"", {"content-length": "11", "expect": "100-continue"})).over()
        assert (reply.status, reply.body) == (400, b"too long")


async def test_a_client_that_goes_on_sending_is_cut_off(tls: Tls) -> None:
    async with through(tls, Limits()) as at:
        user = await at.client()
        reply = await (await user.send(b"x" * 30, {"content-length": "1000"})).over()
        assert (reply.status, reply.body) == (400, b"too long")
        assert await soon(user.reader.read()) == b""


async def test_a_client_that_goes_on_sending_is_reset_on_http2(tls: Tls) -> None:
    async with through(tls, Limits(), "h2") as at:
        user = await at.client()
        reply = await user.send(b"x" * 11, end=False)
        await reply.over()
        assert (reply.status, reply.body) == (400, b"too long")
        user.more(reply, b"x" * 11)
        again = await user.send(b"1")
        await (await at.provider.next()).reply(b"ok")
        assert (await again.over()).body == b"ok"


@pytest.mark.parametrize("client", ["h1", "h2"])
@pytest.mark.parametrize("upstream", ["h1", "h2"])
async def test_a_whole_reply_that_is_too_long_is_stood_in_for(tls: Tls, client: Http, upstream: Http) -> None:
    limits = Limits()
    async with through(tls, limits, client, upstream) as at:
        reply = await (await at.client()).send(b"1")
        served = await at.provider.next()
        await served.start(200, {"content-type": "text/plain"})
        await served.send(b"x" * 21)
        await reply.over()
        assert (reply.status, reply.complete) == (502, True)
        assert reply.body == b"no reply: the reply is larger than 20 bytes"
        await soon(served.gone.wait())
        assert limits.ends == ["request", "the reply is larger than 20 bytes"]


@pytest.mark.parametrize("client", ["h1", "h2"])
@pytest.mark.parametrize("began", [False, True], ids=["before the head", "in the body"])
async def test_a_provider_that_breaks_off_before_the_client_heard_of_it(tls: Tls, client: Http, began: bool) -> None:
    async with through(tls, Limits(), client) as at:
        user = await at.client()
        reply = await user.send(b"1")
        served = await at.provider.next()
        if began:
            await served.start(200, {"content-type": "text/plain", "content-length": "9"})
            await served.send(b"x")
        await served.cut()
        await reply.over()
        assert (reply.status, reply.complete) == (502, True)
        assert reply.body.startswith(b"no reply: ")
        again = await user.send(b"1")
        await (await at.provider.next()).reply(b"ok")
        assert (await again.over()).body == b"ok"


async def test_a_provider_that_is_not_there(tls: Tls) -> None:
    async with through(tls, Limits()) as at:
        user = await connect(at.proxy, tls, "h1", free_port())
        reply = await (await user.send(b"1")).over()
        assert (reply.status, reply.complete) == (502, True)
        assert reply.body.startswith(b"no reply: ")
        user.close()


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
