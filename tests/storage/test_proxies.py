"""Proxies say that they are there: which serve, which ended, which are lost, and when they are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from lockgate.storage import schema
from lockgate.storage.acts import Acts
from lockgate.storage.heartbeat import Heartbeat, Serving
from lockgate.storage.proxies import ENDED_KEPT, LOST, LOST_KEPT, Proxy, database_clock, proxies
from lockgate.storage.queries import Queries

BRIEF = timedelta(microseconds=1)


class Clock:
    """The database's, moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 22, 8, tzinfo=UTC)

    def __call__(self, at: Connection) -> datetime:
        return self.at


@pytest.fixture
def url(database_url: str) -> str:
    schema.upgrade(database_url)
    return database_url


@pytest.fixture
def clock() -> Clock:
    return Clock()


def found(url: str, clock: Clock, limit: int = 50) -> Sequence[Proxy]:
    acts = Acts(url)
    try:
        return acts.do(lambda at: proxies(at, clock=clock, limit=limit))
    finally:
        acts.close()


async def test_one_at_rest_serves_and_one_unseen_for_three_intervals_is_lost(url: str, clock: Clock) -> None:
    said = Serving(listen=("127.0.0.1:8080", "[::1]:8080"), policy_set="12ab", open_exchanges=3, held=1)
    heart = Heartbeat(url, lambda: said, clock=clock)
    await heart.beat()
    (one,) = found(url, clock)
    assert (one.listen, one.policy_set, one.open_exchanges, one.held) == (said.listen, "12ab", 3, 1)
    assert (one.state, one.seen_at, one.ended_at) == ("serving", clock.at, None)
    clock.at += LOST
    assert [each.state for each in found(url, clock)] == ["serving"]
    clock.at += BRIEF
    assert [each.state for each in found(url, clock)] == ["lost"]
    await heart.beat()  # it was away, and is here again
    assert [(each.id, each.state, each.seen_at) for each in found(url, clock)] == [(one.id, "serving", clock.at)]
    await heart.close()
    assert [(each.state, each.ended_at) for each in found(url, clock)] == [("ended", clock.at)]


async def test_old_rows_go_when_another_beats(url: str, clock: Clock) -> None:
    ended, lost, there = (Heartbeat(url, Serving, clock=clock) for _ in range(3))
    await ended.beat()
    await ended.close()
    await lost.beat()
    clock.at += ENDED_KEPT
    await there.beat()
    assert sorted(each.state for each in found(url, clock)) == ["ended", "lost", "serving"]
    clock.at += BRIEF
    await there.beat()
    assert [each.state for each in found(url, clock)] == ["serving", "lost"]
    clock.at += LOST_KEPT - ENDED_KEPT
    await there.beat()
    assert [each.state for each in found(url, clock)] == ["serving"]
    await lost.beat()  # after all
    assert [each.state for each in found(url, clock)] == ["serving", "serving"]
    for each in (lost, there):
        await each.close()


async def test_those_that_serve_come_before_those_that_ended(url: str, clock: Clock) -> None:
    for _ in range(3):
        gone = Heartbeat(url, Serving, clock=clock)
        await gone.beat()
        await gone.close()
    heart = Heartbeat(url, Serving, clock=clock)
    await heart.beat()
    clock.at += BRIEF
    last = Heartbeat(url, Serving, clock=clock)
    await last.beat()
    await last.close()
    assert [each.state for each in found(url, clock, limit=2)] == ["serving", "ended"]
    await heart.close()


async def test_one_that_never_beat_leaves_nothing(url: str, clock: Clock) -> None:
    heart = Heartbeat(url, Serving, clock=clock)
    heart.start()
    await heart.close()
    assert found(url, clock) == []


async def test_the_databases_own_clock_is_now_and_readers_use_it(url: str) -> None:
    heart = Heartbeat(url, Serving)
    before = datetime.now(UTC)
    await heart.beat()
    async with Queries(url) as log:
        (one,) = await log.proxies()
    assert one.state == "serving"
    assert before <= one.seen_at <= datetime.now(UTC)
    acts = Acts(url)
    assert acts.do(database_clock) >= one.seen_at
    acts.close()
    await heart.close()


async def test_a_failure_is_told_to_health_once_in_the_log_and_mends(
    url: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Serving:
        raise OSError("postgresql://ada:s3cret@db")

    heart = Heartbeat(url, broken, clock=clock)
    await heart.beat()
    first = heart.state()
    await heart.beat()
    again = heart.state()
    assert first is not None
    assert again is not None
    assert (again.since, again.is_fatal) == (first.since, False)
    assert "s3cret" not in again.detail + caplog.text
    assert len(caplog.records) == 1
    heart._serving = Serving  # pyright: ignore[reportPrivateUsage]
    await heart.beat()
    assert heart.state() is None
    await heart.close()


async def test_a_database_that_is_away_keeps_no_end_waiting_and_raises_nothing(sqlite_url: str) -> None:
    heart = Heartbeat(f"{sqlite_url}/nowhere/x.db", Serving)
    await heart.beat()
    trouble = heart.state()
    assert trouble is not None
    assert "cannot open database" in trouble.detail
    await heart.close()
