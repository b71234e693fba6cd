"""Limits that proxies share, and what becomes of them when Redis is away, slow, emptied or full."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from lockgate.access import redis_script
from lockgate.access.limits import BUSY_SECONDS, Limited, Subject
from lockgate.access.shared_limits import SharedLimiter
from lockgate.config import AccessLimits, SharedLimits
from lockgate.errors import ConfigError
from tests import valkey
from tests.access.test_limits import Clock, a_size, a_subject, clock, refused, shared
from tests.storage.logs import until
from tests.valkey import Valkey

__all__ = ["clock"]


@asynccontextmanager
async def limiters(url: str, count: int = 1, when_away: Literal["open", "closed"] = "open") -> AsyncIterator[Any]:
    """So many proxies' limits, once each of them has reached Redis."""
    all_ = [SharedLimiter(url, when_away=when_away) for _ in range(count)]
    for each in all_:
        each.start()
        await each.take([a_subject("first", concurrent=1000)], a_size())
    yield all_[0] if count == 1 else all_
    for each in all_:
        await each.close()


@pytest.fixture
def server() -> Any:
    """One that may be killed."""
    with valkey.running() as server:
        yield server


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def back(limiter: SharedLimiter) -> None:
    await until(lambda: limiter.away is None)


async def gone(limiter: SharedLimiter) -> None:
    """A question that is not answered tells it that Redis is away."""
    await limiter.take([a_subject("nobody", requests_per_minute=1000)], a_size())
    assert limiter.away
    state = limiter.state()
    assert state
    assert (state.is_fatal, limiter.away in state.detail) == (False, True)


async def test_proxies_count_together(valkey_url: str) -> None:
    many, few = a_subject(requests_per_minute=10), Subject("all", "", AccessLimits(concurrent=3))
    async with limiters(valkey_url, 2) as (one, other):
        taken = [await each.take([few], a_size()) for each in (one, other, one)]
        assert "Lockgate is held to 3 at a time" in str(await refused(other.take([few], a_size())))
        one.give_back(taken[0], 0)
        await one.take([few], a_size())
        await refused(other.take([few], a_size()))
        for each in (one, other) * 5:
            await each.take([many], a_size())
        assert (await refused(one.take([many], a_size()))).retry_after == 6
        assert (await refused(other.take([many], a_size()))).retry_after == 6


async def test_of_many_at_once_as_many_pass_as_may(valkey_url: str) -> None:
    one = a_subject(requests_per_minute=100)
    async with limiters(valkey_url, 2) as both:
        found = await asyncio.gather(
            *[each.take([one], a_size()) for _ in range(100) for each in both], return_exceptions=True
        )
        assert 100 <= sum(not isinstance(each, Limited) for each in found) <= 102  # a second or so has passed


