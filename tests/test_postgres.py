"""The PostgreSQL of the tests: real, one database per test, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests import postgres

pytestmark = pytest.mark.postgres
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}


def test_each_test_gets_an_empty_database(database_url: str) -> None:
    url = make_url(database_url)
    engine = create_engine(url.set(drivername=DRIVERS[url.drivername]))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE only_here (word TEXT)"))
        connection.execute(text("INSERT INTO only_here VALUES ('Grüße')"))
    with engine.begin() as connection:
        assert connection.execute(text("SELECT word FROM only_here")).scalars().all() == ["Grüße"]
    engine.dispose()


def test_the_next_test_does_not_see_it(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_a_database_can_start_as_a_copy(postgres_server: postgres.Postgres, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE copied (number INT)")
    template = make_url(postgres_url).database
    assert template is not None
    with postgres_server.database(template) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (0,)


def test_a_database_goes_although_someone_is_connected(postgres_server: postgres.Postgres) -> None:
    name = postgres_server.create()
    with psycopg.connect(postgres_server.url(name)) as connection:
        postgres_server.drop(name)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_the_server_dies_with_a_test_run_that_is_killed() -> None:
    program = """
        import time
        from tests import postgres
        with postgres.running() as server:
            print((server.folder / "data" / "postmaster.pid").read_text().split()[0], server.folder, flush=True)
            input()
    """
    root = Path(__file__).parent.parent
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        server = psutil.Process(int(pid))
        os.kill(run.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs([server], timeout=30)
    shutil.rmtree(folder)
    assert (gone, alive) == ([server], [])
