"""Sums of days that are kept say what the exchanges say, whoever changed an exchange meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select

from lockgate.events import Usage
from lockgate.records import ExchangeRow, now
from lockgate.storage import schema, usage_days
from lockgate.storage.address import parse
from lockgate.storage.answers import Cost, CostBy, Filter, Point, SeriesBy
from lockgate.storage.backup import backup, opened, restore
from lockgate.storage.prune import Plan, Pruner
from lockgate.storage.queries import Queries
from lockgate.storage.searching import cost_key, costing
from tests.storage.logs import plan_of, remember
from tests.storage.records import exchange_row

NOW = now()
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
WAYS: Sequence[CostBy] = get_args(CostBy.__value__)
CHARTS: Sequence[SeriesBy] = get_args(SeriesBy.__value__)


def some(count: int, *, days: int = 9, seed: int = 1) -> list[ExchangeRow]:
    """Over so many days until now, those at the very begin and end of a day among them."""
    dice = random.Random(seed)
    made: list[ExchangeRow] = []
    for number in range(count):
        at = NOW - timedelta(seconds=dice.uniform(0, 86_400 * days))
        if number % 10 == 0:
            at = TODAY - timedelta(days=dice.randrange(days), microseconds=dice.randrange(2))
        made.append(exchange_row(
            started_at=at, model=dice.choice(("m-1", "m-2", "m\x00\ud800")), project=dice.choice(("shop", "", "docs")),
            agent=dice.choice(("codex", "claude-code")), outcome=dice.choice(("passed", "refused", "blocked")),
            usage=dice.choice((None, Usage(input_tokens=3, output_tokens=5))), counted_by="provider",
            cost_nano_usd=dice.choice((None, 7)), first_byte_ms=dice.choice((None, 1.5)),
            duration_ms=dice.choice((None, 2.5)), blocked=dice.randrange(2), session_id=f"s-{dice.randrange(3)}",
            kind=dice.choice(("model", "model", "other")), trigger=dice.choice(("", "judge")),
        ))  # fmt: skip
    return made


def filters() -> list[Filter]:
    early, midnight = NOW - timedelta(days=6, hours=3), TODAY - timedelta(days=4)
    spans = [(None, None), (early, None), (midnight, TODAY), (None, early), (TODAY, None), (early, midnight)]
    plain = [Filter(since=since, until=until) for since, until in spans]
    narrow = [Filter(kind="model", trigger="", project="shop"), Filter(model="m\x00\ud800"), Filter(outcome="blocked")]
    other = [Filter(session_id="s-1"), Filter(min_tokens=1), Filter(status=200)]
    return [*plain, *narrow, *other, *(replace(one, since=NOW - timedelta(days=5)) for one in narrow)]


async def told(url: str) -> dict[Any, Any]:
    """All that can be asked, as values that compare."""
    found: dict[Any, Any] = {}
    async with Queries(url) as log:
        for number, where in enumerate(filters()):
            by, chart = WAYS[number % len(WAYS)], CHARTS[number % len(CHARTS)]
            found[number, by] = costs(await log.costs(by, where=where))
            found[number, "day", chart] = points(await log.series("day", by=chart, where=where))
        for by in WAYS:
            found[by] = costs(await log.costs(by, where=Filter(since=NOW - timedelta(days=6))))
        found["hours"] = points(await log.series("hour", where=Filter(since=NOW - timedelta(days=5))))
    return found


def costs(rows: Sequence[Cost]) -> list[dict[str, Any]]:
    return sorted((asdict(row) for row in rows), key=lambda row: row["key"])


def points(rows: Sequence[Point]) -> list[dict[str, Any]]:
    return sorted((asdict(row) for row in rows), key=lambda row: (row["at"], row["key"]))


def fold(url: str) -> int:
    with opened(parse(url)) as engine:
        return usage_days.fold(engine)


def kept(url: str) -> list[str]:
    with opened(parse(url)) as engine, engine.connect() as connection:
        query = usage_days.kept_days([], Filter())
        return [] if query is None else list(connection.scalars(query))


async def test_kept_days_say_what_their_exchanges_say(database_url: str) -> None:
    schema.upgrade(database_url)
    await remember(database_url, some(300))
    before = await told(database_url)
    assert fold(database_url) == len(kept(database_url)) >= 6
    assert await told(database_url) == before
    assert fold(database_url) == 0
    await remember(database_url, some(50, days=1, seed=2))  # of today and yesterday: those are not kept
    assert len(kept(database_url)) >= 6
    after = await told(database_url)
    assert after != before
    forget(database_url)
    assert await told(database_url) == after


def forget(url: str) -> None:
    with opened(parse(url)) as engine, engine.begin() as connection:
        usage_days.forget_all(connection)


async def test_a_late_write_and_a_prune_are_seen(database_url: str) -> None:
    schema.upgrade(database_url)
    rows = some(200)
    await remember(database_url, rows)
    fold(database_url)
    days = kept(database_url)
    late = next(row for row in rows if row.started_at.date().isoformat() == days[3])
    await remember(database_url, [replace(late, outcome="cut", cost_nano_usd=10**9, counted_by="provider")])
    assert kept(database_url) == [*days[:3], *days[4:]]
    after = await told(database_url)
    assert fold(database_url) == 1
    assert await told(database_url) == after
    with opened(parse(database_url)) as engine:
        Pruner(engine, Plan(until=datetime.fromisoformat(days[2]).replace(hour=12, tzinfo=UTC))).run()
    assert kept(database_url) == days[3:]
    pruned = await told(database_url)
    assert pruned != after
    fold(database_url)
    assert await told(database_url) == pruned


async def test_sums_of_days_that_are_gone_go_too(database_url: str) -> None:
    schema.upgrade(database_url)
    await remember(database_url, some(100))
    fold(database_url)
    days = kept(database_url)
    with opened(parse(database_url)) as engine:
        Pruner(engine, Plan(until=datetime.fromisoformat(days[3]).replace(tzinfo=UTC))).run()
        usage_days.fold(engine)
        with engine.connect() as connection:
            for table in usage_days._KEPT:
                assert sorted(connection.scalars(select(table.c.day).distinct())) == days[3:]


def told_by(by: CostBy, **asked: Any) -> bool:
    """Whether sums of days tell it."""
    return usage_days.kept_days([cost_key(by, sqlite=True)], Filter(**asked)) is not None


def test_what_sums_tell() -> None:
    assert all(told_by(by, kind="model", project="shop", token="t", model="m", since=NOW) for by in WAYS)
    assert told_by("project", agent="codex", outcome="blocked")
    assert not told_by("session", agent="codex")
    assert not any(told_by(by, session_id="s-1") or told_by(by, status=200) for by in WAYS)


@pytest.mark.parametrize(("by", "wanted"), [("session", "usage_session_day"), ("project", "usage_day")])
async def test_days_that_are_kept_are_read_by_day_and_the_others_by_time(
    sqlite_url: str, by: CostBy, wanted: str
) -> None:
    schema.upgrade(sqlite_url)
    await remember(sqlite_url, some(200))
    fold(sqlite_url)
    where = Filter(kind="model", since=NOW - timedelta(days=7, hours=5))
    days = [day for day in kept(sqlite_url) if day > (NOW - timedelta(days=7, hours=5)).date().isoformat()]
    query = costing(by, where, days, sqlite=True, limit=1001)
    plan = [step for step in plan_of(sqlite_url, query) if "exchange" in step or "usage" in step]
    times = "SEARCH exchange USING INDEX ix_exchange_started_at_id (started_at>?"
    by_day = f"SEARCH {wanted} USING INDEX ix_{wanted}_day (day>? AND day<?)"
    assert plan == [f"{times} AND started_at<?)", f"{times})", by_day]


async def test_a_write_while_a_day_is_added_up_is_seen(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(database_url)
    rows = some(60)
    await remember(database_url, rows)
    whole: Callable[..., Any] = usage_days._rows
    late = [replace(row, model="late") for row in rows if row.started_at < TODAY - timedelta(days=3)]

    def meanwhile(connection: Any, day: Any, table: Any) -> Any:
        found = whole(connection, day, table)
        connection.rollback()  # SQLite's writer would wait for a reader that is not done
        if changed := [row for row in late if row.started_at.date() == day]:
            write(database_url, changed)
        return found

    monkeypatch.setattr(usage_days, "_rows", meanwhile)
    fold(database_url)
    monkeypatch.undo()
    assert not {row.started_at.date().isoformat() for row in late} & set(kept(database_url))
    before = await told(database_url)
    fold(database_url)
    assert await told(database_url) == before


def write(url: str, rows: Sequence[ExchangeRow]) -> None:
    from lockgate.storage.writer import Writer

    with Writer(parse(url)) as writer:
        writer.write(rows)


async def test_a_backup_has_no_sums_and_what_is_restored_is_added_up_anew(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    await remember(database_url, some(100))
    fold(database_url)
    assert not {"usage_day", "usage_session_day", "usage_fold"} & set(backup(database_url, tmp_path / "all.jsonl.zst"))
    elsewhere = f"sqlite:///{tmp_path / 'restored.db'}"
    restore(elsewhere, tmp_path / "all.jsonl.zst")
    assert kept(elsewhere) == []
    assert await told(elsewhere) == await told(database_url)


async def test_an_archive_that_comes_back_is_seen(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    await remember(database_url, some(100))
    before = await told(database_url)
    with opened(parse(database_url)) as engine:
        Pruner(engine, Plan(until=TODAY - timedelta(days=4), archive=tmp_path)).run()
    fold(database_url)
    for path in tmp_path.glob("*.zst"):  # noqa: ASYNC240
        restore(database_url, path)
    assert await told(database_url) == before


async def test_days_with_gaps_and_none_at_all(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(database_url)
    assert fold(database_url) == 0
    rows = [exchange_row(started_at=TODAY - timedelta(days=3 * number)) for number in range(1, 9)]
    await remember(database_url, rows)
    before = await told(database_url)
    assert fold(database_url) == 8
    assert await told(database_url) == before
    monkeypatch.setattr(usage_days, "PARTS", 3)
    assert await told(database_url) == before
