"""`lockgate admin`, as a user runs it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.token import ADMIN_PREFIX, is_token
from lockgate.cli.admin import app as admin
from lockgate.errors import Conflict, Error
from lockgate.storage import schema
from tests.cli.commands import Ran, use

PASSWORD = "four quiet words here"


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    use(monkeypatch, database_url, tmp_path)
    if database_url.startswith("postgresql"):
        schema.upgrade(database_url)
    return database_url


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def ran(*words: str, said: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        return Ran(capsys).text(admin, *words)

    return ran


def test_an_administrator_from_making_to_removing(run: Any):
    assert "No administrator yet" in run("list")
    made = json.loads(run("create", "Ada", "--role", "admin", "--json", said=PASSWORD + "\n"))
    assert (made["name"], made["has_password"]) == ("ada", True)
    assert "ada" in run("list")
    assert "bob is there, with the role viewer" in run("create", "bob", "--no-password")
    assert "role operator" in run("update", "bob", "--role", "operator", "--no-active")
    secret = run("key", "create", "bob", "--name", "deploy", "--for", "12h").strip()
    assert is_token(secret, ADMIN_PREFIX)
    (listed,) = json.loads(run("key", "list", "bob", "--json"))
    assert secret not in run("key", "list", "bob")
    assert "is removed" in run("key", "remove", "bob", listed["id"][-8:])
    assert "bob is removed" in run("remove", "bob")
    with pytest.raises(Conflict, match="the last active"):
        run("remove", "ada")


def test_what_does_not_fit(run: Any):
    with pytest.raises(Error, match="12 to 1,024"):
        run("create", "ada", said="short\n")
    with pytest.raises(Error, match="nothing to change"):
        run("update", "ada")
    with pytest.raises(Error, match="no administrator is called"):
        run("key", "create", "nobody")
