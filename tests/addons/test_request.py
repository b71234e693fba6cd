from __future__ import annotations

import pytest
from mitmproxy.http import HTTPFlow, Response

from lockgate.addons.stream import OVERSIZE, REQUEST_LIMIT
from tests.addons.streaming import Puts, through
from tests.upstream.proxied import (
    Http,
    Tls,
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
    """Takes ten bytes of request body."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def requestheaders(self, flow: HTTPFlow) -> None:
        flow.metadata[REQUEST_LIMIT] = 10
        flow.metadata[OVERSIZE] = lambda: Response.make(400, b"too long", {"content-type": "text/plain"})

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
