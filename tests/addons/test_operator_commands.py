"""mitmproxy's commands of Lockgate, given to a real proxy with a real database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.log import ALERT
from mitmproxy.test import tflow
from mitmproxy.types import Choice

from lockgate.addons import operator_commands
from lockgate.addons.service import Service
from lockgate.app import build
from lockgate.config import load
from lockgate.exchange import Approval
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.kills import Kills
from lockgate.storage.trail import Trail
from tests.addons.test_conversation_view import Flows
from tests.addons.test_service import SHUT
from tests.addons.wires import WIRES, bash
from tests.storage.test_approvals import approval
from tests.upstream.proxied import Changes, Proxy, Tls, connect, running_provider, running_proxy, tls
from tests.upstream.script import Text

__all__ = ["tls"]

WIRE = WIRES[0]
ASK = {"name": "ask-first", "use": "approval"}
EVIL = "\x1b[2J\u202e\x00\ud800"


class Told(logging.Handler):
    """What those who watch are told."""

    def __init__(self) -> None:
        super().__init__(ALERT)
        self.lines: list[str] = []
        self.changes = Changes()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == ALERT:
            self.lines.append(record.getMessage())
            self.changes.tell()

    async def next(self) -> str:
        await self.changes.until(lambda: self.lines)
        return self.lines.pop(0)


class At:
    """A running proxy whose operator gives commands."""

    def __init__(self, proxy: Proxy, service: Service, told: Told, file: Path) -> None:
        self.proxy, self.service, self.told, self.file = proxy, service, told, file

    def do(self, command: str) -> Any:
        return self.proxy.master.commands.execute(command)

    async def say(self, command: str) -> str:
        assert self.do(command) is None
        return await self.told.next()

    async def acts(self) -> list[tuple[str, str, str]]:
        async with Trail(self.service.config.database) as trail:
            return [(one.who.partition(":")[0], one.act, one.outcome) for one in await trail.entries()]


@asynccontextmanager
async def operated(folder: Path, tls: Tls, *rules: Any, addons: tuple[object, ...] = ()) -> AsyncIterator[At]:
    tls.confdir.chmod(0o700)
    for each in tls.confdir.iterdir():
        each.chmod(0o600)
    async with running_provider(tls) as provider:
        host = {"format": "anthropic", "upstream": f"https://127.0.0.1:{provider.port}",
                "upstream_ca": str(tls.provider_ca)}  # fmt: skip
        file, told = folder / "lockgate.yaml", Told()
        settings = {"home": str(folder / "data"), "ca": str(tls.confdir), "hosts": {WIRE.host: host}}
        file.write_text(json.dumps({**settings, "rules": list(rules)}))
        service = build(load(file))
        logging.getLogger().addHandler(told)
        try:
            async with running_proxy(tls, service, *addons) as proxy:
                at = At(proxy, service, told, file)
                at.provider = provider  # type: ignore[attr-defined]
                yield at
        finally:
            logging.getLogger().removeHandler(told)
