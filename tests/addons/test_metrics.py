"""What a real proxy has counted after exchanges that the test scripts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lockgate.access.grant import Allow, Grant, Limits
from lockgate.records import Kill, now
from tests.addons.gated import ANTHROPIC, OPENAI, Gated, gated
from tests.addons.messages import ASK, PATH, START, WHOLE, call, end, stream, text
from tests.addons.steered_policies import Waits
from tests.addons.test_door import OTHER, SECRET, Store, a_key, a_token, guarded
from tests.exposed import Exposed, exposed
from tests.upstream.byte_clients import H1Client
from tests.upstream.proxied import Http, Tls, soon, tls

__all__ = ["tls"]

NO_TOUCH = {"name": "no-touch", "use": "tools", "with": {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]}}
NEVER = {"name": "no", "use": "refuse", "with": {"pattern": "never"}}
WAITS = {"name": "waits", "use": "tests.addons.steered_policies:Waits"}
MODEL = {"host": ANTHROPIC, "provider": "anthropic", "kind": "model"}
SAID = stream(text(0, "So"), end("end_turn"))


def counted(at: Gated) -> Exposed:
    return exposed(at.gate.metrics)


async def answered(at: Gated, said: bytes = SAID, body: bytes = ASK, headers: dict[str, str] | None = None) -> None:
    reply = await (await at.client()).send(body, headers, path=PATH)
    await (await at.provider.next()).reply(said)
    await reply.over()


async def refused(at: Gated, body: bytes = ASK, headers: dict[str, str] | None = None, path: str = PATH) -> int | None:
    reply = await (await at.client()).send(body, headers, path=path)
    await reply.over()
    return reply.status


@pytest.mark.parametrize("http", ["h1", "h2"])
async def test_each_exchange_counts_once_by_how_it_ended(tls: Tls, http: Http) -> None:
    async with gated(tls, NO_TOUCH, client=http) as at:
        for _ in range(3):
            await answered(at)
        await answered(at, stream(call(0, "touch x"), stop="tool_use"))
        client = await at.client()
        reply = await client.send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So"))
        await reply.until(b"So")
        assert counted(at)("refusals_total", host=ANTHROPIC, kind="rule") is None
        assert at.gate.under_way == 1
        client.close()
        await soon(served.gone.wait())
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(b'{"type":"error"}', status=529)
        await reply.over()
        await at.log.ended(6)
        found = counted(at)
        for outcome, count in (("passed", 3), ("blocked", 1), ("gone", 1), ("error", 1)):
            assert found("exchanges_total", **MODEL, outcome=outcome) == count
        assert sum(found.of("exchanges_total").values()) == 6
        assert found("exchange_duration_seconds_count", host=ANTHROPIC) == 6
        assert found("first_byte_seconds_count", host=ANTHROPIC) == 5
        assert found("rule_decisions_total", rule="no-touch", mode="enforce", action="blocked") == 1
        assert at.gate.under_way == 0


async def test_a_reply_that_waits_is_seen_and_its_wait_is_counted(tls: Tls) -> None:
    Waits.prepare()
    async with gated(tls, WAITS) as at:
        assert at.gate.stops.exchanges.held == 0
        reply = await (await at.client()).send(ASK, path=PATH)
        served = await at.provider.next()
        await served.start()
        await served.send(START, *call(0, "wait"), *end("tool_use"))
        await served.end()
        await soon(Waits.asked.wait())
        assert at.gate.stops.exchanges.held == 1
        Waits.verdict.set()
        await reply.over()
        await at.log.ended()
        assert at.gate.stops.exchanges.held == 0
        await answered(at)
        await at.log.ended(2)
        found = counted(at)
    assert found("hold_seconds_count", host=ANTHROPIC) == 1
    assert (found("hold_seconds_sum", host=ANTHROPIC) or 0) > 0
    assert found("rule_duration_seconds_count", rule="waits") == 1


async def test_a_shadow_rule_makes_nobody_wait(tls: Tls) -> None:
    Waits.prepare()
    async with gated(tls, {**WAITS, "mode": "shadow"}) as at:
        reply = await (await at.client()).send(ASK, path=PATH)
        await (await at.provider.next()).reply(stream(call(0, "wait"), stop="tool_use"))
        await reply.over()
        Waits.verdict.set()
        await at.log.ended()
        found = counted(at)
    assert found("hold_seconds_count", host=ANTHROPIC) is None
    assert found("rule_decisions_total", rule="waits", mode="shadow", action="forwarded") == 1


async def test_refusals_are_counted_by_kind(tls: Tls) -> None:
    never = json.dumps(json.loads(ASK) | {"messages": [{"role": "user", "content": "never"}]}).encode()
    async with gated(tls, NEVER, limits={"request_bytes": 10_000}, unknown_endpoint="block", egress=["ok"]) as at:
        assert await refused(at, never) == 400
        assert await refused(at, b'{"a": 1, "a": 2}') == 400
        assert await refused(at, b"x" * 10_001) == 400
        assert await refused(at, path="/v9/sk-ant-secret") == 400
        assert await refused(at, headers={"upgrade": "websocket"}) == 426
        at.log.full = "it is full"
        assert await refused(at) == 400
        at.log.full = ""
        at.stop(Kill(scope="all", reason="sk-ant-secret"))
        assert await refused(at) == 400
        at.stop()
        with pytest.raises(ConnectionError, match="403"):
            await at.client("sk-ant-secret.example")
        found = counted(at)
    for kind in ("rule", "unreadable", "oversize", "endpoint", "protocol", "log", "stop"):
        assert found("refusals_total", host=ANTHROPIC, kind=kind) == 1, kind
    assert found("refusals_total", host="other", kind="egress") == 1
    assert sum(found.of("refusals_total").values()) == 8
    assert "sk-ant" not in found.text


async def test_the_door_counts_whom_it_turns_away(tls: Tls) -> None:
    store = Store({SECRET: a_token(), OTHER: a_token()}, [a_key(), a_key("o", provider="openai", value="sk-real")])
    store.tokens[SECRET] = replace(
        store.tokens[SECRET], project="shop", grant=Grant(limits=Limits(requests_per_minute=2))
    )
    store.tokens[OTHER] = replace(store.tokens[OTHER], grant=Grant(allow=Allow(models=("none",))))
    key = {"x-api-key": SECRET}
    async with guarded(tls, store, mode="token") as to:
        for _ in range(2):
            await answered(to.at, headers=key)
        assert await refused(to.at, headers=key) == 429
        assert await refused(to.at, headers={"x-api-key": OTHER}) == 400
        assert await refused(to.at) == 400
        assert await refused(to.at, path="/v1/unknown") == 400
        store.is_away = True
        to.tokens.forget()
        assert await refused(to.at, headers=key) == 429
        with pytest.raises(ConnectionError, match="407"):
            await to.at.client("elsewhere.example")
        await to.at.log.ended(6)
        found = counted(to.at)
    assert found("refusals_total", host=ANTHROPIC, kind="limit") == 1
    assert found("refusals_total", host=ANTHROPIC, kind="access") == 3
    assert found("refusals_total", host="other", kind="access") == 1
    assert found("refusals_total", host=ANTHROPIC, kind="log") == 1
    assert found("exchanges_total", **MODEL, project="shop", outcome="passed") == 2
    assert found("exchanges_total", **MODEL, project="shop", outcome="refused") == 2
    assert not any(secret in found.text for secret in (SECRET, OTHER, "sk-ant", "sk-real"))


@pytest.mark.parametrize("how", ["stop", "access"])
async def test_what_is_cut_from_outside_is_counted_once(tls: Tls, how: str) -> None:
    store = Store({SECRET: a_token()}, [a_key()])
    async with guarded(tls, store) as to:
        reply = await (await to.at.client()).send(ASK, {"x-api-key": SECRET}, path=PATH)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So"))
        await reply.until(b"So")
        if how == "stop":
            to.at.stop(Kill(scope="all"))
        else:
            store.tokens[SECRET] = replace(store.tokens[SECRET], revoked_at=now())
            await to.changed()
        await soon(served.gone.wait())
        await to.at.log.ended()
        found = counted(to.at)
    assert found.of("refusals_total") == {frozenset({ANTHROPIC, how}): 1}


async def test_side_calls_are_counted_apart(tls: Tls) -> None:
    async with gated(tls) as at:
        reply = await (await at.client(OPENAI)).send(b"", path="/v1/files/sk-ant-secret")
        await (await at.provider.next()).reply(b"{}", headers={"content-type": "application/json"})
        await reply.over()
        reply = await (await at.client()).send(WHOLE, path="/v1/messages/count_tokens")
        await (await at.provider.next()).reply(b'{"input_tokens":1}', headers={"content-type": "application/json"})
        await reply.over()
        await at.log.ended(2)
        found = counted(at)
        assert at.finished == []
    assert found("exchanges_total", host=OPENAI, provider="openai", kind="other", outcome="passed") == 1
    assert found("exchanges_total", host=ANTHROPIC, provider="anthropic", kind="other", outcome="passed") == 1
    assert not list(found.names("seconds"))
    assert "sk-ant" not in found.text


async def test_nothing_that_a_client_sends_stands_in_the_metrics(tls: Tls) -> None:
    """Prompts, keys, models and names planted in every place that a client fills."""
    planted = "PLANTED"
    asked: dict[str, Any] = json.loads(ASK) | {
        "model": f"{planted}-model", "messages": [{"role": "user", "content": f"{planted} prompt"}],
        "metadata": {"user_id": f"{planted}-user"},
    }  # fmt: skip
    headers = {"x-api-key": f"sk-{planted}", "user-agent": f"{planted}/1", "x-session-id": planted, "origin": planted}
    async with gated(tls, NO_TOUCH) as at:
        body = json.dumps(asked).encode()
        reply = await (await at.client()).send(body, headers, path=f"{PATH}?{planted}={planted}")
        said = stream(text(0, planted), call(1, f"touch {planted}"), stop=planted)
        await (await at.provider.next()).reply(said)
        await reply.over()
        client = await at.client()
        assert isinstance(client, H1Client)
        reply = await client.send(body, {**headers, "host": f"{planted}.example"}, path=f"/{planted}")
        await reply.over()
        await at.log.ended(2)
        found = counted(at)
    assert found("exchanges_total", **MODEL, outcome="blocked") == 1
    assert found("refusals_total", host=ANTHROPIC, kind="misdirected") == 1
    assert planted.lower() not in found.text.lower()


async def test_counting_that_fails_lets_nothing_pass(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    never = json.dumps(json.loads(ASK) | {"messages": [{"role": "user", "content": "never"}]}).encode()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def exchanges() -> None:
        async with gated(tls, NEVER) as at:
            monkeypatch.setattr(at.gate.metrics, "refused", fail)
            assert await refused(at, never) == 400
            assert await refused(at, b"no JSON") == 400
            assert at.provider.requests == 0
            await answered(at)
            assert [row.outcome for row in await at.log.ended(3)] == ["error", "refused", "passed"]

    with pytest.raises(AssertionError, match=r"^a request .* could not be checked: ZeroDivisionError"):
        await exchanges()
