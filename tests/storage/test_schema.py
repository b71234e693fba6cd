from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lockgate.errors import StorageError
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.migrations.run import alembic_config
from lockgate.storage.models import Base, is_modelled

ROOT = Path(__file__).parents[2]


def execute(url: str, *statements: str) -> None:
    address = parse(url)
    if address.kind == "postgresql":
        with psycopg.connect(url) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return
    with contextlib.closing(sqlite3.connect(address.path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # SQLite's indexes of expressions
def test_models_and_migrations_agree(database_url: str) -> None:
    schema.upgrade(database_url)
    engine = writer_engine(parse(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "include_name": is_modelled}
        )
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_listed_revisions_are_the_chain() -> None:
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(schema.REVISIONS))


def test_an_upgrade_tells_the_version_it_found(database_url: str) -> None:
    assert schema.upgrade(database_url) is None
    assert schema.upgrade(database_url) == schema.HEAD
    schema.require_current(parse(database_url))


@pytest.mark.parametrize("version", ["", *schema.REVISIONS[:-1]])
def test_several_upgrades_at_once_do_it_once(database_url: str, version: str) -> None:
    if version:
        schema.upgrade(database_url, to=version)
        assert schema.version(parse(database_url)) == version
    program = "import sys; from lockgate.storage.schema import upgrade; sys.stdin.readline(); upgrade(sys.argv[1])"
    command = [sys.executable, "-W", "error", "-c", program, database_url]
    runs = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write(b"\n")
        run.stdin.flush()
    endings = [(*run.communicate(), run.returncode) for run in runs]
    assert endings == [(b"", b"", 0)] * 4
    assert schema.version(parse(database_url)) == schema.HEAD


def test_a_newer_database_is_refused(database_url: str) -> None:
    schema.upgrade(database_url)
    execute(database_url, f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    for use in (schema.upgrade, lambda url: schema.require_current(parse(url))):
        with pytest.raises(StorageError, match=r"newer Lockgate \(version 9999.*update Lockgate"):
            use(database_url)


def test_an_older_database_is_refused_until_it_is_upgraded(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(database_url)
    before = schema.HEAD
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9998"))
    monkeypatch.setattr(schema, "HEAD", "9998")
    sentence = rf"has version {before} and this Lockgate needs 9998: run `lockgate db upgrade`"
    with pytest.raises(StorageError, match=sentence):
        schema.require_current(parse(database_url))


def test_a_foreign_database_is_refused_and_left_alone(database_url: str) -> None:
    execute(database_url, "CREATE TABLE alembic_version (version_num VARCHAR(32))", "CREATE TABLE users (id INT)")
    with pytest.raises(StorageError, match=r"belongs to another program \(it has the table 'alembic_version'"):
        schema.upgrade(database_url)
    with pytest.raises(StorageError, match="belongs to another program"):
        schema.version(parse(database_url))


def test_a_database_that_is_not_there_is_not_made_by_looking(sqlite_url: str) -> None:
    address = parse(sqlite_url)
    with pytest.raises(StorageError, match=rf"no log yet in {re.escape(str(address.path))}: `lockgate run`"):
        schema.require_current(address)
    assert not address.path.exists()


def test_a_new_file_and_its_new_folder_are_the_owners(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "new" / "lockgate.db"
    schema.upgrade(f"sqlite:///{file}")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path, file.parent, file)]
    assert modes == [0o755, 0o700, 0o600]


def test_a_file_that_is_no_database_is_refused(sqlite_url: str) -> None:
    parse(sqlite_url).path.write_text("word " * 1000)
    with pytest.raises(StorageError, match=r"cannot open database sqlite:///.*file is not a database; check that"):
        schema.upgrade(sqlite_url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot open database sqlite:///.*file/x\.db: .*; check that the folder"):
        schema.upgrade(f"sqlite:///{tmp_path}/file/x.db")


def test_a_server_that_is_away_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"postgresql://u:\*\*\*@/db\?host=.*check that the server runs") as refusal:
        schema.upgrade(f"postgresql://u:hush@/db?host={tmp_path}")
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize("module", ["log", "schema", "address", "backlog"])
def test_importing_is_cheap(module: str) -> None:
    heavy = ("sqlalchemy", "alembic", "psycopg", "aiosqlite")
    program = f"import sys, lockgate.storage.{module}; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
