"""Hooks reach the addons that have them, as they would without the table."""

from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.proxy.layers.http import HttpRequestHook
from mitmproxy.test import taddons, tflow

from lockgate.addons.dispatch import QuickAddonManager


class Hears:
    """Keeps what it was told; `fault` is raised then."""

    def __init__(self, name: str, heard: list[str], fault: Exception | None = None) -> None:
        self.name, self._heard, self._fault = name, heard, fault

    def request(self, flow: Any) -> None:
        self._heard.append(self.name)
        if self._fault:
            raise self._fault


class HearsLater(Hears):
    async def request(self, flow: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().request(flow)


class Updated:
    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def update(self, flows: Any) -> None:
        self._heard.append(f"update of {len(flows)}")


async def _heard(*addons: Any, heard: list[str]) -> list[str]:
    with taddons.context() as context:
        QuickAddonManager.take_over(context.master.addons)
        context.master.addons.add(*addons)
        await context.master.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    return heard


async def test_every_addon_that_has_the_hook_is_called_in_order() -> None:
    heard: list[str] = []
    found = await _heard(Hears("a", heard), HearsLater("b", heard), Updated(heard), heard=heard)
    assert found == ["a", "b", "update of 1"]


async def test_an_addon_that_comes_or_goes_is_noticed() -> None:
    heard: list[str] = []
    with taddons.context() as context:
        manager = context.master.addons
        QuickAddonManager.take_over(manager)
        first, second = Hears("a", heard), Hears("b", heard)
        manager.add(first)
        await manager.trigger_event(HttpRequestHook(tflow.tflow()))
        manager.add(second)
        await manager.trigger_event(HttpRequestHook(tflow.tflow()))
        manager.remove(first)
        await manager.trigger_event(HttpRequestHook(tflow.tflow()))
    assert heard == ["a", "a", "b", "b"]


async def test_a_child_of_an_addon_is_called() -> None:
    heard: list[str] = []

    class Parent:
        addons = (Hears("child", heard),)

    assert await _heard(Parent(), heard=heard) == ["child"]


async def test_an_addon_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    assert await _heard(Hears("a", heard, KeyError("x")), Hears("b", heard), heard=heard) == ["a", "b"]
    assert "Addon error" in caplog.text


async def test_an_addon_may_halt_the_hook() -> None:
    heard: list[str] = []
    assert await _heard(Hears("a", heard, exceptions.AddonHalt()), Hears("b", heard), heard=heard) == ["a"]
