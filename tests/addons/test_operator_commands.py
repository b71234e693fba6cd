"""mitmproxy's commands of Lockgate, given to a real proxy with a real database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions, types
from mitmproxy.log import ALERT
from mitmproxy.test import tflow
from mitmproxy.types import Choice

from lockgate.addons import operator_commands
from lockgate.addons.operating import user
from lockgate.addons.service import Service
from lockgate.app import build
from lockgate.config import load
from lockgate.records import Approval
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.kills import Kills
from lockgate.storage.trail import Trail
from tests.addons.test_conversation_view import Flows
from tests.addons.test_service import SHUT
from tests.addons.wires import WIRES, bash
from tests.storage.test_approvals import approval
from tests.upstream.proxied import Changes, Provider, Proxy, Tls, connect, running_provider, running_proxy, tls
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


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A running proxy whose operator gives commands."""

    proxy: Proxy
    provider: Provider
    service: Service
    told: Told
    file: Path
    settings: Mapping[str, Any]

    @property
    def url(self) -> str:
        return self.service.config.database

    def do(self, command: str) -> Any:
        return self.proxy.master.commands.execute(command)

    async def say(self, command: str) -> str:
        """What is told once the command is done."""
        assert self.do(command) is None
        return await self.told.next()

    def write(self, *rules: Any) -> None:
        self.file.write_text(json.dumps({**self.settings, "rules": list(rules)}))

    async def acts(self, count: int) -> list[tuple[str, str, str]]:
        """What is noted, the oldest first, when there is so much."""
        while True:  # the log writes on a thread of its own
            async with Trail(self.url) as trail:
                found = await trail.entries()
            if len(found) >= count:
                return [(one.who, one.act, one.outcome) for one in reversed(found)]
            await asyncio.sleep(0.01)

    async def asked(self, **changes: Any) -> Approval:
        """A call that waits, put by another proxy."""
        rows, one = ApprovalRows(parse(self.url)), approval(**changes)
        await rows.insert(one)
        await rows.close()
        return one

    async def state(self, id: str) -> str:
        async with ApprovalDesk(self.url) as desk:
            found = await desk.find(id)
        return found.state if found else ""


@asynccontextmanager
async def operated(folder: Path, tls: Tls, *rules: Any, addons: Sequence[object] = ()) -> AsyncGenerator[At]:
    tls.confdir.chmod(0o700)
    for each in tls.confdir.iterdir():
        each.chmod(0o600)
    async with running_provider(tls) as provider:
        upstream = {"upstream": f"https://127.0.0.1:{provider.port}", "upstream_ca": str(tls.provider_ca)}
        hosts = {WIRE.host: {"format": "anthropic", **upstream}}
        settings = {"home": str(folder / "data"), "ca": str(tls.confdir), "hosts": hosts}
        file, told = folder / "lockgate.yaml", Told()
        file.write_text(json.dumps({**settings, "rules": list(rules)}))
        service = build(load(file))
        operator_commands.log.addHandler(told)
        operator_commands.log.setLevel(ALERT)  # as mitmproxy's own programs have it
        try:
            async with running_proxy(tls, service, *addons) as proxy:
                yield At(proxy=proxy, provider=provider, service=service, told=told, file=file, settings=settings)
        finally:
            operator_commands.log.removeHandler(told)
            operator_commands.log.setLevel(logging.NOTSET)


