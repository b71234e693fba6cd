"""Real clients with a token of Lockgate's: in the proxy's credentials, and in the place of the provider's key."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.keyring import keyring_of
from lockgate.access.records import Token
from lockgate.config import load_config
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.provider_keys import ProviderKeys
from tests.clients.agents import AGENTS, CODING, Agent, through
from tests.clients.running import MARKER, Home, run
from tests.clients.test_end_to_end import LOCKGATE, Operator, operator
from tests.upstream.provider import Provider

__all__ = ["operator"]

pytestmark = pytest.mark.clients

KEYS = {"anthropic": "sk-ant-api03-the-real-one", "openai": "sk-the-real-one"}
SDKS = ("python-anthropic-stream", "python-chat-whole", "node-responses-stream", "node-anthropic-whole")
SOME = [*CODING, *(agent for agent in AGENTS if agent.name in SDKS)]
with_a_key = pytest.mark.parametrize(
    "agent", [agent for agent in SOME if "login" not in agent.name], ids=str, indirect=True
)
some_agents = pytest.mark.parametrize("agent", SOME, ids=str, indirect=True)


def configure(operator: Operator, mode: str) -> Path:
    file = operator.configure(None)
    settings: dict[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"access": {"mode": mode}, "listen": "127.0.0.1:0"}))
    return file


def make_token(file: Path) -> tuple[str, Token]:
    """A token of a project that has both providers' keys."""
    config = load_config(file)
    schema.upgrade(config.database)
    with Access(config.database, keyring_of(config)) as access:
        access.create_project("shop")
        made = access.create_token("shop", lifetime=timedelta(hours=1), request_quota=100)
    with ProviderKeys(config.database, keyring_of(config)) as keys:
        for provider, key in KEYS.items():
            keys.add(provider, key, name="main", project="shop")
    return made


async def check(operator: Operator, provider: Provider, token: Token, secret: str) -> None:
    """The log knows whose exchanges they were, nobody else knows the token, and the quota was counted."""
    exchanges = await operator.exchanges()
    assert {(each.exchange.project, each.exchange.token) for each in exchanges} == {("shop", token.id)}
    assert not any(secret in repr(request.headers) for request in provider.requests)
    config = load_config(operator.folder / "lockgate.yaml")
    with Access(config.database, keyring_of(config)) as access:
        assert access.token(token.id).requests == len(exchanges)
    for file in operator.folder.glob("data/*"):
        assert file.is_dir() or secret.encode() not in file.read_bytes(), file.name


@with_a_key
async def test_a_token_in_the_place_of_the_providers_key(
    agent: Agent, provider: Provider, operator: Operator, home: Home
) -> None:
    file = configure(operator, "both")
    secret, token = make_token(file)
    names = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "CODEX_API_KEY")
    environment = agent.environment(home.folder) | dict.fromkeys(names, secret)
    command = [LOCKGATE, "run", "--config", str(file), "--", *agent.command("Touch the marker file, please.")]
    ran = await run(command, environment, home.work)
    assert (ran.code, "done: " in ran.out) == (0, True), ran.err
    assert (home.work / MARKER).exists()
    keys = {request.header("x-api-key") or request.header("authorization") for request in provider.exchanges}
    assert keys == {KEYS["anthropic"] if agent.format == "anthropic" else f"Bearer {KEYS['openai']}"}
    await check(operator, provider, token, secret)


@asynccontextmanager
async def serving(file: Path, folder: Path) -> AsyncGenerator[int]:
    """`lockgate serve` on a free port."""
    process = await asyncio.create_subprocess_exec(
        LOCKGATE, "serve", "--config", str(file), cwd=folder, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    try:
        port = ""
        while line := (await process.stdout.readline()).decode():
            if found := re.search(r"listening at \S*:(\d+)", line):
                port = found[1]
                break
        yield int(port)
    finally:
        process.terminate()
        await process.communicate()


@some_agents
async def test_a_token_in_the_proxys_credentials(
    agent: Agent, provider: Provider, operator: Operator, home: Home
) -> None:
    file = configure(operator, "token")
    secret, token = make_token(file)
    async with serving(file, operator.folder) as port:
        ca = operator.folder / "data" / "ca" / "mitmproxy-ca-cert.pem"
        variables = through(f"http://lockgate:{secret}@127.0.0.1:{port}", ca)
        ran = await run(
            agent.command("Touch the marker file, please."), agent.environment(home.folder) | variables, home.work
        )
    assert (ran.code, "done: " in ran.out) == (0, True), ran.err
    assert (home.work / MARKER).exists()
    sent = {request.header("x-api-key") or request.header("authorization") for request in provider.exchanges}
    assert not any(key in str(sent) for key in (*KEYS.values(), secret))
    await check(operator, provider, token, secret)


@pytest.mark.parametrize("agent", [AGENTS[0], AGENTS[1]], ids=str, indirect=True)
async def test_without_a_token_an_agent_says_what_is_missing(
    agent: Agent, provider: Provider, operator: Operator, home: Home
) -> None:
    file = configure(operator, "token")
    make_token(file)
    async with serving(file, operator.folder) as port:
        ca = operator.folder / "data" / "ca" / "mitmproxy-ca-cert.pem"
        ran = await run(
            agent.command("Touch the marker file, please."),
            agent.environment(home.folder) | through(f"http://127.0.0.1:{port}", ca),
            home.work,
        )
    assert "a token is needed" in ran.out + ran.err
    assert provider.exchanges == []
