"""Limits with a clock that the test turns, counted in memory and in Redis alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.access import shared_limits
from lockgate.access.limits import (
    BUSY_SECONDS,
    MINUTE_NS,
    SECOND_NS,
    Limited,
    Limiter,
    MemoryLimiter,
    Size,
    Subject,
    Taken,
)
from lockgate.access.shared_limits import SharedLimiter
from lockgate.config import AccessLimits
from tests.valkey import Valkey

NOW = "test:now"


@dataclass
class Clock:
    now: int = 10**15
    server: redis.Redis | None = field(default=None)
    """Its scripts go by this clock too."""

    def __call__(self) -> int:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += round(seconds * SECOND_NS)
        if self.server:
            self.server.set(NOW, self.now // 1000)


def a_subject(id: str = "t", **limits: Any) -> Subject:
    return Subject("token", id, AccessLimits(**limits))


def a_size(tokens: int = 0, request_bytes: int = 10, messages: int = 1) -> Size:
    return Size(request_bytes=request_bytes, messages=messages, tokens=tokens)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def shared(server: Valkey, clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Limiter]:
    """The limits in an empty Valkey, by the test's clock instead of its own."""
    script = shared_limits._SCRIPT.read_text()  # pyright: ignore[reportPrivateUsage]
    (folder / "limits.lua").write_text(script.replace("redis.call('TIME')", f"{{0, redis.call('GET', '{NOW}')}}"))
    with monkeypatch.context() as patch, server.client() as client:
        patch.setattr(shared_limits, "_SCRIPT", folder / "limits.lua")
        client.flushall()
        clock.server = client
        clock.turn(0)
        limiter = SharedLimiter(server.url)
        limiter.start()
        yield limiter
        assert limiter.away is None
        await limiter.close()


@pytest.fixture(params=["memory", "redis"])
async def limiter(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(clock)
        return
    async with shared(request.getfixturevalue("valkey_server"), clock, tmp_path, monkeypatch) as limiter:
        yield limiter


async def refused(taking: Awaitable[Taken]) -> Limited:
    with pytest.raises(Limited) as raised:
        await taking
    return raised.value


@pytest.mark.parametrize("rate", [1, 7, 60, 1000])
async def test_exactly_so_many_requests_fit_at_once_and_then_one_after_another(
    rate: int, limiter: Limiter, clock: Clock
) -> None:
    one = a_subject(requests_per_minute=rate)
    for _ in range(rate):
        await limiter.take([one], a_size())
    seconds = -(-60 // rate)
    error = await refused(limiter.take([one], a_size()))
    assert f"{rate:,} requests a minute: there is room for this request in {seconds} s" in str(error)
    assert error.retry_after == (seconds if seconds <= 30 else 0)
    clock.turn(seconds)
    await limiter.take([one], a_size())


async def test_after_the_time_it_was_told_a_request_fits_and_not_before(limiter: Limiter, clock: Clock) -> None:
    one = a_subject(requests_per_minute=6)
    for _ in range(6):
        await limiter.take([one], a_size())
    assert (await refused(limiter.take([one], a_size()))).retry_after == 10
    clock.turn(9.99)
    assert (await refused(limiter.take([one], a_size()))).retry_after == 1
    clock.turn(0.011)
    await limiter.take([one], a_size())
    assert (await refused(limiter.take([one], a_size()))).retry_after == 10


type Steps = list[tuple[float, int]]

STEPS = st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(0, 5)), max_size=60)


async def passed(limiter: Limiter, clock: Clock, rate: int, steps: Steps) -> int:
    one, count = a_subject(requests_per_minute=rate), 0
    for seconds, tries in steps:
        clock.turn(seconds)
        for _ in range(tries):
            try:
                await limiter.take([one], a_size())
            except Limited:
                continue
            count += 1
    return count