class Watched(Flows):
    """Hears of each change of a flow."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = Changes()

    def update(self, flows: Sequence[object]) -> None:
        self.changes.tell()


WHO = f"mitmproxy:{user()}"


async def test_every_command_is_there_and_explained(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        commands = at.proxy.master.commands.commands
        own = {name: each for name, each in commands.items() if name.startswith("lockgate.")}
        assert sorted(own) == [f"lockgate.{name}" for name in (
            "approvals", "approve", "deny", "kill", "kill.scopes", "lift", "policy", "policy.reload",
            "policy.rollback", "policy.versions", "show",
        )]  # fmt: skip
        assert all(each.help for each in own.values())
        for name, completions in (("kill", at.do("lockgate.kill.scopes")),
                                  ("policy.rollback", [at.service.registry.current.version])):  # fmt: skip
            choice = own[f"lockgate.{name}"].parameters[0].type
            assert isinstance(choice, Choice)
            completer: Any = types.CommandTypes
            known = completer.get(choice)
            assert known
            assert known.completion(at.proxy.master.commands, choice, "") == completions


async def test_the_policy_set_is_shown_reloaded_and_rolled_back(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls, SHUT) as at:
        registry = at.service.registry
        first = registry.current.version
        assert at.do("lockgate.policy") == [f"version {first}, 1 rule", "shut: refuse (enforce)"]
        assert "stays in force" in await at.say("lockgate.policy.reload")
        at.write(SHUT, {**SHUT, "name": "again", "mode": "shadow"})
        at.do("lockgate.policy.reload")
        assert [rule.name for rule in registry.current.rules] == ["shut", "again"]
        second = registry.current.version
        assert at.do("lockgate.policy.versions") == [second, first]
        assert first in await at.say(f"lockgate.policy.rollback {first}")
        assert registry.current.version == first
        with pytest.raises(exceptions.CommandError):
            at.do("lockgate.policy.rollback nosuch")
        acts = await at.acts(3)
    assert set(acts) == {(WHO, "policy.reload", "success"), (WHO, "policy.rollback", "success")}


async def test_what_is_approved_was_shown_whole_before(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        assert await at.say("lockgate.approvals") == "nothing waits for a person"
        one = await at.asked(arguments=json.dumps({"command": "git push", "why": "é" * 200}))
        short = one.id[-8:]
        assert "Bash: git push" in await at.say("lockgate.approvals")
        whole = await at.say(f"lockgate.approve {short} it is fine")
        assert "command: git push" in whole
        assert "é" * 200 in whole
        assert await at.state(one.id) == "pending"
        assert await at.say(f"lockgate.approve {short} it is fine") == f"{one.id} is approved, by {user()}"
        assert await at.state(one.id) == "approved"
        assert "decided once" in await at.say(f"lockgate.deny {short}")
        acts = await at.acts(2)
    assert acts == [(WHO, "approval.approve", "success"), (WHO, "approval.deny", "error")]


async def test_a_call_is_denied_with_a_note(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        one = await at.asked()
        assert "is denied" in await at.say(f"lockgate.deny {one.id[-8:]} not on a Friday")
        async with ApprovalDesk(at.url) as desk:
            found = await desk.find(one.id)
    assert found
    assert (found.state, found.note, found.note_shown, found.decided_by) == ("denied", "not on a Friday", False, user())


async def test_a_call_that_is_too_long_to_be_shown_is_not_approved(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        one = await at.asked(arguments=json.dumps({"command": "x" * 30_000}))
        for _ in range(2):
            assert "too long to be shown" in await at.say(f"lockgate.approve {one.id[-8:]}")
        assert await at.state(one.id) == "pending"


async def test_what_is_told_steers_no_terminal(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        one = await at.asked(arguments=json.dumps({EVIL: EVIL}), tool=f"T{EVIL}", reason=EVIL, rule=f"r{EVIL}")
        said = [await at.say("lockgate.approvals"), await at.say(f"lockgate.approve {one.id[-8:]}")]
    for text in said:
        assert all(char.isprintable() or char in "\n " for char in text)


async def test_everything_is_stopped_and_goes_on(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        said = await at.say("lockgate.kill all * we look into it")
        assert said.startswith("stopped: everything; lockgate.lift ")
        with Kills(at.url) as kills:
            [kill] = kills.in_force()
        assert (kill.scope, kill.target, kill.reason, kill.set_by) == ("all", "", "we look into it", user())
        assert await at.say(f"lockgate.lift {kill.id[-8:]}") == "lifted: everything"
        assert (await at.say(f"lockgate.lift {kill.id[-8:]}")).startswith("not done: no kill in force")
        assert "stopped: model gpt-*" in await at.say("lockgate.kill model gpt-*")
        acts = await at.acts(4)
    assert acts[:3] == [
        (WHO, "kill.create", "success"), (WHO, "kill.lift", "success"), (WHO, "kill.lift", "error"),
    ]  # fmt: skip


@pytest.mark.parametrize("command", [
    "lockgate.kill all everything why", 'lockgate.kill model "" why', "lockgate.kill planet earth why",
    f"lockgate.kill model m {'x' * 1_001}", "lockgate.approve", "lockgate.policy.rollback",
])  # fmt: skip
async def test_a_command_that_cannot_be_meant_does_nothing(tmp_path: Path, tls: Tls, command: str) -> None:
    async with operated(tmp_path, tls) as at:
        with pytest.raises(exceptions.CommandError):
            at.do(command)
        with Kills(at.url) as kills:
            assert not kills.in_force()


async def test_what_is_not_there_is_told(tmp_path: Path, tls: Tls) -> None:
    async with operated(tmp_path, tls) as at:
        assert "no approval has the id" in await at.say("lockgate.approve 12345678")
        assert (await at.say("lockgate.deny nonsense!")).startswith("not done: ")
        with pytest.raises(exceptions.CommandError, match="no conversation"):
            at.proxy.master.commands.call("lockgate.show", tflow.tflow())


async def test_so_many_commands_at_once_and_no_more(tmp_path: Path, tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_commands, "MOST_TASKS", 1)
    async with operated(tmp_path, tls) as at:
        at.do("lockgate.approvals")
        with pytest.raises(exceptions.CommandError, match="under way"):
            at.do("lockgate.approvals")
        await at.told.next()


async def test_a_held_call_is_approved_while_the_client_waits(tmp_path: Path, tls: Tls) -> None:
    kept = Watched()
    async with operated(tmp_path, tls, ASK, addons=(kept,)) as at:
        client = await connect(at.proxy, tls, "h1", 443, WIRE.host)
        client.host = WIRE.host
        reply = await client.send(WIRE.body, path=WIRE.path)
        given = WIRE.reply(Text("So."), bash("ls"))
        await (await at.provider.next()).reply(given, headers=WIRE.headers)
        [flow] = kept.flows
        await kept.changes.until(lambda: flow.comment.startswith("held") and not flow.comment.endswith("list"))
        call = at.proxy.master.commands.call
        call("lockgate.show", flow)
        assert (await at.told.next()).startswith("under way")
        short = flow.comment[-8:]
        await at.say(f"lockgate.approve {short}")
        await at.say(f"lockgate.approve {short}")
        await reply.over()
        client.close()
        assert reply.body == given
        said = ""
        while "ask-first (enforce): toolcall forwarded" not in said:  # the log writes on a thread of its own
            call("lockgate.show", flow)
            said = await at.told.next()
    assert "ask-first (enforce): toolcall held" in said
    assert f"approved by {user()}" in said
