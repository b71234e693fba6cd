"""Fixtures with real clients: each is installed by the first test that asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.clients import install
from tests.clients.agents import AGENTS, Agent
from tests.clients.running import MARKER, RUN_SECONDS, Home
from tests.upstream.provider import Provider
from tests.upstream.script import shell_then_done
from tests.upstream.tls import PROVIDER_NAMES, Authority


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives tests with real clients the time to install them, on top of their own."""
    for item in items:
        if item.get_closest_marker("clients"):
            item.add_marker(pytest.mark.timeout(install.INSTALL_SECONDS + 2 * RUN_SECONDS))


@pytest.fixture(scope="session")
def claude() -> Path:
    """The binary of Claude Code."""
    return install.claude_binary()


@pytest.fixture(scope="session")
def codex() -> Path:
    """The binary of Codex."""
    return install.codex_binary()


@pytest.fixture(scope="session")
def node() -> Path:
    """Node 24."""
    return install.node_binary()


@pytest.fixture(params=AGENTS, ids=str)
def agent(request: pytest.FixtureRequest) -> Agent:
    """Every agent in turn; a test that wants only some parametrises it indirectly."""
    return request.param


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that signs the scripted provider's certificate."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def provider_certificate(authority: Authority) -> Path:
    """A certificate for 127.0.0.1 and all providers' names."""
    return authority.leaf(*PROVIDER_NAMES)


@pytest.fixture
async def provider(provider_certificate: Path) -> AsyncGenerator[Provider]:
    """A provider whose model asks for `touch marker-file`; a test may set another `provider.script`."""
    script = shell_then_done(f"touch {MARKER} && echo touched")
    async with Provider(script, certificate=provider_certificate) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new home and working folder for an agent."""
    return Home.make(tmp_path / "agent")
