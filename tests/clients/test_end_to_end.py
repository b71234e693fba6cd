"""Real clients through `lockgate run`: the model asks for a command, and the rules decide whether it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lockgate.storage.answers import ExchangeDetail, Filter
from lockgate.storage.queries import Queries
from tests.clients.agents import AGENTS, Agent
from tests.clients.running import MARKER, Home, Ran, run
from tests.upstream.provider import Provider
from tests.upstream.tls import Authority

pytestmark = pytest.mark.clients

LOCKGATE = str(Path(sys.executable).with_name("lockgate"))
NO_TOUCH = {"name": "no-touch", "use": "tools", "with": {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]}}
HOSTS = ("api.anthropic.com", "api.openai.com", "chatgpt.com")


class Operator:
    """Someone who configures Lockgate and runs an agent under it."""

    policy = ""

    def __init__(self, folder: Path, provider: Provider, authority: Authority) -> None:
        self.folder, self.provider, self.authority = folder, provider, authority
        self.database = f"sqlite:///{folder / 'data' / 'lockgate.db'}"

    def configure(self, rules: Sequence[Mapping[str, Any]] | None) -> Path:
        upstream = {"upstream": self.provider.url, "upstream_ca": str(self.authority.ca_file)}
        families = dict(zip(HOSTS, ("anthropic", "openai", "openai"), strict=True))
        settings: dict[str, Any] = {
            "home": "data",
            "database": self.database,
            "hosts": {host: {"format": families[host], **upstream} for host in HOSTS},
        }
        if rules is not None:
            settings["rules"] = list(rules)
        if self.policy:
            settings["policy"] = self.policy
        file = self.folder / "lockgate.yaml"
        file.write_text(json.dumps(settings))  # JSON is YAML
        return file

    async def run(self, agent: Agent, home: Home, rules: Sequence[Mapping[str, Any]] | None = None) -> Ran:
        command = [LOCKGATE, "run", "--config", str(self.configure(rules)), "--"]
        prompt = agent.command("Touch the marker file, please.")
        return await run([*command, *prompt], agent.environment(home.folder), home.work)

    async def exchanges(self) -> list[ExchangeDetail]:
        """What the log holds of the conversation, oldest first."""
        async with Queries(self.database) as log:
            rows = await log.exchanges(where=Filter(kind="model"))
            found = [await log.exchange(row.id) for row in reversed(rows)]
        return [each for each in found if each]


@pytest.fixture
def operator(tmp_path: Path, provider: Provider, authority: Authority) -> Operator:
    return Operator(tmp_path, provider, authority)


@pytest.mark.parametrize("policy", ["", "coding-agent"])
async def test_the_default_rules_let_an_agent_work(
    agent: Agent, provider: Provider, operator: Operator, home: Home, policy: str
) -> None:
    operator.policy = policy
    ran = await operator.run(agent, home)
    assert (ran.code, "done: " in ran.out) == (0, True), ran.err
    assert (home.work / MARKER).exists()
    assert "lockgate: 2 exchanges" in ran.err
    assert "blocked: none" in ran.err
    asked, told = await operator.exchanges()
    assert [each.exchange.outcome for each in (asked, told)] == ["passed", "passed"]
    assert asked.exchange.tool_calls == 1
    assert [each.exchange.attested for each in (asked, told)] == ["attested", "attested"]
    assert asked.exchange.session_id == told.exchange.session_id != ""
    assert asked.exchange.streamed == ("whole" not in agent.name)


@pytest.mark.parametrize("refusal", ["explain", "text"])
async def test_a_denied_command_does_not_run_and_the_client_says_why(
    agent: Agent, provider: Provider, operator: Operator, home: Home, refusal: str
) -> None:
    ran = await operator.run(agent, home, [{**NO_TOUCH, "refusal": refusal}])
    assert ran.code == 0, ran.err
    assert not (home.work / MARKER).exists()
    assert "no-touch" in ran.out, (ran.out, ran.err)
    assert "blocked: 1 by no-touch" in ran.err
    asked, *rest = await operator.exchanges()
    assert {(each.exchange.attested, each.exchange.session_id) for each in (asked, *rest)} == {
        ("attested", asked.exchange.session_id)
    }
    [decision] = asked.decisions
    assert (decision.rule, decision.mode, decision.action) == ("no-touch", "enforce", "blocked")
    [request] = asked.chain("REQUEST")
    original, final = (comm.content or b"" for comm in asked.chain("RESPONSE"))
    assert b"Touch the marker file" in (request.content or b"")
    assert b"touch marker-file" in original
    assert b"no-touch" not in original
    assert b"no-touch" in final


@pytest.mark.postgres
@pytest.mark.parametrize("agent", [agent for agent in AGENTS if agent.name == "python-anthropic-stream"], indirect=True)
async def test_the_log_may_be_a_postgresql_database(
    agent: Agent, operator: Operator, home: Home, postgres_url: str
) -> None:
    operator.database = postgres_url
    refused = await operator.run(agent, home, [NO_TOUCH])
    assert refused.code == 2
    assert "lockgate db upgrade" in refused.err
    assert not (home.work / MARKER).exists()
    file = str(operator.configure([NO_TOUCH]))
    upgraded = await run([LOCKGATE, "db", "upgrade", "--config", file], agent.environment(home.folder), home.work)
    assert upgraded.code == 0, upgraded.err
    ran = await operator.run(agent, home, [NO_TOUCH])
    assert ran.code == 0, ran.err
    asked, told = await operator.exchanges()
    assert (asked.exchange.outcome, told.exchange.outcome) == ("blocked", "passed")
    assert [len(each.chain("RESPONSE")) for each in (asked, told)] == [2, 1]
