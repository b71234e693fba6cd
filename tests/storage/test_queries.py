from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from lockgate.errors import Error, StorageError
from lockgate.events import Usage
from lockgate.records import Relation
from lockgate.storage import schema
from lockgate.storage.answers import Filter, RuleCount
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import START, comm, decision, exchange_row, whole_exchange


@pytest.fixture
async def queries(database_url: str) -> AsyncIterator[Queries]:
    schema.upgrade(database_url)
    async with Queries(database_url) as queries:
        yield queries


async def test_a_list_goes_page_by_page_from_the_newest(queries: Queries, database_url: str) -> None:
    rows = [exchange_row() for _ in range(7)]
    await remember(database_url, rows)
    pages = [await queries.exchanges(limit=3)]
    while page := await queries.exchanges(limit=3, before=pages[-1][-1].id):
        pages.append(page)
    assert pages == [rows[:3:-1], rows[3:0:-1], rows[:1]]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        (Filter(), [0, 1, 2]),
        (Filter(kind="other"), [1]),
        (Filter(provider="openai"), [2]),
        (Filter(model="gpt", agent="codex", session_id="s-2"), [2]),
        (Filter(outcome="blocked"), [1]),
        (Filter(trigger="judge"), [2]),
        (Filter(trigger=""), [0, 1]),
        (Filter(rule="mask"), [0]),
        (Filter(since=START + timedelta(hours=1)), [1, 2]),
        (Filter(until=START + timedelta(hours=1)), [0]),
        (Filter(since=START, until=START), []),
    ],
)
async def test_a_filter_keeps_what_fits(queries: Queries, database_url: str, where: Filter, numbers: list[int]) -> None:
    rows = [
        exchange_row(),
        exchange_row(kind="other", outcome="blocked", started_at=START + timedelta(hours=1)),
        exchange_row(
            **{"provider": "openai", "model": "gpt", "agent": "codex", "session_id": "s-2", "trigger": "judge"},
            started_at=START + timedelta(hours=2),
        ),
    ]
    await remember(database_url, [*rows, decision(rows[0].id, rule="mask")])
    assert [rows.index(row) for row in reversed(await queries.exchanges(where=where))] == numbers


async def test_a_list_reads_no_bodies(queries: Queries, database_url: str) -> None:
    await remember(database_url, whole_exchange())
    statements: list[str] = []

    @event.listens_for(queries._engine.sync_engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    await queries.exchanges(where=Filter(rule="no-touch"))
    await queries.summary()
    assert len(statements) == 3
    assert not [statement for statement in statements if "content" in statement or "given" in statement]


ALIKE = "01980000-0000-7000-8000-"
"""Ids made in the same millisecond begin alike."""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"{ALIKE}0000aaaaaa11", f"{ALIKE}0000aaaaaa11"),
        (f"{ALIKE}0000aaaaaa11".replace("-", "").upper(), f"{ALIKE}0000aaaaaa11"),
        ("aaaa11", f"{ALIKE}0000aaaaaa11"),
        ("…aaaaaa22", f"{ALIKE}0000aaaaaa22"),
        ("8000-0000aaaaaa22", f"{ALIKE}0000aaaaaa22"),
        ("019900", "01990000-0000-7000-8000-0000bbbbbb33"),
        ("abcdef", None),
        ("01990000-0000-7000-8000-0000ffffffff", None),
    ],
)
async def test_an_exchange_is_found_by_the_beginning_or_end_of_its_id(
    queries: Queries, database_url: str, asked: str, found: str | None
) -> None:
    ids = [f"{ALIKE}0000aaaaaa11", f"{ALIKE}0000aaaaaa22", "01990000-0000-7000-8000-0000bbbbbb33"]
    await remember(database_url, [exchange_row(id=id) for id in ids])
    detail = await queries.exchange(asked)
    assert (detail and detail.exchange.id) == found


async def test_several_candidates_are_named(queries: Queries, database_url: str) -> None:
    ids = [f"{ALIKE}0000aaaaaa11", f"{ALIKE}0000aaaaaa22"]
    await remember(database_url, [exchange_row(id=id) for id in ids])
    with pytest.raises(Error, match=f"'019800' fits several exchanges: {ids[0]}, {ids[1]}; give more digits"):
        await queries.exchange("019800")


