"""What is no exchange, or none yet, or none any more: stopped too, each in its own way."""

from __future__ import annotations

import ssl

import pytest

from lockgate.addons.gate import Gate
from lockgate.records import Kill
from tests.addons.gated import ANTHROPIC, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, stream, text
from tests.addons.streaming import pairs
from tests.addons.test_stops import ALL, JSON, WAITS, prepared, refused
from tests.upstream.byte_clients import H1Client, tunnel
from tests.upstream.proxied import Changes, Http, Tls, soon, tls

__all__ = ["prepared", "tls"]


@pairs
async def test_calls_that_carry_no_conversation_are_stopped_too(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, client=client, upstream=upstream) as at:
        begun = await (await at.client()).send(b"", path="/v1/files/1", method="GET")
        served = await at.provider.next()
        await served.start(headers={"content-type": "application/octet-stream"})
        await served.send(b"part")
        await begun.until(b"part")
        waiting = await (await at.client()).send(b"", path="/v1/models", method="GET")
        asked = await at.provider.next()
        at.stop(Kill(scope="host", target="api.anthropic.*", set_by="ana"))
        await begun.over()
        await waiting.over()
        await soon(served.gone.wait())
        await soon(asked.gone.wait())
        assert (begun.complete, begun.body) == (False, b"part")
        assert (waiting.status, waiting.complete) == (400, True)
        late = await (await at.client()).send(b"", path="/v1/models", method="GET")
        assert (await late.over()).status == 400
        rows = await at.log.ended(3)
        assert {row.outcome for row in rows} == {"refused"}
        assert all("kill_switch" in row.error for row in rows)


async def test_token_counts_are_stopped(tls: Tls) -> None:
    async with gated(tls) as at:
        reply = await (await at.client()).send(WHOLE, path="/v1/messages/count_tokens")
        served = await at.provider.next()
        await served.start(headers=JSON)
        await served.send(b"{")
        await reply.until(b"{")
        at.stop(ALL)
        await reply.over()
        assert not reply.complete
        await soon(served.gone.wait())
        await refused(at, outcome="blocked")


class Heads:
    """Counts the requests whose heads have come."""

    def __init__(self) -> None:
        self.count, self.changes = 0, Changes()

    def requestheaders(self, flow: object) -> None:
        self.count += 1
        self.changes.tell()


async def test_a_request_whose_body_is_on_its_way_is_never_sent(tls: Tls) -> None:
    heads = Heads()
    async with gated(tls, client="h2", addons=[heads]) as at:
        client = await at.client()
        reply = await client.send(ASK[:10], path=PATH, end=False)
        side = await client.send(b"ab", path="/v1/files", end=False)
        await heads.changes.until(lambda: heads.count == 2)
        at.stop(ALL)
        client.more(reply, ASK[10:], end=True)
        assert (await reply.over()).status == 400
        client.more(side, b"c", end=True)
        assert (await side.over()).status == 400
        assert {row.outcome for row in await at.log.ended(2)} == {"refused"}


async def test_tunnels_are_closed_and_no_new_one_is_built(tls: Tls) -> None:
    async with gated(tls) as at:
        context = ssl.create_default_context(cafile=tls.provider_ca)
        client = H1Client(*await tunnel(at.proxy.port, "localhost", at.provider.port, context), "localhost")
        at.clients.append(client)
        reply = await client.send(path="/anything")
        served = await at.provider.next()
        await served.start()
        await served.send(b"part")
        await reply.until(b"part")
        at.stop(Kill(scope="host", target="localhost", set_by="ana", reason="Closed"))
        await reply.over()
        assert not reply.complete
        await soon(served.gone.wait())
        with pytest.raises(ConnectionError, match="403"):
            await tunnel(at.proxy.port, "localhost", at.provider.port, context)
        model = await (await at.client(ANTHROPIC)).send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(text(0, "free")))
        assert (await model.over()).status == 200


async def test_what_is_over_is_left_alone(tls: Tls) -> None:
    async with gated(tls, WAITS) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        given = stream(text(0, "all"))
        await served.send(given)
        await reply.until(given)
        at.stop(ALL)
        await served.end()
        await reply.over()
        assert (reply.complete, reply.body) == (True, given)
        [row] = await at.log.ended()
        assert (row.outcome, at.log.decisions) == ("passed", [])


async def test_a_kill_during_the_connection_to_the_provider_sends_nothing(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is connected to, and never hears of the request."""

    class Stops:
        gate: Gate

        def server_connect(self, data: object) -> None:
            self.gate.stops.switch.replace([ALL])
            self.gate.stop_exchanges()

    stops = Stops()
    async with gated(tls, addons=[stops]) as at:
        stops.gate = at.gate
        reply = await (await at.client()).send(ASK, path=PATH)
        await reply.over()
        assert (reply.status, reply.complete) == (400, True)
        assert at.provider.requests == 0
        await refused(at, outcome="blocked")


async def test_what_cannot_be_ended_by_its_own_means_loses_its_connection(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gated(tls) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START)
        await reply.until(START)
        monkeypatch.setattr(at.gate.stops, "end", lambda *_: 1 / 0)
        at.stop(ALL)
        await reply.over()
        await soon(served.gone.wait())
        assert not reply.complete
        await at.log.ended()
        assert ["could not be ended by its own means" in each for each in at.proxy.crashes] == [True]
        at.proxy.crashes.clear()
