"""Tries that are counted."""

from __future__ import annotations

import pytest

from lockgate.admin import throttle
from lockgate.admin.throttle import Throttle


def test_so_many_at_once_and_then_one_each_time():
    now = [100.0]
    tries = Throttle(tries=3, seconds=10, clock=lambda: now[0])
    assert [tries.wait("ada") for _ in range(5)] == [0, 0, 0, 10, 10]
    assert tries.wait("bob") == 0
    now[0] += 4
    assert tries.wait("ada") == 6
    now[0] += 6
    assert [tries.wait("ada") for _ in range(2)] == [0, 10]
    now[0] += 1000
    assert [tries.wait("ada") for _ in range(4)] == [0, 0, 0, 10]
    tries.forget("ada")
    assert tries.wait("ada") == 0


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "KEPT", 10)
    tries = Throttle(tries=1, seconds=10)
    for number in range(100):
        tries.wait(str(number))
    assert len(tries) == 10
