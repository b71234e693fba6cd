"""Hooks called at once: which addons have a hook is looked up once, not at every event.

mitmproxy asks each of its forty addons, and their children, for every hook of every flow, and each of them again for
`update`: with keep-alive connections that is a quarter of what an exchange costs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from mitmproxy import exceptions, flow, hooks
from mitmproxy.addonmanager import AddonManager, safecall

type Calls = list[list[Callable[..., Any]]]


class QuickAddonManager(AddonManager):
    """Knows for each hook the addons that have it, until the addons change."""

    _calls: dict[str, Calls]

    @classmethod
    def take_over(cls, manager: AddonManager) -> None:
        manager.__class__ = cls
        cast(QuickAddonManager, manager)._calls = {}

    def register(self, addon: Any) -> Any:  # every way to add an addon, and a script that is read again, comes here
        try:
            return super().register(addon)
        finally:
            self._calls.clear()

    def remove(self, addon: Any) -> None:
        super().remove(addon)
        self._calls.clear()

    def clear(self) -> None:
        super().clear()
        self._calls.clear()

    def trigger(self, event: hooks.Hook) -> None:
        super().trigger(event)
        if isinstance(event, hooks.ConfigureHook):  # a script loader drops scripts here
            self._calls.clear()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        message = event.args()[0]
        await self.trigger_event(event)
        if isinstance(message, flow.Flow) and self._calls_of("update", hooks.UpdateHook([message])):
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        calls = self._calls_of(event.name, event)
        if not calls:
            return
        arguments = event.args()
        for functions in calls:
            try:
                with safecall():
                    for function in functions:
                        result = function(*arguments)
                        if result is not None and inspect.isawaitable(result):
                            await result
            except exceptions.AddonHalt:
                return

    def _calls_of(self, name: str, event: hooks.Hook) -> Calls:
        found = self._calls.get(name)
        if found is None:
            each = [[function for _, function in self._iter_hooks(addon, event)] for addon in self.chain]
            found = self._calls[name] = [functions for functions in each if functions]
        return found
