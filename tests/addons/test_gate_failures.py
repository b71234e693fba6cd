"""What fails inside Lockgate: nothing passes unseen for it, nothing is left behind, and the log says how it ended."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import suppress
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow

from lockgate.addons import gate as gate_module
from lockgate.addons import service as service_module
from lockgate.addons.record import Recorder
from lockgate.policies.pipeline import Pipeline
from lockgate.records import ExchangeRow
from tests.addons.gated import DIRECT, Gated, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, call, message_of, stream, text
from tests.addons.steered_policies import FailsToProvision
from tests.addons.test_service import Operator, operator
from tests.upstream.byte_clients import Client, Reply
from tests.upstream.proxied import EVENT_STREAM, Changes, Http, Tls, running_proxy, soon, tls

__all__ = ["operator", "tls"]

SHUT = {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}
NO_TOUCH = {"name": "no-touch", "use": "tools", "with": {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]}}
JSON = {"content-type": "application/json"}
CALLS = stream(text(0, "so"), call(1, "touch x"), stop="tool_use")
CALLS_WHOLE = json.dumps(message_of(CALLS)).encode()

both = pytest.mark.parametrize(("client", "upstream"), [("h1", "h1"), ("h1", "h2"), ("h2", "h1"), ("h2", "h2")])
streamed_or_whole = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
modes = pytest.mark.parametrize("mode", ["block", "forward", "shadow"])


def failing(policy: str, mode: str) -> dict[str, str]:
    rule = {"name": "fails", "use": f"tests.addons.steered_policies:{policy}", "refusal": "text"}
    return rule | ({"mode": "shadow"} if mode == "shadow" else {"on_error": mode})


async def _ask(at: Gated, streamed: bool, body: bytes = b"") -> Reply:
    reply = await (await at.client()).send(ASK if streamed else WHOLE, path=PATH)
    body = body or (CALLS if streamed else CALLS_WHOLE)
    await (await at.provider.next()).reply(body, headers=EVENT_STREAM if streamed else JSON)
    return await reply.over()


# Hooks of mitmproxy that fail: it would log that, and go on.


def _fails(*given: Any, **named: Any) -> Any:
    raise ZeroDivisionError("sk-secret")


@pytest.mark.parametrize("name", ["endpoint_for", "agent_of", "refuse"])
async def test_a_hook_that_fails_stops_the_request(tls: Tls, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with gated(tls, SHUT, hosts=DIRECT) as at:
        monkeypatch.setattr(gate_module, name, _fails)
        reply = await (await (await at.client("localhost")).send(ASK, path=PATH)).over()
        assert reply.status == (400 if name == "agent_of" else 500)  # 400 where the client's format is known
        assert b"cannot be checked does not pass" in reply.body
        assert at.provider.connections == 0
        assert at.under_way == 0
        assert all("ZeroDivisionError in" in crash and "sk-secret" not in crash for crash in at.proxy.crashes)
        assert at.proxy.crashes
        at.proxy.crashes.clear()


async def test_a_request_that_cannot_be_sent_on_is_stopped(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gated(tls, hosts=DIRECT) as at:
        monkeypatch.setattr(at.gate.route, "send", _fails)
        reply = await (await (await at.client("localhost")).send(ASK, path=PATH)).over()
        assert reply.status == 400
        assert at.provider.connections == 0
        [row] = await at.log.ended()
        at.proxy.crashes.clear()
    assert row.outcome == "error"


# Policies that fail, each in its own way.


@streamed_or_whole
@modes
@pytest.mark.parametrize("policy", ["ForgetsToReturn", "GivesWords", "BreaksOffGiving", "Cancels", "IsNotAsync"])
async def test_a_policy_that_fails_at_a_call(tls: Tls, policy: str, mode: str, streamed: bool) -> None:
    async with gated(tls, failing(policy, mode)) as at:
        reply = await _ask(at, streamed)
        assert (reply.status, reply.complete) == (200, True)
        [row] = await at.log.ended()
        assert at.under_way == 0
    if mode == "block":
        message = message_of(reply.body) if streamed else json.loads(reply.body)
        assert [block["type"] for block in message["content"]] == ["text", "text"]
        assert "could not be checked" in message["content"][1]["text"]
    else:
        assert reply.body == (CALLS if streamed else CALLS_WHOLE)
    [decision] = at.log.decisions
    assert decision.action == ("failed" if mode == "forward" else "blocked")
    assert "sk-secret" not in repr(at.log.records)
    assert row.outcome == ("blocked" if mode == "block" else "passed")


@modes
@pytest.mark.parametrize("policy", ["ForgetsTheRequest", "GivesADocument", "CancelsTheRequest"])
async def test_a_policy_that_fails_at_a_request(tls: Tls, policy: str, mode: str) -> None:
    async with gated(tls, failing(policy, mode) | {"refusal": "error"}) as at:
        if mode == "block":
            reply = await (await (await at.client()).send(ASK, path=PATH)).over()
            assert reply.status == 400
            assert "could not be checked" in json.loads(reply.body)["error"]["message"]
            assert at.provider.connections == 0
        else:
            assert (await _ask(at, True)).body == CALLS
        [row] = await at.log.ended()
    assert [decision.action for decision in at.log.decisions] == ["failed" if mode == "forward" else "blocked"]
    assert row.outcome == ("refused" if mode == "block" else "passed")


@modes
async def test_a_policy_that_cannot_be_made(tls: Tls, mode: str) -> None:
    async with gated(tls, failing("FailsAtBirth", mode)) as at:
        if mode == "block":
            reply = await (await (await at.client()).send(ASK, path=PATH)).over()
            assert reply.status == 400
            assert at.provider.connections == 0
        else:
            assert (await _ask(at, True)).body == CALLS
        [row] = await at.log.ended()
        [crash] = at.proxy.crashes
        at.proxy.crashes.clear()
    assert "rule 'fails' cannot be put to work: ZeroDivisionError in" in crash
    assert row.outcome == ("refused" if mode == "block" else "passed")


async def test_a_policy_that_cannot_be_loaded_leaves_the_rules_as_they_were(
    operator: Operator, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "WATCH_SECONDS", 0.01)
    FailsToProvision.asked = asyncio.Event()
    operator.write()
    service, swapped = operator.build(), Changes()
    before, swap = service.registry.current, service.registry.swap

    def tell(*given: Any) -> bool:
        asyncio.get_running_loop().call_soon(swapped.tell)
        return swap(*given)

    monkeypatch.setattr(service.registry, "swap", tell)
    async with running_proxy(tls, service) as proxy:
        operator.write({"name": "p", "use": "tests.addons.steered_policies:FailsToProvision"})
        await soon(FailsToProvision.asked.wait())
        operator.write(SHUT)  # the files are still watched
        await swapped.until(lambda: service.registry.current is not before)
        [crash] = proxy.crashes
        proxy.crashes.clear()
    assert [rule.name for rule in service.registry.current.rules] == ["shut"]
    assert crash.startswith("the rules stay as they were: ")
    assert "sk-secret" not in crash


# The end of an exchange.


@streamed_or_whole
@pytest.mark.parametrize(("place", "name"), [(Recorder, "reply"), (Pipeline, "close")])
async def test_an_end_that_cannot_be_told_still_writes_its_row(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, place: type, name: str, streamed: bool
) -> None:
    monkeypatch.setattr(place, name, _fails)
    async with gated(tls, NO_TOUCH) as at:
        reply = await _ask(at, streamed, b"" if streamed else CALLS_WHOLE)
        assert reply.complete
        [row] = await at.log.ended()
        [crash] = at.proxy.crashes
        at.proxy.crashes.clear()
        assert at.under_way == 0
    assert f"exchange {row.id}: what passed cannot be told" in crash
    assert "ZeroDivisionError" in row.error
    assert len(at.log.decisions) == 1


class SlowHook:
    """An addon that waits in one hook, and knows when a client's connection is over."""

    def __init__(self, hook: str) -> None:
        self.waits, self.go_on, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        setattr(self, hook, self._wait)

    async def _wait(self, flow: HTTPFlow) -> None:
        self.waits.set()
        await self.go_on.wait()

    def client_disconnected(self, client: Any) -> None:
        self.left.set()