@given(st.integers(1, 50), STEPS)
def test_no_more_pass_than_a_bucket_holds_and_gives(rate: int, steps: Steps) -> None:
    clock = Clock()
    count = asyncio.run(passed(MemoryLimiter(clock), clock, rate, steps))
    assert count <= rate + (clock.now - 10**15) * rate / MINUTE_NS


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.integers(1, 50), steps=STEPS)
def test_as_many_pass_in_redis_as_in_memory(
    valkey_server: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, steps: Steps
) -> None:
    async def both() -> tuple[int, int]:
        one, other = Clock(), Clock()
        async with shared(valkey_server, one, tmp_path, monkeypatch) as limiter:
            in_redis = await passed(limiter, one, rate, steps)
        return in_redis, await passed(MemoryLimiter(other), other, rate, steps)

    in_redis, in_memory = asyncio.run(both())
    assert abs(in_redis - in_memory) <= 1  # of a time that is rounded


async def test_tokens_are_counted_as_they_were_in_the_end(limiter: Limiter, clock: Clock) -> None:
    one = a_subject(tokens_per_minute=600)
    first = await limiter.take([one], a_size(tokens=500))
    assert (await refused(limiter.take([one], a_size(tokens=200)))).retry_after == 10
    limiter.give_back(first, 100)
    limiter.give_back(first, 0)  # counts once
    second = await limiter.take([one], a_size(tokens=500))
    limiter.give_back(second, 800)
    assert (await refused(limiter.take([one], a_size(tokens=1)))).retry_after == 0  # 300 tokens of debt: 30.1 s
    clock.turn(30.1)
    await limiter.take([one], a_size(tokens=1))


async def test_what_is_larger_than_a_minute_passes_where_nothing_else_does(limiter: Limiter) -> None:
    one = a_subject(tokens_per_minute=100)
    await limiter.take([one], a_size(tokens=5000))
    await refused(limiter.take([one], a_size(tokens=1)))


async def test_a_rate_beyond_all_measure_limits_nothing(limiter: Limiter) -> None:
    one = a_subject(requests_per_minute=10**9, tokens_per_minute=10**12)
    for _ in range(50):
        limiter.give_back(await limiter.take([one], a_size(tokens=10**6)), 2 * 10**6)


async def test_so_many_at_a_time(limiter: Limiter) -> None:
    one = a_subject(concurrent=2)
    first, _ = [await limiter.take([one], a_size()) for _ in range(2)]
    error = await refused(limiter.take([one], a_size()))
    assert (error.retry_after, "2 at a time" in str(error)) == (BUSY_SECONDS, True)
    limiter.give_back(first, 0)
    limiter.give_back(first, 0)
    await limiter.take([one], a_size())
    await refused(limiter.take([one], a_size()))


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"request_bytes": 9}, "10 bytes is too large: the token is held to 9"),
        ({"messages": 2}, "3 messages in a request"),
    ],
)
async def test_what_is_too_large_never_fits(limiter: Limiter, limits: Any, sentence: str) -> None:
    error = await refused(limiter.take([a_subject(**limits)], a_size(messages=3)))
    assert sentence in str(error)
    assert error.retry_after == 0
    limiter.give_back(await limiter.take([a_subject(**limits)], a_size(request_bytes=1)), 0)


async def test_who_is_refused_by_one_has_taken_of_none(limiter: Limiter) -> None:
    project = Subject("project", "p", AccessLimits(requests_per_minute=2, concurrent=2))
    token = a_subject(requests_per_minute=1)
    await limiter.take([token, project], a_size())
    await refused(limiter.take([token, project], a_size()))
    await limiter.take([a_subject("other", requests_per_minute=1), project], a_size())


async def test_who_does_nothing_is_forgotten(clock: Clock) -> None:
    limiter = MemoryLimiter(clock)
    waits = await limiter.take([a_subject("waits", concurrent=1)], a_size())
    for n in range(1000):
        limiter.give_back(await limiter.take([a_subject(str(n), requests_per_minute=60)], a_size()), 0)
        clock.turn(0.5)
    assert len(limiter) < 10
    limiter.give_back(waits, 0)


@pytest.fixture(autouse=True)
def _closed(clock: Clock) -> Iterator[None]:
    yield
    if clock.server:
        clock.server.close()
