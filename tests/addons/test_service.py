"""The life of a proxy: its rules are read again, its log is closed last, and it is loaded once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.addons import service as service_module
from lockgate.addons.service import Service, refuse_second
from lockgate.app import build
from lockgate.config import load
from lockgate.errors import ConfigError
from lockgate.storage.answers import Filter
from lockgate.storage.queries import Queries
from tests.addons.messages import ASK, PATH, stream, text
from tests.upstream.proxied import Changes, Tls, connect, running_provider, running_proxy, tls

__all__ = ["tls"]

SHUT = {"name": "shut", "use": "refuse", "with": {"sentence": "no"}}


class Operator:
    """A configuration file that is changed while the proxy runs."""

    def __init__(self, folder: Path, tls: Tls) -> None:
        self.file, self.tls = folder / "lockgate.yaml", tls
        self.settings: dict[str, Any] = {"home": str(folder / "data"), "ca": str(tls.confdir)}

    def write(self, *rules: Any, **more: Any) -> None:
        self.file.write_text(json.dumps({**self.settings, **more, "rules": list(rules)}))

    def build(self) -> Service:
        return build(load(self.file))


@pytest.fixture
def operator(tmp_path: Path, tls: Tls) -> Operator:
    tls.confdir.chmod(0o700)
    for file in tls.confdir.iterdir():
        file.chmod(0o600)
    return Operator(tmp_path, tls)


async def test_rules_are_read_again_when_their_file_changes(
    operator: Operator, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "WATCH_SECONDS", 0.01)
    operator.write()
    service = operator.build()
    changed = _tells(service, "swap")
    before = service.registry.current
    async with running_proxy(tls, service):
        operator.write(SHUT)
        await changed.until(lambda: service.registry.current is not before)
    assert [rule.name for rule in service.registry.current.rules] == ["shut"]


async def test_rules_are_read_again_at_sighup(operator: Operator, tls: Tls) -> None:
    operator.write()
    service = operator.build()
    changed = _tells(service, "swap")
    async with running_proxy(tls, service):
        operator.write(SHUT)
        os.kill(os.getpid(), signal.SIGHUP)
        await changed.until(lambda: service.registry.current.rules)
    assert [rule.name for rule in service.registry.current.rules] == ["shut"]


async def test_rules_that_do_not_fit_leave_those_before_in_force(
    operator: Operator, tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    operator.write(SHUT)
    service = operator.build()
    before = service.registry.current
    operator.write({**SHUT, "use": "refues"})
    service.reload()
    assert service.registry.current is before
    assert "the rules stay as they were" in caplog.text
    assert "unknown policy 'refues'" in caplog.text


async def test_the_same_rules_again_are_no_new_version(operator: Operator) -> None:
    operator.write(SHUT)
    service = operator.build()
    before = service.registry.current
    service.reload()
    assert service.registry.current is before


async def test_the_proxy_ends_when_everything_is_written(operator: Operator, tls: Tls) -> None:
    async with running_provider(tls) as provider:
        upstream = {"upstream": f"https://127.0.0.1:{provider.port}", "upstream_ca": str(tls.provider_ca)}
        operator.write(hosts={"api.anthropic.com": {"format": "anthropic", **upstream}})
        service = operator.build()
        async with running_proxy(tls, service) as proxy:
            client = await connect(proxy, tls, "h1", 443, "api.anthropic.com")
            client.host = "api.anthropic.com"
            for said in ("one", "two"):
                reply = await client.send(ASK, path=PATH)
                await (await provider.next()).reply(stream(text(0, said)))
                await reply.over()
            await client.send(ASK, path=PATH)  # still under way when the proxy ends
            await provider.next()
            client.close()
    async with Queries(service.config.database) as log:
        rows = await log.exchanges(where=Filter(kind="model"))
    assert sorted(row.outcome for row in rows) == ["gone", "passed", "passed"]


async def test_a_second_lockgate_says_so(operator: Operator, tls: Tls) -> None:
    operator.write()
    async with running_proxy(tls, operator.build()):
        with pytest.raises(ConfigError, match="loaded already"):
            refuse_second()


def _tells(service: Service, method: str) -> Changes:
    """Tells each time the registry's method was called."""
    changes = Changes()
    called: Callable[..., Any] = getattr(service.registry, method)

    def tell(*arguments: Any) -> Any:
        try:
            return called(*arguments)
        finally:
            asyncio.get_running_loop().call_soon(changes.tell)

    setattr(service.registry, method, tell)
    return changes
