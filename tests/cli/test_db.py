"""`lockgate db` makes the log's tables and tells their version."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from lockgate.cli.db import app
from lockgate.errors import StorageError
from lockgate.storage.schema import HEAD
from tests.cli import commands


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    commands.use(monkeypatch, database_url, tmp_path)
    return database_url


run = partial(commands.run, app)


def test_upgrade_makes_it_and_then_finds_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    run("upgrade")
    assert capsys.readouterr().out.strip().endswith(f"is ready (version {HEAD}).")
    run("upgrade")
    assert capsys.readouterr().out.strip().endswith(f"is up to date (version {HEAD}).")


def test_current_tells_the_version_and_makes_nothing(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    for found in (None, HEAD):
        run("current", "--json")
        assert json.loads(capsys.readouterr().out) == {"database": database, "version": found, "needed": HEAD}
        run("current")
        assert capsys.readouterr().out.strip().endswith(f": version {found}" if found else ": no log yet")
        run("upgrade")
        capsys.readouterr()


def test_a_database_that_cannot_be_opened_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_DATABASE", "sqlite:////dev/null/x.db")
    with pytest.raises(StorageError, match="cannot open database"):
        run("upgrade")
