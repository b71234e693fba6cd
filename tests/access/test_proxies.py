"""Two proxies on one database and one Redis, and more clients than there are requests for."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.grant import Allow, Grant, Limits
from lockgate.access.keyring import KEY_FILE, open_keyring
from lockgate.access.tokens import ENDED
from lockgate.storage import schema
from lockgate.storage.access import Access
from tests import postgres, valkey
from tests.addons.messages import ASK, PATH, end, stream, text
from tests.cli.test_kill import serving
from tests.storage.logs import until
from tests.upstream.proxied import H1Client, Tls, running_provider, soon, tls, tunnel
from tests.upstream.steered import Provider
from tests.valkey import Valkey

__all__ = ["tls"]

HOST = "api.anthropic.com"
QUOTA, CLIENTS = 1000, 64
SAID = stream(text(0, "So"), end("end_turn"))
BREATH_SECONDS = 0.05
DURABLE = (*postgres.SETTINGS, "synchronous_commit=on")
"""A server that loses nothing it has acknowledged when it is killed."""


@dataclass
class Database:
    """One that a test may start again; SQLite has nothing to start."""

    url: str
    start: Callable[[], AbstractContextManager[None]] | None = field(default=None)
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def restart(self) -> None:
        """It is killed, and keeps what it has acknowledged."""
        if self.start:
            self.running.close()
            self.running.enter_context(self.start())


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Database]:
    if request.param == "sqlite":
        yield Database(sqlite_url)
        return
    with tempfile.TemporaryDirectory(prefix="lockgate-pg-") as name:  # a socket's name may not be long
        folder = Path(name)
        binaries = postgres.binaries_for(folder)
        postgres.initialise(binaries, folder)
        server = postgres.Postgres(folder=folder)
        found = Database(server.url(), lambda: postgres.serving(binaries, folder, DURABLE))
        with found.running:
            found.running.enter_context(postgres.serving(binaries, folder, DURABLE))
            yield found


@dataclass
class Crowd:
    """Clients that ask until nothing is left, and what they were told."""

    passed: int = 0
    told: Counter[str] = field(default_factory=Counter[str])

    async def ask(self, client: H1Client) -> None:
        while True:
            reply = await (await client.send(ASK, {"x-api-key": "sk-own"}, path=PATH)).over()
            if reply.status == 200:
                assert reply.complete
                assert reply.body == SAID
                self.passed += 1
            elif ENDED["exhausted"].encode() in reply.body:
                return
            else:  # the database is away for a moment
                self.told[f"{reply.status} {reply.body.decode()}"] += 1
                await asyncio.sleep(BREATH_SECONDS)


async def answering(provider: Provider) -> None:
    async with asyncio.TaskGroup() as group:
        while True:
            served = await provider.next()
            group.create_task(served.reply(SAID))


async def disturb(crowd: Crowd, server: Valkey, database: Database) -> None:
    """What can be away is away once, in the middle."""
    await until(lambda: crowd.passed >= 200)
    await asyncio.to_thread(server.kill)
    await until(lambda: crowd.passed >= 350)
    await asyncio.to_thread(server.start)
    await until(lambda: crowd.passed >= 600)
    await asyncio.to_thread(database.restart)


@contextlib.asynccontextmanager
async def crowded(ports: list[int], tls: Tls, secret: str) -> AsyncIterator[list[H1Client]]:
    shown = {"proxy-authorization": f"Basic {b64encode(f'lockgate:{secret}'.encode()).decode()}"}
    clients: list[H1Client] = []
    for number in range(CLIENTS):
        reader, writer = await tunnel(ports[number % len(ports)], HOST, 443, tls.for_client("h1"), shown)
        clients.append(H1Client(reader, writer, HOST))
    yield clients
    for client in clients:
        client.close()


def settings_of(database: Database, tls: Tls, provider: Provider, redis: str, key: Path) -> dict[str, Any]:
    upstream = {"upstream": f"https://127.0.0.1:{provider.port}", "upstream_ca": str(tls.provider_ca)}
    return {
        "database": database.url, "ca": str(tls.confdir), "rules": [],
        "hosts": {HOST: {"format": "anthropic", **upstream}},
        "access": {"key_file": str(key), "limits": {"redis": redis, "all": {"concurrent": CLIENTS}}},
    }  # fmt: skip


@pytest.mark.timeout(300)  # about 20 seconds on a free machine
@pytest.mark.parametrize(
    ("database", "disturbed"),
    [
        ("sqlite", True),
        pytest.param("postgresql", False, marks=pytest.mark.postgres),
        pytest.param("postgresql", True, marks=pytest.mark.postgres),
    ],
    indirect=["database"],
)
async def test_of_many_clients_at_two_proxies_exactly_so_many_pass_as_a_token_is_good_for(
    database: Database, tls: Tls, tmp_path: Path, disturbed: bool
) -> None:
    tls.confdir.chmod(0o700)
    for each in tls.confdir.iterdir():
        each.chmod(0o600)
    schema.upgrade(database.url)
    keyring, crowd = open_keyring(tmp_path), Crowd()
    grant = Grant(allow=Allow(models=("claude-*",)), limits=Limits(requests_per_minute=10**6, concurrent=CLIENTS))
    with Access(database.url, keyring) as access:
        access.create_project("shop")
        secret, token = access.create_token("shop", lifetime=timedelta(hours=1), request_quota=QUOTA, grant=grant)
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(running_provider(tls))
        replying = asyncio.create_task(answering(provider))
        stack.callback(replying.cancel)
        server = stack.enter_context(valkey.running())
        settings = settings_of(database, tls, provider, server.url, tmp_path / KEY_FILE)
        ports = [await stack.enter_async_context(serving(tmp_path / name, settings)) for name in ("one", "two")]
        async with crowded(ports, tls, secret) as clients, asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(crowd.ask(client))
            if disturbed:
                group.create_task(disturb(crowd, server, database))
        assert provider.requests == crowd.passed
        with server.client() as redis:
            await soon(until(lambda: redis.zcard(f"lockgate:{{limits}}:token:{token.id}:leases") == 0))
    assert not replying.done()
    with Access(database.url, keyring) as access:
        assert access.token(token.id).requests == QUOTA
    # A commit whose answer was lost with the database counts, and nobody was let in for it: one for each proxy at most.
    lost = len(ports) if disturbed and database.start else 0
    assert QUOTA - lost <= crowd.passed <= QUOTA, crowd.told
    assert disturbed or not crowd.told
