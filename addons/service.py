"""The life of one proxy: what mitmproxy must be told, when its parts open and close, when the rules are read again."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.flow import Flow
from mitmproxy.utils.human import format_address

from lockgate.access.audit import LOCAL, Audit, NoAudit
from lockgate.addons.conversation_view import ConversationContentview, Conversations
from lockgate.addons.cut import proxyserver
from lockgate.addons.dispatch import QuickAddonManager
from lockgate.addons.gate import Gate
from lockgate.addons.operator_commands import OperatorCommands, RollBack
from lockgate.addons.route import Route, allow_pattern
from lockgate.addons.seam import AwaitableStreams
from lockgate.addons.view import concealed_in, shown_while_held
from lockgate.certs.store import limited
from lockgate.config import Config
from lockgate.errors import ConfigError, Error, told
from lockgate.health import Health
from lockgate.parts import Parts
from lockgate.policies.registry import PolicySet, Registry
from lockgate.records import Decision

log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""How soon a change of the configuration's files is seen."""


class Service:
    """The one addon to load: it holds the others. A second one in the same mitmproxy says so and stops it."""

    name = "lockgate"

    def __init__(
        self,
        *,
        config: Config,
        gate: Gate,
        route: Route,
        registry: Registry,
        read_rules: Callable[[], PolicySet],
        watched: Callable[[], Sequence[Path]],
        parts: Parts | None = None,
        health: Health | None = None,
        issue: Callable[[], str] = str,
        audit: Audit | None = None,
        roll_back: RollBack | None = None,
    ) -> None:
        self.config, self.registry = config, registry
        self.health = health or Health()
        self.gate = gate
        gate.ports = shown_while_held(gate.ports, gate.passages)
        self._read_rules, self._watched = read_rules, watched
        self._parts, self._audit = parts or Parts(), audit or NoAudit()
        self._commands = OperatorCommands(config, registry, self.reload, self._decisions_of, self._audit, roll_back)
        view = ConversationContentview(lambda flow: route.model_host(flow) is not None, concealed_in)
        self.addons = [
            AwaitableStreams(gate.stops.exchanges), route, gate, self._commands, Conversations(view), Settings(config)
        ]  # fmt: skip
        self.issue = issue
        """Makes a token for a client that this process starts itself; "" where there are none."""
        self._watch: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        QuickAddonManager.take_over(ctx.master.addons)
        self._parts.start()

    def running(self) -> None:
        if unknown := list(ctx.options.deferred):
            log.error("mitmproxy has no option %s: look for --set NAME=VALUE", ", ".join(unknown))
        tlsconfig: Any = ctx.master.addons.get("tlsconfig")
        tlsconfig.certstore = limited(tlsconfig.certstore)
        gc.freeze()  # what is there now stays: a full collection would look through it, and stop every stream meanwhile
        self._watch = asyncio.create_task(self._watch_files())
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or a system without it
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload, "signal")

    def _decisions_of(self, flow: Flow) -> Sequence[Decision] | None:
        """Of an exchange that is under way."""
        passage = self.gate.passages.get(flow.id)
        return passage and passage.x.decisions

    def reload(self, who: str = "file change") -> None:
        """Put the rules that the files hold now in force; those before stay where the files do not fit."""
        before = self.registry.current
        try:
            changed = self.registry.swap(self._read_rules())
        except Exception as error:  # a policy's own; whatever it is, the files are watched on
            log.error("the rules stay as they were: %s", told(error))
            self._note_reload(who, before, told(error))
        else:
            if changed:
                log.warning("policy set %s is in force; other options need a new start", self.registry.current.version)
                self._note_reload(who, before)

    def _note_reload(self, who: str, before: PolicySet, error: str = "") -> None:
        self._audit.note(
            who=who, where=LOCAL, act="policy.reload", subject="policy set", outcome="error" if error else "success",
            before=_told(before), after=None if error else _told(self.registry.current), reason=error,
        )  # fmt: skip

    async def done(self) -> None:
        if self._watch:
            self._watch.cancel()
        await self._commands.close()
        await self.gate.drain()
        await self._parts.close()

    async def _watch_files(self) -> None:
        seen = self._state()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if (now := self._state()) != seen:
                seen = now
                self.reload()

    def _state(self) -> list[tuple[str, int, int]]:
        """The files that rules come from, as they are now."""
        states: list[tuple[str, int, int]] = []
        for path in self._watched():
            with suppress(OSError):
                status = path.stat()
                states.append((str(path), status.st_mtime_ns, status.st_size))
        return states


def _told(policy_set: PolicySet) -> dict[str, Any]:
    return {"version": policy_set.version, "rules": len(policy_set.rules)}


class Refusal:
    """Loaded in place of a service that cannot be: says why, and ends mitmproxy, so that nothing passes unseen."""

    def __init__(self, error: Error) -> None:
        self._error = error

    def load(self, loader: Loader) -> None:
        log.error("%s", self._error)  # at its start, mitmproxy ends with exit code 1 when it sees this

    def running(self) -> None:
        ctx.master.shutdown()  # loaded later


class Settings:
    """What mitmproxy must be told, where nobody told it otherwise. Loaded last: then every option is known."""

    def __init__(self, config: Config) -> None:
        self._wanted = {
            "confdir": str(config.ca),  # the authority's folder, in mitmproxy's own layout
            "allow_hosts": [allow_pattern(config.hosts)],  # others are tunnelled
            "connection_strategy": "lazy",  # nothing reaches a provider before the rules let it
            "upstream_cert": False,  # a copied name could lie outside what the authority may sign
            "stream_backlog": config.limits.stream_backlog_bytes,
            "store_streamed_bodies": True,  # to be looked at; elsewhere nobody can
        }
        self._forced = {
            "rawtcp": False,  # what does not begin like HTTP would be passed on as bytes, unseen
            "stream_large_bodies": None,  # a body would be sent on before the rules have seen it
        }

    def load(self, loader: Loader) -> None:
        given, addons = ctx.options, cast(Any, ctx.master.addons)
        if addons.get("view") is None:
            del self._wanted["store_streamed_bodies"]
        given.update(**{name: value for name, value in self._wanted.items() if not given.has_changed(name)})
        given.update(**self._forced)


def listening() -> tuple[str, ...]:
    """How and where this mitmproxy takes connections: `regular 127.0.0.1:8080`, `local`; no upstream is named."""
    return tuple(
        " ".join((server.mode.type_name, *(format_address(address) for address in server.listen_addrs)))
        for server in proxyserver().servers
        if server.is_running
    )


def refuse_second() -> None:
    """Raise ConfigError where this mitmproxy has a Lockgate already: each exchange would be judged twice."""
    addons = getattr(getattr(ctx, "master", None), "addons", None)
    if addons is not None and addons.get(Service.name) is not None:
        raise ConfigError("Lockgate is loaded already: load addons/control.py once, and not into `lockgate serve`")
