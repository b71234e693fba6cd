"""The management API of a proxy, over TCP."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from lockgate.admin import guard, server
from lockgate.admin.management import Management
from lockgate.config import Config
from lockgate.errors import ConfigError
from lockgate.storage import schema
from lockgate.storage.administrators import Administrators
from tests.admin.desks import PASSWORD, RING, Trail, a_proxy

HEAD = b"POST /api/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def config(sqlite_url: str, tmp_path: Path) -> Config:
    schema.upgrade(sqlite_url)
    return Config(database=sqlite_url, home=tmp_path, admin={"listen": "127.0.0.1:0"})  # pyright: ignore[reportArgumentType]


@pytest.fixture
async def served(config: Config) -> AsyncIterator[Management]:
    management = Management(config, RING, a_proxy(), Trail())
    management.start()
    yield management
    await management.close()


@pytest.fixture
def key(config: Config) -> str:
    """Of somebody who may do everything."""
    with Administrators(config.database, RING) as people:
        people.create("ada", "admin")
        return people.add_key("ada")[0]


def client_of(management: Management, key: str = "") -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{management.port}", headers=headers, timeout=60)


async def answer_to(management: Management, *sent: bytes) -> tuple[int, bytes]:
    """The status and body of what comes back to these bytes, each sent by itself; 0 for nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", management.port)
    for part in sent:
        writer.write(part)
        await writer.drain()
    try:
        came = await reader.read()
    except ConnectionError:
        came = b""
    writer.close()
    head, _, body = came.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def code(body: bytes) -> str:
    return json.loads(body)["error"]["code"]


async def test_who_asks_before_all_is_imported_waits(served: Management):
    async with client_of(served) as client:
        refused = await client.get("/api/session")
    assert refused.status_code == 401
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert "server" not in refused.headers


async def test_an_administrator_does_their_work(served: Management, key: str):
    async with client_of(served, key) as client:
        answers = await asyncio.gather(*(client.post("/api/projects", json={"name": f"p{n}"}) for n in range(64)))
        assert [answer.status_code for answer in answers] == [201] * 64
        made = await client.post("/api/tokens", json={"project": "p1"})
        assert made.json()["token"].startswith("lg_")
        await client.post("/api/administrators", json={"name": "bob", "role": "viewer", "password": PASSWORD})
    async with client_of(served) as client:
        began = await client.post("/api/session", json={"name": "bob", "password": PASSWORD})
        assert began.status_code == 201
        assert (await client.get("/api/projects")).status_code == 200
        assert (await client.get("/api/administrators")).status_code == 403


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_http_has_the_same_shape(served: Management, sent: bytes):
    status, body = await answer_to(served, sent)
    assert (status, code(body)) == (400, "malformed")


async def test_a_head_that_is_too_large(served: Management):
    status, body = await answer_to(served, b"GET / HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 40_000 + b"\r\n\r\n")
    assert (status, code(body)) == (431, "head_too_large")


async def test_a_body_that_is_too_large_is_not_read_to_its_end(served: Management):
    status, body = await answer_to(served, HEAD + b"Content-Length: 99999999999\r\n\r\n{")
    assert (status, code(body)) == (413, "too_large")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    status, body = await answer_to(served, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 5)
    assert (status, code(body)) in ((413, "too_large"), (0, ""))


async def test_a_chunked_body_is_read_whole(served: Management, key: str):
    async def parts() -> AsyncIterator[bytes]:
        for part in (b'{"na', b'me": ', b'"shop"}'):
            yield part

    async with client_of(served, key) as client:
        headers = {"content-type": "application/json"}
        assert (await client.post("/api/projects", content=parts(), headers=headers)).status_code == 201


async def test_who_is_too_slow_is_not_waited_for(served: Management, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.1)
    async with client_of(served) as client:
        await client.get("/api/session")
    assert (await answer_to(served, b"GET / HTTP/1.1\r\nHost: loc"))[0] == 0
    assert (await answer_to(served))[0] == 0
    status, body = await answer_to(served, HEAD + b"Content-Length: 100\r\n\r\n{")
    assert (status, code(body)) == (408, "too_slow")


async def test_more_connections_than_that_are_not_held(served: Management, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    async with client_of(served) as client:
        await client.get("/api/session")
        assert (await answer_to(served, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 0


async def test_a_taken_address_is_told_at_once(served: Management, tmp_path: Path):
    taken = Config(database="sqlite:///x", home=tmp_path, admin={"listen": f"127.0.0.1:{served.port}"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"already in use.*say another address"):
        Management(taken, RING, a_proxy()).start()


async def printed(config: Config, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the start prints to standard error."""
    monkeypatch.setattr(sys, "stderr", terminal)
    management = Management(config, RING, a_proxy())
    management.start()
    async with client_of(management) as client:
        await client.get("/api/session")
    await management.close()
    return terminal.getvalue()


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
async def test_the_link_is_for_a_terminal_only(
    config: Config, kind: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    said = await printed(config, kind(), monkeypatch)
    assert "the console is at http://127.0.0.1:" in caplog.text
    assert ("/setup#lgx_" in said) == (kind is Terminal)
    assert ("lockgate admin create" in caplog.text) == (kind is not Terminal)
    assert "lgx_" not in caplog.text


async def test_there_is_no_link_where_there_is_somebody(config: Config, key: str, monkeypatch: pytest.MonkeyPatch):
    assert await printed(config, Terminal(), monkeypatch) == ""


async def test_it_ends_while_clients_are_connected(config: Config, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR)
    management = Management(config, RING, a_proxy())
    management.start()
    _, writer = await asyncio.open_connection("127.0.0.1", management.port)
    await management.close()
    writer.close()
    assert caplog.text == ""