async def test_what_a_proxy_had_under_way_that_died_is_free_after_a_while(
    valkey_server: Valkey, clock: Clock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = a_subject(concurrent=1)
    async with shared(valkey_server, clock, tmp_path, monkeypatch) as dies:
        await dies.take([one], a_size())
        async with shared(valkey_server, clock, tmp_path, monkeypatch) as lives:  # it empties the server
            dies._renew()  # pyright: ignore
            await dies.take([a_subject("other", concurrent=1)], a_size())
            await refused(lives.take([one], a_size()))
            clock.turn(29)
            await refused(lives.take([one], a_size()))
            clock.turn(2)
            taken = await lives.take([one], a_size())
            clock.turn(20)
            lives._renew()  # pyright: ignore
            await refused(lives.take([one], a_size()))
            clock.turn(20)
            await refused(lives.take([one], a_size()))
            lives.give_back(taken, 0)
            await lives.take([one], a_size())


async def test_nothing_is_left_in_redis_when_all_is_over(
    valkey_url: str, valkey_server: Valkey, clock: Clock, tmp_path: Any
) -> None:
    one = a_subject(concurrent=5, requests_per_minute=5, tokens_per_minute=600)
    async with limiters(valkey_url) as limiter:
        limiter.give_back(await limiter.take([one], a_size(tokens=10)), 10)
    with valkey_server.client() as client:
        keys = client.keys("lockgate:{limits}:token:t*")
        assert [key for key in keys if client.type(key) == "zset"] == []
        assert all(0 < client.pttl(key) <= 61_000 for key in client.keys("*"))


async def test_a_client_that_leaves_while_redis_is_asked_holds_nothing(valkey_url: str) -> None:
    one = a_subject(concurrent=1)
    async with limiters(valkey_url) as limiter:
        taking = asyncio.ensure_future(limiter.take([one], a_size()))
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await limiter.take([one], a_size())


async def test_scripts_that_are_flushed_are_there_again(
    valkey_url: str, valkey_server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    one = a_subject(requests_per_minute=3)
    async with limiters(valkey_url) as limiter:
        for _ in range(3):
            await limiter.take([one], a_size())
            with valkey_server.client() as client:
                client.script_flush()
        await refused(limiter.take([one], a_size()))
    assert said(caplog) == []


async def test_a_proxy_counts_by_itself_while_redis_is_away_and_together_again_after(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    one, quick = a_subject(concurrent=2), a_subject("quick", requests_per_minute=4)
    async with limiters(server.url, 2) as (limiter, other):
        before, _ = await limiter.take([one], a_size()), await limiter.take([quick], a_size())
        server.kill()
        await gone(limiter)
        await gone(other)
        during = await limiter.take([one], a_size())
        assert "2 at a time" in str(await refused(limiter.take([one], a_size())))
        for _ in range(3):
            await limiter.take([quick], a_size())
        await refused(limiter.take([quick], a_size()))
        server.start()  # it has forgotten all
        await back(limiter)
        await back(other)
        await refused(other.take([one], a_size()))
        limiter.give_back(before, 0)
        await limiter.take([quick], a_size())
        taken = await other.take([one], a_size())
        await refused(limiter.take([one], a_size()))
        limiter.give_back(during, 0)
        limiter.give_back(during, 0)
        await limiter.take([one], a_size())
        other.give_back(taken, 0)
    of_one = [text for text in said(caplog) if "limits" in text]
    assert all(f"Redis at {server.url}" in text for text in of_one)
    assert sum("cannot be counted" in text and "by itself until it answers" in text for text in of_one) == 2
    assert sum(text.endswith("again") for text in of_one) == 2


async def test_what_is_limited_is_refused_while_redis_is_away_where_that_is_wanted(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    async with limiters(server.url, when_away="closed") as limiter:
        taken = await limiter.take([a_subject(concurrent=2)], a_size())
        server.kill()
        for _ in range(3):
            error = await refused(limiter.take([a_subject(requests_per_minute=9)], a_size()))
            assert (error.retry_after, "cannot be known" in str(error)) == (BUSY_SECONDS, True)
        await limiter.take([a_subject(messages=9)], a_size())  # needs nobody
        limiter.give_back(taken, 0)
        server.start()
        await back(limiter)
        await limiter.take([a_subject(concurrent=1)], a_size())
    away, again = said(caplog)
    assert "what is limited is refused until it answers" in away
    assert again.endswith("again")


async def test_a_redis_that_hangs_holds_nobody_up(server: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    one = a_subject(requests_per_minute=3)
    async with limiters(server.url) as limiter:
        await limiter.take([one], a_size())
        with server.client() as client:
            client.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
        await asyncio.gather(*[limiter.take([one], a_size()) for _ in range(2)])
        assert limiter.away == "it does not answer in time"
        await refused(limiter.take([one], a_size()))
        server.kill()
        server.start()
        await back(limiter)
    assert len(said(caplog)) == 2


@pytest.mark.parametrize(
    "settings", [("--requirepass", "hunter22"), ("--maxmemory", "1", "--maxmemory-policy", "noeviction")]
)
async def test_a_redis_that_takes_nothing_is_away(
    server: Valkey, settings: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    server.start(*settings)
    limiter = SharedLimiter(server.url.replace("unix://", "unix://:sesame@"))
    limiter.start()
    await limiter.take([a_subject(concurrent=1)], a_size())
    assert limiter.away
    await refused(limiter.take([a_subject(concurrent=1)], a_size()))
    await limiter.close()
    [text] = said(caplog)
    assert "sesame" not in text + limiter.away


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sesame",
        "http://:sesame@host",
        "redis://:sesame@host:port",
        "redis://:sesame@[x",
        "sesame@host",
    ],
)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="write redis://") as raised:
        SharedLimiter(url)
    assert "sesame" not in str(raised.value)


async def test_more_than_can_wait_is_not_asked(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_script, "MOST_WAITING", 5)
    one = a_subject(concurrent=1000)
    async with limiters(valkey_url) as limiter:
        for each in await asyncio.gather(*[limiter.take([one], a_size()) for _ in range(50)]):
            limiter.give_back(each, 0)
        assert limiter.away is None
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:sesame@host:1234/2?password=sesame", "redis://host:1234/2"),
        ("rediss://:sesame@[2001:db8::7]", "rediss://[2001:db8::7]"),
        ("unix://:sesame@/run/redis.sock?db=3", "unix:///run/redis.sock"),
        ("redis://:12/sesame@host", "an address that cannot be read"),
        ("redis://:sesame#@host", "an address that cannot be read"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    limits = SharedLimits(redis=url)
    assert limits.model_dump()["redis"] == shown
    assert "sesame" not in repr(limits)