@pytest.mark.parametrize("asked", ["", "12345", "xyzxyz", "%%%%%%", "0" * 33])
async def test_what_is_no_id_is_refused(queries: Queries, asked: str) -> None:
    with pytest.raises(Error, match="is not the id of an exchange: give 6 to 32 hexadecimal digits"):
        await queries.exchange(asked)


async def test_a_chain_goes_from_what_came_to_what_went_on(queries: Queries, database_url: str) -> None:
    records = whole_exchange()
    judge = comm(records[0].id, trigger="judge")
    await remember(database_url, [*records, judge])
    detail = await queries.exchange(records[0].id)
    assert detail is not None
    assert [one.content for one in detail.chain("REQUEST")] == [b'{"a":1}', b'{"a":2}']
    assert [one.content for one in detail.chain("RESPONSE")] == [b'{"b":1}', b'{"b":2}']


async def test_a_judges_exchange_is_related_to_the_one_it_is_about(queries: Queries, database_url: str) -> None:
    records, judged = whole_exchange(), exchange_row(trigger="judge")
    asked = comm(judged.id, trigger="judge")
    joined = Relation(from_comm_id=records[1].id, to_comm_id=asked.id, type="judged_by")
    await remember(database_url, [*records, judged, asked, joined])
    one, other = await queries.exchange(records[0].id), await queries.exchange(judged.id)
    assert one is not None
    assert other is not None
    assert (one.related, one.relations[-1]) == ((judged,), joined)
    assert (other.related, other.relations) == ((records[0],), (joined,))


async def test_a_summary_counts(queries: Queries, database_url: str) -> None:
    usage = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4)
    rows = [
        exchange_row(usage=usage, outcome="blocked"),
        exchange_row(usage=usage, outcome="passed"),
        exchange_row(usage=None, outcome="passed", started_at=START - timedelta(days=1)),
        exchange_row(usage=None, kind="other"),
        exchange_row(usage=usage, trigger="judge"),
    ]
    decisions = [
        *(decision(rows[0].id) for _ in range(2)),
        decision(rows[1].id, mode="shadow"),
        decision(rows[1].id, action="forwarded"),
        decision(rows[2].id, rule="old"),
    ]
    await remember(database_url, [*rows, *decisions])
    summary = await queries.summary(since=START)
    assert (summary.exchanges, summary.side_calls, summary.own_calls) == (2, 1, 1)
    assert summary.outcomes == (("blocked", 1), ("passed", 1))
    assert summary.usage == Usage(input_tokens=3, output_tokens=6, cache_read_tokens=9, cache_write_tokens=12)
    assert summary.decisions == (
        RuleCount(rule="no-touch", mode="enforce", action="blocked", count=2),
        RuleCount(rule="no-touch", mode="shadow", action="blocked", count=1),
    )


async def test_a_summary_of_chosen_exchanges(queries: Queries, database_url: str) -> None:
    rows = [exchange_row() for _ in range(1200)]
    await remember(database_url, rows)
    chosen = await queries.summary(ids=[row.id for row in rows[:1100]])
    assert (chosen.exchanges, chosen.usage.input_tokens, chosen.outcomes) == (1100, 11000, (("changed", 1100),))
    assert (await queries.summary()).exchanges == 1200
    assert (await queries.summary(ids=[])).exchanges == 0


def test_a_missing_database_is_named_and_not_made(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no log yet in .*lockgate\.db"):
        asyncio.run(Queries(sqlite_url).__aenter__())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
async def test_an_exchange_is_found_by_indexes_alone(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No condition makes PostgreSQL look at every row there is, such as one with a subquery on either side of OR."""
    schema.upgrade(postgres_url)
    records = whole_exchange()
    await remember(postgres_url, records)
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "comm_relationship" in statement:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    async with Queries(postgres_url) as queries:
        event.listen(queries._engine.sync_engine, "before_cursor_execute", explain)
        detail = await queries.exchange(records[0].id)
    assert detail is not None
    assert detail.relations
    assert len(plans) == 2
    assert [plan for plan in plans if "SubPlan" in plan] == []
