"""Budgets with sums in memory, and a clock that the test turns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from lockgate.access.budgets import FRESH_SECONDS, IDLE_SECONDS, Budgets, Key, Line, Sum, lines_of
from lockgate.access.grant import Budget, Grant
from lockgate.errors import StorageError

AT = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


@dataclass
class Store:
    """Sums in memory, which several proxies may share."""

    kept: dict[Key, Sum] = field(default_factory=dict[Key, Sum])
    reads: int = 0
    is_away: bool = False

    async def sums(self, keys: Sequence[Key]) -> Mapping[Key, Sum]:
        if self.is_away:
            raise StorageError("away")
        self.reads += 1
        return {key: self.kept[key] for key in keys if key in self.kept}

    async def add(self, more: Mapping[Key, Sum]) -> Mapping[Key, Sum]:
        if self.is_away:
            raise StorageError("away")
        await asyncio.sleep(0)
        self.kept |= {key: self.kept.get(key, Sum()) + sum for key, sum in more.items()}
        return {key: self.kept[key] for key in more}


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budgets(store: Store, clock: Clock) -> Budgets:
    return Budgets(store, clock=clock)


def lines(*given: Budget, at: datetime = AT) -> list[Line]:
    return lines_of("token", "t", Grant(budgets=given), at)


TOKENS = Budget(per="day", tokens=1000)


def test_periods_are_those_of_utc():
    given = [Budget(per="day", usd=1), Budget(per="month", tokens=1), Budget(per="life", usd=0.1)]
    assert [line.key.period for line in lines(*given)] == ["2026-11-30", "2026-11", "life"]
    later = lines(*given, at=datetime(2026, 12, 1, tzinfo=UTC))
    assert [line.key.period for line in later] == ["2026-12-01", "2026-12", "life"]


async def test_what_is_reserved_counts_and_what_was_not_used_comes_back(budgets: Budgets):
    mine = lines(TOKENS)
    await budgets.read(mine)
    assert budgets.over(mine, Sum(1000)) is None
    reserved = budgets.reserve(mine, Sum(600))
    assert budgets.over(mine, Sum(401)) == mine[0]
    assert budgets.over(mine, Sum(400)) is None
    budgets.settle(reserved, Sum(100))
    budgets.settle(reserved, Sum(100))  # counts once
    assert budgets.left(mine[0]) == 900


async def test_dollars_and_tokens_of_one_period_are_one_sum(budgets: Budgets, store: Store):
    mine = lines(TOKENS, Budget(per="day", usd=0.01))
    await budgets.read(mine)
    assert budgets.over(mine, Sum(10, 10_000_001)) == mine[1]
    budgets.settle(budgets.reserve(mine, Sum(10, 20)), Sum(5, 7))
    await budgets.write()
    assert store.kept == {Key("t", "2026-11-30"): Sum(5, 7)}


async def test_what_was_used_is_there_after_a_restart(budgets: Budgets, store: Store):
    mine = lines(TOKENS)
    await budgets.read(mine)
    budgets.settle(budgets.reserve(mine, Sum(10)), Sum(900))
    await budgets.write()
    again = Budgets(store)
    await again.read(mine)
    assert again.left(mine[0]) == 100


async def test_proxies_hear_of_each_other(budgets: Budgets, store: Store, clock: Clock):
    other, mine = Budgets(store, clock=clock), lines(TOKENS)
    for each in (budgets, other):
        await each.read(mine)
        each.settle(each.reserve(mine, Sum(10)), Sum(300))
        await each.write()
    assert other.left(mine[0]) == 400  # with what it wrote it heard what was there
    await budgets.read(mine)
    assert budgets.left(mine[0]) == 700
    clock.now += FRESH_SECONDS + 1
    await budgets.read(mine)
    assert budgets.left(mine[0]) == 400
    reads = store.reads
    await budgets.read(mine)
    assert store.reads == reads


async def test_while_the_database_is_away_what_is_known_counts(budgets: Budgets, store: Store, clock: Clock):
    mine = lines(TOKENS)
    store.is_away = True
    with pytest.raises(StorageError):
        await budgets.read(mine)
    store.is_away = False
    await budgets.read(mine)
    store.is_away = True
    clock.now += FRESH_SECONDS + 1
    await budgets.read(mine)
    budgets.settle(budgets.reserve(mine, Sum(10)), Sum(300))
    with pytest.raises(StorageError):
        await budgets.write()
    assert budgets.left(mine[0]) == 700
    store.is_away = False
    await budgets.write()
    assert store.kept[mine[0].key] == Sum(300)


async def test_what_is_added_while_it_is_written_is_written_later(budgets: Budgets, store: Store):
    mine = lines(TOKENS)
    await budgets.read(mine)
    budgets.settle(budgets.reserve(mine, Sum(1)), Sum(100))
    writing = asyncio.create_task(budgets.write())
    await asyncio.sleep(0)
    budgets.settle(budgets.reserve(mine, Sum(1)), Sum(50))
    await writing
    assert budgets.left(mine[0]) == 850
    await budgets.write()
    assert store.kept[mine[0].key] == Sum(150)


async def test_a_share_warns_once_in_the_log_and_in_each_reply(budgets: Budgets, caplog: pytest.LogCaptureFixture):
    mine = lines(TOKENS, Budget(per="month", tokens=1000, warn_at=0.2))
    await budgets.read(mine)
    budgets.settle(budgets.reserve(mine, Sum(10)), Sum(199))
    assert budgets.warning(mine) == ""
    budgets.settle(budgets.reserve(mine, Sum(10)), Sum(101))
    with caplog.at_level(logging.WARNING, "lockgate.access"):
        for _ in range(2):
            assert budgets.warning(mine) == "token; per=month; used=30%"
    assert [record.getMessage() for record in caplog.records] == [
        "the token's budget of 1,000 tokens a month (t) is used up to 30 %"
    ]


async def test_who_does_nothing_is_forgotten(budgets: Budgets, clock: Clock):
    mine = lines(TOKENS)
    await budgets.read(mine)
    reserved = budgets.reserve(mine, Sum(1))
    clock.now += IDLE_SECONDS + 1
    await budgets.write()
    assert len(budgets) == 1
    budgets.settle(reserved, Sum(1))
    await budgets.write()
    assert len(budgets) == 0
