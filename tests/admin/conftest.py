"""Fixtures for tests of the management API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.desks import Office, office


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
