"""Exchanges over time: each in its own step and under its own name, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lockgate.events import Usage
from lockgate.storage import schema
from lockgate.storage.answers import Filter, Point, SeriesBy, Step
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import START, exchange_row

USAGE = Usage(input_tokens=3, output_tokens=4)
FULL = {"usage": USAGE, "blocked": 0}


async def points(url: str, step: Step, by: SeriesBy = "", where: Filter | None = None) -> list[Point]:
    schema.upgrade(url)
    minute = START.replace(second=0, microsecond=0)
    await remember(
        url,
        [
            exchange_row(started_at=minute, model="a", first_byte_ms=100.0, duration_ms=1.0, **FULL),
            exchange_row(
                started_at=minute + timedelta(seconds=59), model="b", **FULL | {"blocked": 2}, first_byte_ms=200.0
            ),
            exchange_row(
                started_at=minute + timedelta(minutes=1),
                model="a",
                outcome="refused",
                usage=None,
                blocked=0,
                first_byte_ms=None,
            ),
            exchange_row(started_at=minute + timedelta(days=1), model="a", **FULL),
        ],
    )
    async with Queries(url) as queries:
        return await queries.series(step, by=by, where=where)


async def test_steps_add_up_what_began_in_them(database_url: str) -> None:
    first, second, last = await points(database_url, "minute")
    assert (first.at, second.at - first.at) == (START.replace(second=0, microsecond=0), timedelta(minutes=1))
    assert [point.exchanges for point in (first, second, last)] == [2, 1, 1]
    assert [point.blocked for point in (first, second, last)] == [1, 1, 0]
    assert [point.tokens for point in (first, second, last)] == [14, 0, 7]
    assert [point.first_byte_ms for point in (first, second, last)] == [150.0, None, 12.5]


@pytest.mark.parametrize(("step", "count"), [("minute", 3), ("hour", 2), ("day", 2)])
async def test_each_step_has_its_length(database_url: str, step: Step, count: int) -> None:
    found = await points(database_url, step)
    assert len(found) == count
    assert sum(point.exchanges for point in found) == 4


async def test_each_key_has_points_of_its_own(database_url: str) -> None:
    found = await points(database_url, "day", "model")
    assert [(point.key, point.exchanges) for point in found] == [("a", 2), ("b", 1), ("a", 1)]


async def test_a_filter_holds(database_url: str) -> None:
    found = await points(database_url, "day", where=Filter(model="b"))
    assert [point.exchanges for point in found] == [1]
