"""A proxy looks after retention by itself, now and then, and stops when it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.config import Retention
from lockgate.records import now
from lockgate.storage import schema, upkeep
from lockgate.storage.address import parse
from lockgate.storage.answers import Filter
from lockgate.storage.backup import opened
from lockgate.storage.forecast import forecast
from lockgate.storage.log import SqlLog
from lockgate.storage.prune import Plan
from lockgate.storage.queries import Queries
from lockgate.storage.upkeep import Upkeep
from tests.storage.logs import Said, ids_in, locked, until
from tests.storage.records import exchange_row, whole_exchange
from tests.storage.talks import exchange, remember, says, user
from tests.storage.test_prune import DAY, aged, noise, pruned


async def test_what_is_older_than_configured_goes_while_a_proxy_writes(
    database_url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    old, new = aged(whole_exchange(), 40), aged(whole_exchange(), 1)
    await remember(database_url, old, new)
    log = start(database_url)
    keep = Upkeep(database_url, Retention(days=30, archive=tmp_path / "kept"), every_seconds=0.01)
    keep.start()
    more = [aged(whole_exchange(), 0.5) for _ in range(50)]
    for records in more:
        log.put(records)
    await until(lambda: list((tmp_path / "kept").glob("*.zst")))
    assert await log.close() == []
    await keep.close()
    assert set(await ids_in(database_url)) == {new[0].id, *(records[0].id for records in more)}


async def test_without_a_limit_nothing_goes_and_days_are_added_up(database_url: str) -> None:
    schema.upgrade(database_url)
    old = aged(whole_exchange(), 4000)
    await remember(database_url, old)
    keep = Upkeep(database_url, Retention(), every_seconds=0.01)
    keep.start()
    async with Queries(database_url) as log:
        while not await log._kept_days([], Filter()):  # noqa: ASYNC110
            await asyncio.sleep(0)
    await keep.close()
    assert not keep._thread.is_alive()
    assert await ids_in(database_url) == [old[0].id]


async def test_a_failure_is_told_and_tried_again(sqlite_url: str, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "STOP_SECONDS", 60)
    keep = Upkeep(sqlite_url, Retention(bytes=1), every_seconds=0.01)
    keep.start()
    assert "waits for the next time: cannot open database" in await said.wait_for("upkeep")
    schema.upgrade(sqlite_url)
    await remember(sqlite_url, aged(whole_exchange(), 3))
    async with locked(sqlite_url):
        pass
    await said.wait_for("upkeep")
    await keep.close()
    assert not keep._thread.is_alive()


async def test_a_forecast_says_what_then_goes(database_url: str) -> None:
    trunk = [user("One."), says("Two.")]
    old = [aged(exchange({"messages": [*trunk, user(noise(n))]}, session_id=f"s-{n}"), 40 - n) for n in range(6)]
    new = aged(exchange({"messages": [*trunk, user("New.")]}), 1)
    await remember(database_url, *old, aged(whole_exchange(), 35), new)
    plan = Plan(until=now() - 30 * DAY)
    with opened(parse(database_url)) as engine:
        told = forecast(engine, plan)
    done = pruned(database_url, until=plan.until)
    assert (told.exchanges, told.first, told.last) == (done.exchanges, done.first, done.last) != (0, None, None)
    assert told.sizes == done.sizes
    assert not told.estimated


async def test_a_forecast_for_a_size_is_about_right(database_url: str) -> None:
    await remember(database_url, *(aged(exchange({"messages": [user(noise(n))]}), 60 - n) for n in range(40)))
    with opened(parse(database_url)) as engine:
        size = forecast(engine, Plan()).bytes_before
        told = forecast(engine, Plan(max_bytes=size // 2))
        assert forecast(engine, Plan(max_bytes=size * 2)).exchanges == 0
        assert forecast(engine, Plan(max_bytes=1)).exchanges == 40
        both = forecast(engine, Plan(until=now() - 25.5 * DAY, max_bytes=size // 2))
    assert told.estimated
    assert 15 <= told.exchanges <= 25
    assert both.exchanges == 35
    assert exchange_row().id
