"""Limits and budgets of exchanges, as clients meet them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lockgate.access.budgets import Sum
from lockgate.access.grant import Budget, Grant, Limits
from lockgate.access.limits import BUSY_SECONDS
from tests.addons.gated import ANTHROPIC
from tests.addons.messages import ASK, PATH, START, WHOLE, end, stream, text
from tests.addons.test_door import OTHER, SECRET, Guarded, Store, a_key, a_token, guarded
from tests.addons.wires import Wire, every_wire
from tests.upstream.byte_clients import Reply
from tests.upstream.proxied import Http, Tls, soon, tls
from tests.upstream.script import Text

__all__ = ["tls"]

SAID = stream(text(0, "So"), end("end_turn"))
"""Takes 7 tokens and gives 9."""


@pytest.fixture
def store() -> Store:
    return Store({SECRET: a_token(), OTHER: a_token()}, [a_key(), a_key("o", provider="openai", value="sk-real")])


def held(store: Store, *budgets: Mapping[str, Any], whose: str = "grant", **limits: Any) -> None:
    """Give these to the token, or to its project."""
    given = Grant(limits=Limits(**limits), budgets=tuple(Budget(**each) for each in budgets))
    for secret in (SECRET,) if whose == "grant" else (SECRET, OTHER):
        store.tokens[secret] = replace(store.tokens[secret], **{whose: given})  # pyright: ignore[reportArgumentType]


async def asked(to: Guarded, body: bytes = ASK, secret: str = SECRET) -> Reply:
    return await (await to.at.client()).send(body, {"x-api-key": secret}, path=PATH)


async def answered(to: Guarded, body: bytes = ASK, said: bytes = SAID, *, secret: str = SECRET) -> Reply:
    """An exchange that goes through."""
    reply = await asked(to, body, secret)
    await (await to.at.provider.next()).reply(said)
    await reply.over()
    assert reply.status == 200
    return reply


async def refused(to: Guarded, body: bytes = ASK, *, secret: str = SECRET) -> tuple[int, str]:
    """The status and sentence of a request that is not sent."""
    before = to.at.provider.requests
    reply = await asked(to, body, secret)
    await reply.over()
    assert to.at.provider.requests == before
    return reply.status, json.loads(reply.body)["error"]["message"]


async def settled(to: Guarded, exchanges: int) -> list[Sum]:
    """The sums, once so many exchanges are over."""
    await to.at.log.ended(exchanges)
    await to.budgets.write()
    return list(to.store.used.values())


def asking(**values: Any) -> bytes:
    return json.dumps(json.loads(ASK) | values).encode()


# Rates


@every_wire
async def test_who_asks_too_often_is_told_when_to_ask_again(tls: Tls, store: Store, wire: Wire) -> None:
    held(store, requests_per_minute=4)
    shown = {"x-api-key": SECRET} if wire.host == ANTHROPIC else {"authorization": f"Bearer {SECRET}"}
    async with guarded(tls, store) as to:
        for _ in range(4):
            reply = await (await to.at.client(wire.host)).send(wire.body, shown, path=wire.path)
            await (await to.at.provider.next()).reply(wire.reply(Text("Yes?")), headers=wire.headers)
            await reply.over()
            assert wire.read(reply.body).text == "Yes?"
        reply = await (await to.at.client(wire.host)).send(wire.body, shown, path=wire.path)
        await reply.over()
        assert (reply.status, 1 <= int(dict(reply.headers)["retry-after"]) <= 15) == (429, True)
        error = json.loads(reply.body)["error"]
        assert error["type"] == "rate_limit_error"
        assert "the token is held to 4 requests a minute" in error["message"]
        assert (await to.at.log.ended(5))[-1].outcome == "refused"


async def test_who_would_wait_long_is_refused_for_good(tls: Tls, store: Store) -> None:
    held(store, requests_per_minute=1)
    async with guarded(tls, store) as to:
        await answered(to)
        status, sentence = await refused(to)
        assert (status, "there is room for this request in" in sentence) == (400, True)


async def test_a_project_and_all_its_tokens_are_held_together(tls: Tls, store: Store) -> None:
    held(store, whose="project_grant", requests_per_minute=2)
    async with guarded(tls, store) as to:
        await answered(to, secret=SECRET)
        await answered(to, secret=OTHER)
        assert (await refused(to))[0] == 429


@pytest.mark.parametrize("whom", ["address", "all"])
async def test_who_shows_no_token_is_held_to_what_the_configuration_says(tls: Tls, store: Store, whom: str) -> None:
    async with guarded(tls, store, limits={whom: {"requests_per_minute": 2, "messages": 1}}) as to:
        for _ in range(2):
            await answered(to, secret="sk-ant-own")
        assert (await refused(to, secret="sk-ant-own"))[0] == 429
        assert (await refused(to, asking(messages=[{"role": "user", "content": "hi"}] * 2)))[0] == 400


async def test_tokens_are_counted_as_the_provider_counted_them(tls: Tls, store: Store) -> None:
    held(store, tokens_per_minute=120)  # one exchange is about 101 before, and 16 after
    async with guarded(tls, store) as to:
        await answered(to)
        await to.at.log.ended(1)
        await answered(to)
        await to.at.log.ended(2)
        assert (await refused(to, asking(max_tokens=119)))[0] == 429


@pytest.mark.parametrize("http", ["h1", "h2"])
@pytest.mark.parametrize("how", ["ends", "cut", "gone", "refused"])
async def test_a_place_is_given_back_however_an_exchange_ends(tls: Tls, store: Store, http: Http, how: str) -> None:
    held(store, concurrent=1)
    async with guarded(tls, store, client=http) as to:
        client = await to.at.client()
        first = await client.send(ASK, {"x-api-key": SECRET}, path=PATH)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So"))
        await first.until(b"So")
        reply = await asked(to)
        await reply.over()
        assert (reply.status, dict(reply.headers)["retry-after"]) == (429, str(BUSY_SECONDS))
        if how == "ends":
            await served.send(*end())
            await served.end()
        elif how == "cut":
            await served.reset()
        elif how == "gone":
            client.close()
            await soon(served.gone.wait())
        else:
            store.tokens[SECRET] = replace(store.tokens[SECRET], revoked_at=store.tokens[SECRET].created_at)
            await to.changed()
            await soon(served.gone.wait())
            store.tokens[SECRET] = replace(store.tokens[SECRET], revoked_at=None)
            to.tokens.forget()
        await to.at.log.ended(2)
        await answered(to)


async def test_a_request_that_never_left_gives_its_place_back(tls: Tls, store: Store) -> None:
    held(store, {"per": "life", "tokens": 1000}, concurrent=1)
    no = {"name": "no", "use": "refuse", "with": {"pattern": "never"}}
    async with guarded(tls, store, no) as to:
        for _ in range(2):
            assert (await refused(to, asking(messages=[{"role": "user", "content": "never"}])))[0] == 400
        await answered(to)
        assert await settled(to, 3) == [Sum(16)]


# Sizes


async def test_what_is_too_large_is_refused(tls: Tls, store: Store) -> None:
    held(store, request_bytes=len(ASK) - 1)
    async with guarded(tls, store) as to:
        assert await refused(to) == (
            400,
            f"Blocked by the Lockgate rule access: a request of {len(ASK)} bytes is too large: "
            f"the token is held to {len(ASK) - 1}",
        )


async def test_a_stream_that_is_too_long_is_cut(tls: Tls, store: Store) -> None:
    held(store, reply_bytes=len(START) + 100)
    async with guarded(tls, store) as to:
        reply = await asked(to)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START)
        await reply.until(b"msg_1")
        await served.send(*text(0, "x" * 1000))
        await reply.over()
        await soon(served.gone.wait())
        assert b"x" * 1000 not in reply.body
        assert b"limits.reply_bytes" in reply.body


async def test_a_whole_reply_that_is_too_long_does_not_pass(tls: Tls, store: Store) -> None:
    held(store, reply_bytes=100)
    async with guarded(tls, store) as to:
        reply = await asked(to, WHOLE)
        served = await to.at.provider.next()
        await served.reply(json.dumps({"x": "y" * 200}).encode(), headers={"content-type": "application/json"})
        await reply.over()
        assert reply.status == 400
        assert b"yyy" not in reply.body


# Budgets


@pytest.mark.parametrize("whose", ["grant", "project_grant"])
async def test_a_budget_that_is_used_up_refuses_for_good(tls: Tls, store: Store, whose: str) -> None:
    held(store, {"per": "day", "tokens": 130}, whose=whose)
    async with guarded(tls, store) as to:
        await answered(to)
        await to.at.log.ended(1)
        await answered(to)
        assert await settled(to, 2) == [Sum(32)]
        status, sentence = await refused(to)
        assert status == 400
        assert "budget of 130 tokens a day has 98 tokens left, and this request may take 101 tokens" in sentence


async def test_what_is_under_way_counts(tls: Tls, store: Store) -> None:
    held(store, {"per": "life", "tokens": 130})
    async with guarded(tls, store) as to:
        first = await asked(to)
        served = await to.at.provider.next()
        assert (await refused(to))[0] == 400
        await served.reply(SAID)
        await first.over()
        await to.at.log.ended(2)
        await answered(to)


async def test_dollars_are_those_of_the_price_list(tls: Tls, store: Store) -> None:
    held(store, {"per": "month", "usd": 0.0005})
    async with guarded(tls, store) as to:
        priced = asking(model="claude-haiku-4-5", max_tokens=50)
        await answered(to, priced)
        assert await settled(to, 1) == [Sum(16, 7 * 1000 + 9 * 5000)]
        status, sentence = await refused(to, asking(model="claude-haiku-4-5", max_tokens=100))
        assert (status, "budget of $0.000500 a month has $0.000448 left" in sentence) == (400, True)
        status, sentence = await refused(to)
        assert (status, "the model claude-x has no price" in sentence) == (400, True)


async def test_a_budget_that_nears_its_end_warns(tls: Tls, store: Store) -> None:
    held(store, {"per": "day", "tokens": 1000, "warn_at": 0.01})
    async with guarded(tls, store) as to:
        assert "x-lockgate-budget" not in dict((await answered(to)).headers)
        await to.at.log.ended(1)
        assert dict((await answered(to)).headers)["x-lockgate-budget"] == "token; per=day; used=2%"


@every_wire
async def test_a_budget_that_is_used_up_maps_to_another_model(tls: Tls, store: Store, wire: Wire) -> None:
    held(store, {"per": "day", "tokens": 1, "then": "map", "map_to": "small"})
    shown = {"x-api-key": SECRET} if wire.host == ANTHROPIC else {"authorization": f"Bearer {SECRET}"}
    async with guarded(tls, store) as to:
        reply = await (await to.at.client(wire.host)).send(wire.body, shown, path=wire.path)
        served = await to.at.provider.next()
        assert json.loads(served.body) == wire.document | {"model": "small"}
        await served.reply(wire.reply(Text("Yes?")), headers=wire.headers)
        await reply.over()
        assert wire.read(reply.body).text == "Yes?"
        [row] = await to.at.log.ended()
        assert (row.model, row.rules) == ("small", ("access",))
        [decision] = to.at.log.decisions
        assert (decision.action, decision.reason) == ("replaced", "the token's budget of 1 tokens a day is used up")


@every_wire
async def test_an_exchange_takes_what_its_row_says(tls: Tls, store: Store, wire: Wire) -> None:
    held(store, {"per": "life", "tokens": 100_000}, {"per": "day", "tokens": 100_000})
    shown = {"x-api-key": SECRET} if wire.host == ANTHROPIC else {"authorization": f"Bearer {SECRET}"}
    async with guarded(tls, store) as to:
        reply = await (await to.at.client(wire.host)).send(wire.body, shown, path=wire.path)
        await (await to.at.provider.next()).reply(wire.reply(Text("Yes?")), headers=wire.headers)
        await reply.over()
        sums = await settled(to, 1)
        [row] = await to.at.log.ended()
        assert row.usage
        assert sums == [Sum(row.usage.total)] * 2


@pytest.mark.parametrize("how", ["cut", "gone"])
async def test_a_stream_that_breaks_off_takes_what_was_seen_of_it(tls: Tls, store: Store, how: str) -> None:
    held(store, {"per": "life", "tokens": 1000})
    async with guarded(tls, store) as to:
        client = await to.at.client()
        reply = await client.send(ASK, {"x-api-key": SECRET}, path=PATH)
        served = await to.at.provider.next()
        await served.start()
        await served.send(START, *text(0, "So " * 100))
        await reply.until(b"So So")
        if how == "cut":
            await served.reset()
            await reply.over()
        else:
            client.close()
        assert await settled(to, 1) == [Sum(7 + 75)]


@pytest.mark.parametrize("status", [400, 429, 500, 529])
async def test_an_error_of_the_provider_takes_nothing(tls: Tls, store: Store, status: int) -> None:
    held(store, {"per": "life", "tokens": 1000})
    async with guarded(tls, store) as to:
        reply = await asked(to)
        await (await to.at.provider.next()).reply(b"{}", status=status, headers={"content-type": "application/json"})
        await reply.over()
        assert await settled(to, 1) == []


async def test_where_what_was_used_cannot_be_known_nothing_passes(tls: Tls, store: Store) -> None:
    held(store, {"per": "life", "tokens": 1000})
    async with guarded(tls, store) as to:
        await to.tokens.look_up(SECRET)
        store.is_away = True
        assert (await refused(to))[0] == 429


async def test_a_token_without_limits_leaves_no_trace(tls: Tls, store: Store) -> None:
    async with guarded(tls, store) as to:
        await answered(to)
        assert await settled(to, 1) == []