@streamed_or_whole
@both
async def test_a_client_that_leaves_at_the_head_leaves_nothing_behind(
    tls: Tls, client: Http, upstream: Http, streamed: bool
) -> None:
    slow = SlowHook("responseheaders")
    async with gated(tls, NO_TOUCH, client=client, upstream=upstream, addons=[slow]) as at:
        one = await at.client()
        await one.send(ASK if streamed else WHOLE, path=PATH)
        await (await at.provider.next()).start(200, EVENT_STREAM if streamed else JSON)
        await _leave(at, one, slow)


@pytest.mark.parametrize("client", ["h1", "h2"])
async def test_a_client_that_leaves_while_its_request_is_judged_leaves_nothing_behind(tls: Tls, client: Http) -> None:
    slow = SlowHook("request")
    async with gated(tls, NO_TOUCH, client=client, addons=[slow]) as at:
        one = await at.client()
        await one.send(ASK, path=PATH)
        await _leave(at, one, slow)
        assert at.provider.connections == 0


async def _leave(at: Gated, client: Client, slow: SlowHook) -> None:
    await soon(slow.waits.wait())
    client.close()
    await soon(slow.left.wait())
    slow.go_on.set()
    [row] = await at.log.ended()
    assert at.under_way == 0
    assert row.outcome == "gone"
    assert len(at.log.of(ExchangeRow)) == 2


