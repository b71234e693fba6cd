"""Parts of a proxy: how they are told, and which model hosts fail."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.health import FEWEST_TRIES, MOST_TRIES, Degraded, Health, Upstreams, provider_failed
from lockgate.records import now
from tests.storage.records import exchange_row

BAD: dict[str, Any] = {"outcome": "error", "status": 529, "error": "HTTP 529"}
GOOD: dict[str, Any] = {"outcome": "passed"}


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def ended(upstreams: Upstreams, *outcomes: dict[str, Any], host: str = "api.anthropic.com") -> Degraded | None:
    for each in outcomes:
        upstreams.ended(exchange_row(host=host, **each))
    return upstreams.state()


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        ({"outcome": "passed"}, False),
        ({"outcome": "changed"}, False),
        ({"outcome": "blocked"}, False),
        ({"outcome": "cut"}, True),
        ({"outcome": "cut", "status": 502}, True),
        ({"outcome": "error", "status": 500, "error": "HTTP 500"}, True),
        ({"outcome": "error", "status": 529, "error": "HTTP 529"}, True),
        ({"outcome": "error", "status": 429, "error": "HTTP 429"}, False),
        ({"outcome": "error", "status": 401, "error": "HTTP 401"}, False),
        ({"outcome": "error", "status": 200, "error": "overloaded_error: Overloaded"}, True),
        ({"outcome": "error", "status": 502, "error": "the reply cannot be read: no JSON"}, True),
        ({"outcome": "error", "status": 400, "error": "Lockgate cannot read this request: no JSON."}, None),
        ({"outcome": "error", "status": 500, "error": "Lockgate could not check this"}, None),
        ({"outcome": "error", "status": 200, "error": "the reply is larger than limits.reply_bytes, 10 bytes"}, False),
        ({"outcome": "refused", "status": 400}, None),
        ({"outcome": "gone"}, None),
    ],
)
def test_who_is_at_fault_is_told_from_the_row(row: dict[str, Any], failed: bool | None) -> None:
    assert provider_failed(exchange_row(**row)) is failed


def test_a_host_that_fails_half_the_time_is_told_and_never_makes_the_proxy_unready() -> None:
    upstreams = Upstreams()
    assert ended(upstreams, GOOD, GOOD, BAD) is None
    state = ended(upstreams, BAD)
    assert state
    assert not state.is_fatal
    assert "api.anthropic.com" not in state.what
    assert state.detail == "within the last minute, api.anthropic.com: 2 of 4 tries failed"


def test_few_tries_say_nothing() -> None:
    upstreams = Upstreams()
    assert ended(upstreams, *[BAD] * (FEWEST_TRIES - 1)) is None
    assert ended(upstreams, BAD)


def test_it_is_over_when_it_succeeds_again_or_a_minute_has_passed() -> None:
    clock = Clock()
    upstreams = Upstreams(clock)
    first = ended(upstreams, *[BAD] * 3)
    clock.seconds += 30
    later = ended(upstreams, BAD)
    assert first
    assert later
    assert later.since == first.since
    assert ended(upstreams, *[GOOD] * 5) is None
    assert ended(upstreams, *[BAD] * 5)
    clock.seconds += 61
    assert upstreams.state() is None


def test_hosts_are_told_apart_and_the_worst_since_counts() -> None:
    upstreams = Upstreams()
    ended(upstreams, *[BAD] * 3)
    state = ended(upstreams, *[BAD] * 4, host="api.openai.com")
    assert state
    assert state.detail.endswith("api.anthropic.com: 3 of 3 tries failed; api.openai.com: 4 of 4 tries failed")
    assert ended(upstreams, *[GOOD] * 5, host="api.openai.com")


def test_memory_is_bounded() -> None:
    upstreams = Upstreams(Clock())
    state = ended(upstreams, *[BAD] * (MOST_TRIES + 500))
    assert state
    assert f"{MOST_TRIES} of {MOST_TRIES} tries" in state.detail


def test_a_part_that_cannot_be_asked_is_told_and_hides_no_other() -> None:
    def broken() -> Degraded | None:
        raise ZeroDivisionError("sk-secret")

    away = Degraded(what="away", since=now(), is_fatal=True)
    health = Health({"broken": broken, "well": lambda: None})
    health.add("redis", lambda: away)
    states = health.states()
    assert states["well"] is None
    assert states["redis"] is away
    assert states["broken"]
    assert not states["broken"].is_fatal
    assert "sk-secret" not in repr(states)
