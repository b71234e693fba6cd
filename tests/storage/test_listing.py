"""Whichever way a page is found, by a walk, by a narrow index or among all, it is the page that a plain look gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from lockgate.events import Usage
from lockgate.records import ExchangeRow, Record
from lockgate.storage import listing, schema
from lockgate.storage.answers import Filter
from lockgate.storage.queries import FIRST, Queries
from tests.storage.logs import plan_of, remember
from tests.storage.records import START, decision, exchange_row
from tests.storage.test_search import call, exchange

ASKED: Sequence[dict[str, Any]] = (
    {"kind": "model"}, {"provider": "openai"}, {"model": "claude-haiku-4-5"}, {"agent": "codex"}, {"session_id": "s2"},
    {"project": "p1"}, {"token": "t"}, {"trigger": "judge"}, {"trigger": ""}, {"outcome": "blocked"}, {"status": 500},
    {"attested": "foreign"}, {"purpose": "side"}, {"tool": "Bash"}, {"rule": "odd"}, {"action": "blocked"},
    {"rule": "odd", "action": "blocked"}, {"min_cost_nano_usd": 15_000}, {"min_tokens": 30},
    {"since": START + timedelta(minutes=20)}, {"until": START + timedelta(minutes=20)}, {"model": "none"},
    {"min_tokens": 10**9},
)  # fmt: skip
LIMIT = 7
STEPS = {"a walk": (10**6, 10**6), "within the span": (3, 10**6), "a narrow lead": (1, 9), "among all": (0, -1)}
"""How far a walk goes, and how many are few."""


def row(number: int) -> ExchangeRow:
    """Old ones differ from new ones, so that some filters never go together."""
    old = number < 15
    return exchange_row(
        **{
            "provider": "openai" if old else "anthropic",
            "model": ("m0", "claude-haiku-4-5", "m2")[number % 3],
            "agent": "codex" if old else "cc",
        },
        **{"session_id": f"s{number % 4}", "project": f"p{number % 2}", "token": "t" if number % 7 == 0 else ""},
        **{"trigger": "judge" if number == 20 else "", "outcome": "blocked" if number % 5 == 0 else "passed"},
        **{"status": 500 if number in (3, 4) else 200, "attested": "foreign" if number % 6 == 1 else ""},
        **{"purpose": "side" if number % 8 == 2 else "", "kind": "other" if number % 9 == 8 else "model"},
        usage=Usage(input_tokens=number),
        started_at=START + timedelta(minutes=number),
    )


def fits(one: ExchangeRow, number: int, asked: dict[str, Any]) -> bool:
    """What the filter says, told once more."""
    facts = {
        **{"tool": "Bash" if number % 4 == 0 else None, "rule": "odd" if number % 2 else None},
        **{"action": ("blocked" if number % 3 == 0 else "forwarded") if number % 2 else None},
        **{"session_id": one.session_id, "min_cost_nano_usd": None, "min_tokens": None, "since": None, "until": None},
    }
    for name, value in asked.items():
        match name:
            case "min_cost_nano_usd":
                good = (one.cost_nano_usd or 0) >= value
            case "min_tokens":
                good = one.usage is not None and one.usage.input_tokens >= value
            case "since":
                good = one.started_at >= value
            case "until":
                good = one.started_at < value
            case _:
                good = (facts[name] if name in facts else getattr(one, name)) == value
        if not good:
            return False
    return True


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[tuple[Queries, list[ExchangeRow]]]:
    schema.upgrade(database_url)
    rows, records = [row(number) for number in range(30)], list[Record]()
    for number, one in enumerate(rows):
        records.append(one)
        if number % 4 == 0:
            _, *said = exchange("x", call("Bash"))
            records += [replace(record, exchange_id=one.id) for record in said if hasattr(record, "exchange_id")]
        if number % 2:
            decided = {"rule": "odd", "action": "blocked" if number % 3 == 0 else "forwarded"}
            records += [decision(one.id, **decided), decision(one.id, **decided)]
    await remember(database_url, records)
    async with Queries(database_url) as queries:
        yield queries, (await queries.exchanges())[::-1]


@pytest.mark.parametrize("step", STEPS)
async def test_every_way_finds_the_same(
    log: tuple[Queries, list[ExchangeRow]], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    queries, rows = log
    monkeypatch.setattr(listing, "WALKED", STEPS[step][0])
    monkeypatch.setattr(listing, "NARROW", STEPS[step][1])
    for place, (one, other) in enumerate(combinations(ASKED, 2)):
        asked = one | other
        if len(asked) < len(one) + len(other) or place % (2 * len(STEPS)) != list(STEPS).index(step):
            continue  # every second pair, and each takes one of the ways
        where = Filter(**asked)
        wanted = [found for number, found in enumerate(rows) if fits(found, number, asked)]
        newest = await queries.exchanges(limit=LIMIT, where=where)
        assert [each.id for each in newest] == [each.id for each in wanted[::-1][:LIMIT]], asked
        if len(newest) == LIMIT:
            older = await queries.exchanges(limit=LIMIT, where=where, before=newest[-1].id)
            assert [each.id for each in older] == [each.id for each in wanted[::-1][LIMIT : 2 * LIMIT]], asked
        oldest = await queries.exchanges(limit=LIMIT, where=where, after=FIRST)
        assert [each.id for each in oldest] == [each.id for each in wanted[:LIMIT]], asked


async def test_of_one_thing_all_is_found(log: tuple[Queries, list[ExchangeRow]]) -> None:
    queries, rows = log
    for asked in ASKED:
        wanted = [found.id for number, found in enumerate(rows) if fits(found, number, asked)]
        assert [each.id for each in await queries.exchanges(where=Filter(**asked))] == wanted[::-1], asked


@pytest.mark.parametrize("narrow", [12, -1], ids=["by an index", "among all"])
async def test_the_least_of_tokens_and_costs(database_url: str, monkeypatch: pytest.MonkeyPatch, narrow: int) -> None:
    """Among rows that do not come in their order, with some that have neither; at steps, and between them."""
    schema.upgrade(database_url)
    rows = [
        replace(row(number), usage=usage)
        for number in range(60)
        for usage in [Usage(input_tokens=1_000, output_tokens=number * 37 % 60 * 1_000) if number % 7 else None]
    ]
    await remember(database_url, rows)
    monkeypatch.setattr(listing, "WALKED", 0)
    monkeypatch.setattr(listing, "NARROW", narrow)
    async with Queries(database_url) as queries:
        rows = (await queries.exchanges(limit=60))[::-1]  # with their costs
        assert {one.cost_nano_usd is None for one in rows} == {True, False}
        for least in (0, 50_000, 52_500, 57_000, 10**9):
            many = [one.id for one in rows if one.usage and one.usage.input_tokens + one.usage.output_tokens >= least]
            found = await queries.exchanges(where=Filter(min_tokens=least))
            assert [one.id for one in found] == (many if least else [one.id for one in rows])[::-1][:50]
            dear = [one.id for one in rows if (one.cost_nano_usd or 0) >= least * 5_000 + 1 and one.agent == "cc"]
            for tokens in (None, least):
                where = Filter(min_cost_nano_usd=least * 5_000 + 1, agent="cc", min_tokens=tokens)
                assert [one.id for one in await queries.exchanges(where=where)] == dear[::-1]
                assert [one.id for one in await queries.exchanges(where=where, after=FIRST, limit=3)] == dear[:3]
                older = await queries.exchanges(where=where, before=rows[30].id)
                assert [one.id for one in older] == [id for id in dear[::-1] if id < rows[30].id]


@pytest.mark.parametrize(
    ("asked", "index"), [({"min_tokens": 10**9}, "tokens"), ({"min_cost_nano_usd": 10**12}, "cost")]
)
@pytest.mark.parametrize("more", [{}, {"model": "m", "before": "f" * 32}], ids=["alone", "with more"])
def test_sqlite_finds_the_least_by_an_index(sqlite_url: str, asked: Any, index: str, more: Any) -> None:
    schema.upgrade(sqlite_url)
    page = listing.Page(limit=50, sqlite=True, before=more.get("before"))
    where, (lead,) = Filter(**asked, model=more.get("model")), asked
    counting = listing.counts(where, page)
    assert counting is not None
    for query in (counting, listing.few(lead, where, page)):
        plan = plan_of(sqlite_url, query)
        assert f"SEARCH exchange USING INDEX ix_exchange_{index} (<expr>>?)" in plan
        assert not any(step.startswith("SCAN exchange") for step in plan)


def test_the_narrowest_lead_leads() -> None:
    few = listing.NARROW
    assert listing.narrowest({"model": few, "outcome": 3, "agent": few + 1}) == "outcome"
    assert listing.narrowest({"agent": few + 1, "model": few + 1}) is None
