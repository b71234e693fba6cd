"""A desk on a database, an app at it, and clients that are logged in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from lockgate.access import passwords
from lockgate.access.administrators import Role
from lockgate.access.keyring import Keyring
from lockgate.activity import Activity
from lockgate.admin.app import make_app
from lockgate.admin.desk import Desk
from lockgate.admin.opening import open_desk
from lockgate.admin.proxy import Proxy
from lockgate.config import Config
from lockgate.health import Health
from lockgate.metrics import Metrics
from lockgate.parts import Parts
from lockgate.records import Record
from lockgate.storage import schema
from lockgate.storage.administrators import Administrators

RING = Keyring([b"r" * 32])
PASSWORD = "four quiet words here"
BASE = "http://127.0.0.1:8081"


class Trail:
    """An audit trail in memory."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def note(self, **entry: Any) -> None:
        self.entries.append(entry)

    @property
    def acts(self) -> Sequence[tuple[str, str, str]]:
        return [(each["who"], each["act"], each["outcome"]) for each in self.entries]


class Nowhere:
    """A log that forgets."""

    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        pass


def a_proxy(health: Health | None = None, metrics: Metrics | None = None) -> Proxy:
    """One in which nothing happens that is not told."""
    metrics = metrics or Metrics(["api.anthropic.com"])
    return Proxy(activity=Activity(Nowhere()), health=health or Health({}), metrics=metrics)


class Office:
    """One desk with its app."""

    def __init__(self, url: str, desk: Desk, app: FastAPI, trail: Trail) -> None:
        self.url, self.desk, self.app, self.trail = url, desk, app, trail

    def hire(self, name: str, role: Role, *, password: str | None = None) -> str:
        """A new administrator, and a key of theirs."""
        with Administrators(self.url, RING) as people:
            people.create(name, role, password=passwords.hashed(password) if password else None)
            return people.add_key(name)[0]

    def lose_database(self) -> None:
        """The SQLite file is not there any more."""
        Path(self.url.removeprefix("sqlite:///")).unlink()

    def client(self, key: str = "", **headers: str) -> httpx2.AsyncClient:
        """Over ASGI; with a key, or as nobody."""
        given = headers | ({"authorization": f"Bearer {key}"} if key else {})
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=BASE, headers=given)


@asynccontextmanager
async def office(url: str, home: Path, proxy: Proxy | None = None, **settings: Any) -> AsyncGenerator[Office, None]:
    """On this database, which is made where it is not there."""
    schema.upgrade(url)
    config = Config(database=url, home=home, admin={"listen": "127.0.0.1:8081"} | settings)  # pyright: ignore[reportArgumentType]
    trail = Trail()
    with ThreadPoolExecutor(1) as thread:
        parts = Parts()
        desk = open_desk(config, RING, thread, proxy or a_proxy(), parts, trail)
        try:
            yield Office(url, desk, make_app(desk), trail)
        finally:
            await parts.close()