@both
async def test_a_client_that_leaves_within_a_whole_reply_is_gone(tls: Tls, client: Http, upstream: Http) -> None:
    async with gated(tls, NO_TOUCH, client=client, upstream=upstream) as at:
        one = await at.client()
        await one.send(WHOLE, path=PATH)
        served = await at.provider.next()
        await served.start(200, JSON)
        await served.send(b"{")
        one.close()
        [row] = await at.log.ended()
        assert at.under_way == 0
    assert row.outcome == "gone"


# Encodings.


@pytest.mark.parametrize("encoding", ["foo", "gzip, gzip, gzip, gzip", "aws-chunked", "utf-8", "rot13"])
async def test_a_stream_in_an_unknown_encoding_ends_in_words(tls: Tls, encoding: str) -> None:
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start(200, {**EVENT_STREAM, "content-encoding": encoding})
        await served.send(b"unseen")
        await reply.over()
        assert reply.complete
        assert b"unseen" not in reply.body
        assert b"event: error" in reply.body
        assert b"content encoding" in reply.body
        [row] = await at.log.ended()
    assert row.outcome == "error"


@pytest.mark.parametrize("encoding", ["foo", "gzip, gzip, gzip, gzip", "aws-chunked", "utf-8", "rot13"])
async def test_it_passes_where_no_rule_judges_replies(tls: Tls, encoding: str) -> None:
    async with gated(tls) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        headers = {**EVENT_STREAM, "content-encoding": encoding}
        await (await at.provider.next()).reply(b"odd", b"ly", headers=headers)
        await reply.over()
        assert (reply.body, reply.complete, reply.headers["content-encoding"]) == (b"oddly", True, encoding)
        [row] = await at.log.ended()
    assert row.outcome == "error"
    assert "content encoding" in row.error


@pytest.mark.parametrize("encoding", ["rot13", "hex", "undefined", "utf-8", "\x00"])
async def test_an_error_in_an_unknown_encoding_passes_and_is_kept(tls: Tls, encoding: str) -> None:
    body = b'{"type":"error"}'
    async with gated(tls, NO_TOUCH) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        headers = {**JSON, "content-encoding": encoding, "content-length": str(len(body))}
        await (await at.provider.next()).reply(body, status=500, headers=headers)
        await reply.over()
        assert (reply.status, reply.body) == (500, body)
        [row] = await at.log.ended()
    assert (row.outcome, at.log.comms[-1].content) == ("error", body)


@pytest.mark.parametrize("rules", [(), (NO_TOUCH,)])
async def test_what_a_stream_becomes_counts_against_its_limit(tls: Tls, rules: tuple[Any, ...]) -> None:
    bomb = gzip.compress(START + b"".join(text(0, "x" * 1_000_000)))
    async with gated(tls, *rules, limits={"reply_bytes": 10_000}) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        with suppress(ConnectionError):  # the proxy has read enough
            headers = {**EVENT_STREAM, "content-encoding": "gzip"}
            await (await at.provider.next()).reply(bomb, headers=headers)
        await reply.over()
        assert len(reply.body) < 10_000
        assert b"limits.reply_bytes" in reply.body
        [row] = await at.log.ended()
    assert row.outcome == "error"
    assert sum(len(comm.content or b"") for comm in at.log.comms) < 20_000


@pytest.mark.parametrize("status", [200, 500])
async def test_what_a_whole_reply_becomes_counts_against_its_limit(tls: Tls, status: int) -> None:
    bomb = gzip.compress(b" " * 1_000_000)
    async with gated(tls, NO_TOUCH, limits={"reply_bytes": 10_000}) as at:
        reply = await (await at.client()).send(WHOLE, path=PATH)
        headers = {**JSON, "content-encoding": "gzip", "content-length": str(len(bomb))}
        await (await at.provider.next()).reply(bomb, status=status, headers=headers)
        await reply.over()
        assert reply.status == {200: 502, 500: 500}[status]
        [row] = await at.log.ended()
    assert row.outcome == "error"
    assert sum(len(comm.content or b"") for comm in at.log.comms) < 20_000
