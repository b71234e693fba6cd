from __future__ import annotations

from typing import Any

from tests.addons.streaming import Judged, Puts, exchange, pairs, stuck_at, through
from tests.upstream.proxied import (
    At,
    Http,
    Tls,
)


class KeptAlive(Judged):
    keep_alive_seconds = 0.001
    holding = False

    def __init__(self) -> None:
        super().__init__()
        self.words = iter([b"", b"", b"ping"])
        self.given = b""

    def __call__(self, data: bytes) -> Any:
        if data.startswith(b"?"):
            return self.judge(data)
        self.given += data
        self.holding = not (data.endswith(b".") or not data)
        if self.holding:
            return ()
        out, self.given = self.given, b""
        return out

    def keep_alive(self) -> bytes:
        return next(self.words, b"ping")


@pairs
async def test_a_client_is_kept_while_a_verdict_is_awaited(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: KeptAlive())
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text.", b"?")
        await reply.until(b"text.pingpingping")
        puts.streams["/"].verdict.set_result(b"allowed")
        await served.end()
        await reply.over()
        assert reply.complete
        assert reply.body.replace(b"ping", b"") == b"text.allowed"


@pairs
async def test_a_client_is_kept_while_bytes_are_withheld(tls: Tls, client: Http, upstream: Http) -> None:
    puts = Puts(lambda _: KeptAlive())
    async with through(tls, puts, client, upstream) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text.", b"withheld ")
        await reply.until(b"text.pingpingping")
        await served.send(b"more.")
        await reply.until(b"withheld more.")
        silent = reply.body
        await served.send(b"text.")
        await reply.until(b"more.text.")
        assert reply.body == silent + b"text."
        await served.end()
        await reply.over()
        assert (reply.complete, reply.body) == (True, silent + b"text.")


async def test_one_wakeup_at_most_is_outstanding_and_none_without_a_hold(tls: Tls) -> None:
    def wakeups(at: At) -> int:
        return sum(len(each.wakeup_timer) for each in at.proxy.master.addons.get("proxyserver").connections.values())

    class Slow(KeptAlive):
        keep_alive_seconds = 3600

    async with through(tls, Puts(lambda path: Slow() if path == "/" else True)) as at:
        _, reply, served = await exchange(at)
        await served.send(b"text.")
        await reply.until(b"text.")
        assert wakeups(at) == 0
        await served.send(b"with", b"held", b" ")
        await stuck_at(at, served)
        assert wakeups(at) == 1
        await served.send(b"text.")
        await served.end()
        await reply.over()
        assert reply.body == b"text.withheld text."
