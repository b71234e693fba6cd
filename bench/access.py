"""What a token costs an exchange: to check it, known and not, to take of its limits and budgets, and all together."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import cast

from lockgate.access.budgets import Budgets
from lockgate.access.charges import Charges
from lockgate.access.grant import Allow, Budget, Grant, Limits
from lockgate.access.keyring import Keyring
from lockgate.access.tokens import Tokens
from lockgate.bench.databases import databases
from lockgate.bench.measures import WARM_EXCHANGES, Measure, Size, Step, alternate, told
from lockgate.bench.processes import Proxy
from lockgate.bench.result import Result, absolutes, ratios
from lockgate.bench.stage import Stage
from lockgate.bench.usage import pinned
from lockgate.config import SharedLimits
from lockgate.events import Usage
from lockgate.exchange import Exchange, Ports
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.access_store import SqlAccess
from lockgate.usage.prices import load_prices
from lockgate.wire.anthropic import FORMAT

KNOWN_BOUND_US, UNKNOWN_BOUND_MS, CHARGES_BOUND_US = 50.0, 3.0, 200.0
GUARDED_BOUND = 1.10
RING = Keyring([b"b" * 32])
GRANT = Grant(
    limits=Limits(requests_per_minute=10**9, tokens_per_minute=10**12, concurrent=10),
    budgets=(Budget(per="day", usd=10**6), Budget(per="life", tokens=10**15)),
)
REACH = Allow(
    providers=("anthropic",), models=("claude-opus-*", "claude-sonnet-*"), methods=("GET", "POST"),
    endpoints=("/v1/messages", "/v1/messages/*", "/v1/models"), addresses=("127.0.0.0/8", "10.0.0.0/8"),
    parameters={"service_tier": ("auto", "standard_only")},
)  # fmt: skip
ASKED = {"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": [{"role": "user", "content": "word " * 200}]}


def access(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """A token's check, and limits and budgets."""
    results: list[Result] = []
    for database in databases():
        found: list[tuple[float, float, float]] = []
        for _ in range(rounds):
            with database.empty() as url, pinned(stage.core):
                found.append(asyncio.run(_measured(url, size.exchanges)))
            step()
        known, unknown, charges = (list(each) for each in zip(*found, strict=True))
        name, end = database.name, database.name.lower()
        results += [
            absolutes(
                known, unit="us", **told(f"token-known-{end}", f"token check, known, {name}", KNOWN_BOUND_US, {})
            ),
            absolutes(
                unknown, unit="ms", **told(f"token-new-{end}", f"token check, new, {name}", UNKNOWN_BOUND_MS, {})
            ),
            absolutes(
                charges, unit="us", **told(f"charges-{end}", f"limits and budgets, {name}", CHARGES_BOUND_US, {})
            ),
        ]
    return results


async def _measured(url: str, count: int) -> tuple[float, float, float]:
    """Microseconds of a known token, milliseconds of a new one, microseconds of limits and budgets."""
    schema.upgrade(url)
    with Access(url, RING) as people:
        people.create_project("bench", grant=GRANT)
        secret, _ = people.create_token("bench", lifetime=timedelta(hours=1), grant=GRANT)
    store = SqlAccess(url, RING)
    tokens, budgets = Tokens(store, RING), Budgets(store)
    charges = Charges(SharedLimits(), budgets, load_prices)
    token = await tokens.look_up(secret)

    async def known() -> None:
        await tokens.look_up(secret)

    async def new() -> None:
        tokens.forget()
        await tokens.look_up(secret)

    async def charged() -> None:
        x = Exchange(
            provider="anthropic", format="anthropic", host="api.anthropic.com", endpoint="/v1/messages",
            request=request, ports=cast(Ports, None), client="127.0.0.1",
        )  # fmt: skip
        if stay := await charges.begin(x, token, len(request.raw)):
            charges.end(stay, Usage(input_tokens=250, output_tokens=100))

    request = FORMAT.read_request(json.dumps(ASKED).encode())
    try:
        return (
            await _seconds(known, 10 * count, time.thread_time) * 1e6,
            await _seconds(new, count, time.perf_counter) * 1e3,
            await _seconds(charged, 10 * count, time.thread_time) * 1e6,
        )
    finally:
        await budgets.write()
        await store.close()


async def _seconds(act: Callable[[], Awaitable[None]], count: int, clock: Callable[[], float]) -> float:
    """Of each, after one that warms up: of CPU where nothing waits, else by the clock."""
    await act()
    began = clock()
    for _ in range(count):
        await act()
    return (clock() - began) / count


def guarded(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """CPU of a small exchange with a token, limits and allowlists, against the same proxy without."""
    program, secret = stage.guarded(Grant(limits=GRANT.limits, allow=REACH))

    def asked(proxy: Proxy, count: int = WARM_EXCHANGES) -> float:
        shown = {"key": secret} if proxy.name == program.name else {}
        found = stage.client.ask(proxy.job("exchanges", count=count, warm=20, **shown))
        return found["cpu_seconds"] / found["count"] * 1e6

    def cost(proxy: Proxy) -> float:
        step()
        return asked(proxy, size.exchanges)

    with stage.lockgate.running(stage.core) as open_, program.running(stage.core) as held:
        for each in (open_, held):
            asked(each)
        pairs = alternate((open_, held), rounds, cost)
    notes = {"exchanges_per_round": size.exchanges}
    return [ratios(*pairs, unit="us", **told("guarded", "small exchange with a token, CPU", GUARDED_BOUND, notes))]


KINDS = len(list(databases()))
ACCESS_MEASURES = {
    "access": Measure(what="tokens, limits and budgets", run=access, rounds=3, steps_per_round=KINDS),
    "guarded": Measure(what="CPU of exchanges with tokens, limits and allowlists", run=guarded, rounds=9),
}
