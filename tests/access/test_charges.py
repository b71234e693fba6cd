"""What an exchange takes of several limits and budgets at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from lockgate.access.budgets import Budgets, Key, Sum
from lockgate.access.charges import Charges, Stay
from lockgate.access.grant import Budget, Grant, Limits
from lockgate.access.limits import Limited
from lockgate.access.records import Token
from lockgate.config import SharedLimits
from lockgate.events import Usage
from lockgate.exchange import Exchange, Ports
from lockgate.records import now
from lockgate.usage.prices import Price, Prices
from lockgate.wire.whole import format_of
from tests.access.test_budgets import Store

PRICES = Prices([
    Price(models=["large"], input=Decimal(10), output=Decimal(100), date=date(2026, 11, 21)),
    Price(models=["small"], input=Decimal(1), output=Decimal(10), date=date(2026, 11, 21)),
])  # fmt: skip


def an_exchange(model: str = "large", **values: Any) -> Exchange:
    document = {"model": model, "max_tokens": 96, "messages": [{"role": "user", "content": "x" * 16}]} | values
    request = format_of("anthropic").read_request(json.dumps(document).encode())
    return Exchange(
        provider="anthropic", format="anthropic", host="api.anthropic.com", endpoint="/v1/messages", request=request,
        ports=cast(Ports, None), client="192.0.2.1",
    )  # fmt: skip


def a_token(*budgets: Mapping[str, Any], project: Grant | None = None, **limits: Any) -> Token:
    return Token(
        id="t", project_id="p", project="shop", hint="lg_…", expires_at=now() + timedelta(hours=1),
        grant=Grant(limits=Limits(**limits), budgets=tuple(Budget(**each) for each in budgets)),
        project_grant=project or Grant(),
    )  # fmt: skip


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def charges(store: Store) -> Charges:
    return a_proxy(store)


def a_proxy(store: Store, at: datetime | None = None, **shared: Any) -> Charges:
    clock = (lambda: at) if at else now
    return Charges(SharedLimits.model_validate(shared), Budgets(store), lambda: PRICES, clock=clock)


async def begun(charges: Charges, token: Token | None, **values: Any) -> Stay:
    stay = await charges.begin(an_exchange(**values), token, 100)
    assert stay
    return stay


async def refused(charges: Charges, token: Token | None, **values: Any) -> str:
    with pytest.raises(Limited) as raised:
        await charges.begin(an_exchange(**values), token, 100)
    return str(raised.value)


async def test_who_has_no_limits_takes_nothing(charges: Charges):
    assert await charges.begin(an_exchange(), None, 100) is None
    assert await charges.begin(an_exchange(), a_token(), 100) is None


async def test_a_refusal_takes_nothing_of_what_else_there_is(charges: Charges):
    token = a_token({"per": "life", "tokens": 100}, concurrent=1)
    assert "used up" not in await refused(charges, token, max_tokens=97)
    stay = await begun(charges, token)
    assert "is held to 1 at a time" in await refused(charges, a_token(concurrent=1))
    charges.end(stay, Usage(output_tokens=1))
    assert "has 99 tokens left" in await refused(charges, token)


async def test_the_strictest_of_token_and_project_counts(charges: Charges):
    project = Grant(budgets=(Budget(per="day", usd=0.001),))
    token = a_token({"per": "day", "tokens": 10**6}, project=project)
    sentence = await refused(charges, token)
    assert sentence.startswith("the token's project's budget of $0.0010 a day has $0.0010 left")


async def test_a_cheaper_model_counts_at_its_own_price(charges: Charges, store: Store):
    project = Grant(budgets=(Budget(per="life", usd=0.0011),))
    token = a_token({"per": "day", "usd": 0.0001, "then": "map", "map_to": "small"}, project=project)
    stay = await begun(charges, token)
    assert (stay.map_to, stay.why) == ("small", "the token's budget of $0.000100 a day is used up")
    stay.x.request = stay.x.request.with_values({("model",): "small"})
    charges.end(stay, Usage(input_tokens=4, output_tokens=96))
    assert "$0.000136 left" in await refused(charges, token)


async def test_a_request_for_the_cheaper_model_passes_as_it_is(charges: Charges):
    stay = await begun(charges, a_token({"per": "day", "tokens": 1, "then": "map", "map_to": "small"}), model="small")
    assert stay.map_to == ""


async def test_a_model_without_a_price_is_refused_where_dollars_count(charges: Charges):
    assert "the model other has no price" in await refused(charges, a_token({"per": "day", "usd": 5}), model="other")
    await begun(charges, a_token({"per": "day", "tokens": 5000}), model="other")


async def test_what_began_in_one_month_is_of_that_month(store: Store):
    token, month = a_token({"per": "month", "tokens": 150}), datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    charges = a_proxy(store, month)
    stay = await begun(charges, token)
    assert "has 50 tokens left" in await refused(charges, token)
    next_one = a_proxy(store, month + timedelta(minutes=1))
    await begun(next_one, token)
    charges.end(stay, Usage(output_tokens=7))
    await charges._budgets.write()  # pyright: ignore[reportPrivateUsage]
    assert store.kept == {Key("t", "2026-11"): Sum(7, 700_000)}


async def test_everyone_is_held_to_what_is_shared(store: Store):
    charges = a_proxy(store, address={"concurrent": 1}, all={"messages": 1, "reply_bytes": 5})
    assert charges.hold_everyone
    stay = await begun(charges, None)
    assert stay.reply_bytes == 5
    assert "this address is held to 1 at a time" in await refused(charges, None)
    assert "Lockgate is held to 1" in await refused(charges, None, messages=[{"role": "user", "content": "x"}] * 2)
