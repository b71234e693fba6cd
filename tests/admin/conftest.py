"""Fixtures for tests of the management API."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from lockgate.access import passwords
from lockgate.storage import schema
from tests.admin.desks import Office, office


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser does takes long where the machine does much else, and is no failure by that."""
    for item in items:
        if item.get_closest_marker("browser") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at here is who may enter, and not how long it takes to guess."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file as migrations make it, to be copied."""
    path = tmp_path_factory.mktemp("admin") / "new.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, new_database: Path) -> str:
    """The URL of an SQLite file of this test's own, which is up to date."""
    shutil.copy(new_database, tmp_path / "lockgate.db")
    return f"sqlite:///{tmp_path / 'lockgate.db'}"


@pytest.fixture
async def here(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """A desk on an SQLite file."""
    async with office(sqlite_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def anywhere(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """A desk on each kind of database."""
    async with office(database_url, tmp_path) as opened:
        yield opened
