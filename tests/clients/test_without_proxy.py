"""Real clients and the scripted provider, without Lockgate: proves that both are right before a proxy is judged."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.clients.agents import Agent, through
from tests.clients.forwarder import Forwarder
from tests.clients.running import MARKER, Home, run
from tests.upstream.provider import Provider
from tests.upstream.tls import PROVIDER_NAMES, Authority

pytestmark = pytest.mark.clients


@pytest.fixture
async def forwarder(provider: Provider) -> AsyncGenerator[Forwarder]:
    async with Forwarder(PROVIDER_NAMES, provider.port) as running:
        yield running


async def test_the_agent_runs_the_command_and_ends_with_the_models_words(
    agent: Agent, provider: Provider, forwarder: Forwarder, authority: Authority, home: Home
) -> None:
    environment = agent.environment(home.folder) | through(forwarder.url, authority.ca_file)
    ran = await run(agent.command("Touch the marker file, please."), environment, home.work)
    assert (ran.code, "done: " in ran.out, "touched" in ran.out) == (0, True, True), ran.err
    assert (home.work / MARKER).exists()
    assert [exchange.format for exchange in provider.exchanges] == [agent.format] * 2
    assert f"{agent.host}:443" in forwarder.asked
