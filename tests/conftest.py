"""What every test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent.parent))  # `from tests.upstream import …`

from tests import postgres, valkey

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # no test fails because others keep the processor busy


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A real PostgreSQL, one for each worker of pytest-xdist, started by the first test that asks for it."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database of this test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file of this test's own, which does not exist yet."""
    return f"sqlite:///{tmp_path / 'lockgate.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this test's own; the test runs once for each kind of database."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[valkey.Valkey]:
    """A real Valkey, one for each worker; a test that kills it starts one of its own."""
    with valkey.running() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: valkey.Valkey) -> str:
    """The URL of a Valkey that holds nothing."""
    with valkey_server.client() as client:
        client.flushall()
    return valkey_server.url
