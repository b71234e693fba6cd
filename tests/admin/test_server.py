"""The management API of a real proxy, over TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from lockgate.admin.management import Management
from lockgate.config import Config
from lockgate.errors import ConfigError
from lockgate.storage import schema
from tests.admin.desks import RING, Trail


@pytest.fixture
async def served(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Management]:
    schema.upgrade(sqlite_url)
    config = Config(database=sqlite_url, home=tmp_path, admin={"listen": "127.0.0.1:0"})  # pyright: ignore[reportArgumentType]
    management = Management(config, RING, Trail())
    management.start()
    yield management
    await management.close()


async def answer_to(port: int, sent: bytes) -> tuple[int, bytes]:
    """The status and body of what comes back to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    came = await reader.read()
    writer.close()
    head, _, body = came.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def test_who_asks_before_all_is_imported_waits(served: Management):
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
        refused = await client.get("/api/session", timeout=30)
        assert refused.status_code == 401
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert "server" not in refused.headers


async def test_what_is_no_http_has_the_same_shape(served: Management):
    status, body = await answer_to(served.port, b"\x16\x03\x01\x00\x00\r\n\r\n")
    assert (status, json.loads(body)["error"]["code"]) == (400, "malformed")


async def test_a_taken_address_is_told_at_once(served: Management, tmp_path: Path):
    taken = Config(database="sqlite:///x", home=tmp_path, admin={"listen": f"127.0.0.1:{served.port}"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"already in use.*say another address"):
        Management(taken, RING).start()
