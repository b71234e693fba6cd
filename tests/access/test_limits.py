"""Limits with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.access.limits import BUSY_SECONDS, MINUTE_NS, SECOND_NS, Limited, Limiter, Size, Subject
from lockgate.config import AccessLimits


@dataclass
class Clock:
    now: int = 10**15

    def __call__(self) -> int:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += round(seconds * SECOND_NS)


def a_subject(id: str = "t", **limits: Any) -> Subject:
    return Subject("token", id, AccessLimits(**limits))


def a_size(tokens: int = 0, request_bytes: int = 10, messages: int = 1) -> Size:
    return Size(request_bytes=request_bytes, messages=messages, tokens=tokens)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(clock)


def refused(act: Callable[[], object]) -> Limited:
    with pytest.raises(Limited) as raised:
        act()
    return raised.value


@pytest.mark.parametrize("rate", [1, 7, 60, 1000])
def test_exactly_so_many_requests_fit_at_once_and_then_one_after_another(rate: int, limiter: Limiter, clock: Clock):
    one = a_subject(requests_per_minute=rate)
    for _ in range(rate):
        limiter.take([one], a_size())
    seconds = -(-60 // rate)
    error = refused(lambda: limiter.take([one], a_size()))
    assert f"{rate:,} requests a minute: there is room for this request in {seconds} s" in str(error)
    assert error.retry_after == (seconds if seconds <= 30 else 0)
    clock.turn(seconds)
    limiter.take([one], a_size())


def test_after_the_time_it_was_told_a_request_fits_and_not_before(limiter: Limiter, clock: Clock):
    one = a_subject(requests_per_minute=6)
    for _ in range(6):
        limiter.take([one], a_size())
    assert refused(lambda: limiter.take([one], a_size())).retry_after == 10
    clock.turn(9.99)
    assert refused(lambda: limiter.take([one], a_size())).retry_after == 1
    clock.turn(0.011)
    limiter.take([one], a_size())
    assert refused(lambda: limiter.take([one], a_size())).retry_after == 10


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(0, 5)), max_size=60),
)
def test_no_more_pass_than_a_bucket_holds_and_gives(rate: int, steps: list[tuple[float, int]]):
    clock = Clock()
    limiter, one, began, passed = Limiter(clock), a_subject(requests_per_minute=rate), clock.now, 0
    for seconds, count in steps:
        clock.turn(seconds)
        for _ in range(count):
            try:
                limiter.take([one], a_size())
            except Limited:
                continue
            passed += 1
    assert passed <= rate + (clock.now - began) * rate / MINUTE_NS


def test_tokens_are_counted_as_they_were_in_the_end(limiter: Limiter, clock: Clock):
    one = a_subject(tokens_per_minute=600)
    first = limiter.take([one], a_size(tokens=500))
    assert refused(lambda: limiter.take([one], a_size(tokens=200))).retry_after == 10
    limiter.give_back(first, 100)
    limiter.give_back(first, 0)  # counts once
    second = limiter.take([one], a_size(tokens=500))
    limiter.give_back(second, 800)
    assert refused(lambda: limiter.take([one], a_size(tokens=1))).retry_after == 0  # 300 tokens of debt: 30.1 s
    clock.turn(30.1)
    limiter.take([one], a_size(tokens=1))


def test_what_is_larger_than_a_minute_passes_where_nothing_else_does(limiter: Limiter):
    one = a_subject(tokens_per_minute=100)
    limiter.take([one], a_size(tokens=5000))
    refused(lambda: limiter.take([one], a_size(tokens=1)))


def test_so_many_at_a_time(limiter: Limiter):
    one = a_subject(concurrent=2)
    first, _ = (limiter.take([one], a_size()) for _ in range(2))
    error = refused(lambda: limiter.take([one], a_size()))
    assert (error.retry_after, "2 at a time" in str(error)) == (BUSY_SECONDS, True)
    limiter.give_back(first, 0)
    limiter.give_back(first, 0)
    limiter.take([one], a_size())
    refused(lambda: limiter.take([one], a_size()))


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"request_bytes": 9}, "10 bytes is too large: the token is held to 9"),
        ({"messages": 2}, "3 messages in a request"),
    ],
)
def test_what_is_too_large_never_fits(limiter: Limiter, limits: Any, sentence: str):
    error = refused(lambda: limiter.take([a_subject(**limits)], a_size(messages=3)))
    assert sentence in str(error)
    assert error.retry_after == 0


def test_who_is_refused_by_one_has_taken_of_none(limiter: Limiter):
    project = Subject("project", "p", AccessLimits(requests_per_minute=2, concurrent=2))
    token = a_subject(requests_per_minute=1)
    limiter.take([token, project], a_size())
    refused(lambda: limiter.take([token, project], a_size()))
    limiter.take([a_subject("other", requests_per_minute=1), project], a_size())


def test_who_does_nothing_is_forgotten(limiter: Limiter, clock: Clock):
    waits = limiter.take([a_subject("waits", concurrent=1)], a_size())
    for n in range(1000):
        limiter.give_back(limiter.take([a_subject(str(n), requests_per_minute=60)], a_size()), 0)
        clock.turn(0.5)
    assert len(limiter) < 10
    limiter.give_back(waits, 0)
