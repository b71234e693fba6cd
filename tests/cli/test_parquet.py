"""`lockgate log export --format parquet` gives notebooks one row for each exchange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from lockgate.cli import parquet as module
from lockgate.cli.log import app
from lockgate.errors import Error
from lockgate.records import Comm, Relation
from lockgate.storage.notes import Notes
from tests.storage.records import START, comm, decision
from tests.storage.talks import exchange, execute, remember, says, user
from tests.storage.test_prune import answer, asked


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_DATABASE", database_url)
    return database_url


def export(*words: str) -> None:
    app(["export", "--format", "parquet", *words], result_action="return_value", exit_on_error=False)


async def a_log(url: str) -> list[str]:
    odd = json.dumps(asked(user("\ud800 \x00 \U0001f600"))).encode()
    first = exchange(
        asked(user("One."), says("Two."), user("Three.")), answer("rm -rf"), session_id="s-2", error="\ud800"
    )
    came = first[2]
    assert isinstance(came, Comm)
    gave = comm(came.exchange_id, type="RESPONSE", endpoint=came.endpoint, content=json.dumps(answer("No.")).encode())
    first += [gave, Relation(from_comm_id=came.id, to_comm_id=gave.id, type="modified_to"), decision(came.exchange_id)]
    rest = [exchange(odd, answer("Four.")), exchange(b"{", None)]
    await remember(url, first, *rest)
    with Notes(url) as notes:
        notes.label("session", "s-2", add=["incident"])
    return [str(records[0].id) for records in (first, *rest)]


def written(path: Path) -> list[dict[str, Any]]:
    return parquet.read_table(path).to_pylist()


async def test_a_row_has_what_a_notebook_asks_for(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = await a_log(database)
    file = tmp_path / "log.parquet"
    await _run("--output", str(file))
    assert capsys.readouterr().out == f"3 exchanges in {file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    first, second, third = written(file)
    assert [first["id"], second["id"], third["id"]] == ids
    assert (first["started_at"], first["input_tokens"], first["rules"]) == (START, 10, ["no-touch", "mask"])
    assert (first["session_labels"], first["labels"], first["error"]) == (["incident"], [], "\ufffd")
    assert first["messages"] == [
        {"part": "request", "role": "user", "text": "Three."},
        {"part": "reply", "role": "assistant", "text": "No."},
        {"part": "original", "role": "assistant", "text": "rm -rf"},
    ]
    assert [one["rule"] for one in first["decisions"]] == ["no-touch"]
    assert second["messages"][0]["text"] == "\ufffd \x00 \U0001f600"
    assert [one["role"] for one in third["messages"]] == ["unread"]


async def test_what_cannot_be_read_back_says_so(database: str, tmp_path: Path) -> None:
    await a_log(database)
    execute(database, "UPDATE thread SET parent = hash WHERE depth = 1")
    await _run("--output", str(tmp_path / "x"))
    assert written(tmp_path / "x")[0]["messages"][0]["role"] == "damaged"
    assert "does not follow from its parent" in written(tmp_path / "x")[0]["messages"][0]["text"]


async def test_rows_are_written_in_groups(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 2)
    await a_log(database)
    await _run("--output", str(tmp_path / "x"))
    assert parquet.ParquetFile(tmp_path / "x").metadata.num_row_groups == 2


async def test_no_exchange_is_a_table_too(database: str, tmp_path: Path) -> None:
    await a_log(database)
    await _run("--output", str(tmp_path / "x"), "--model", "none")
    table = parquet.read_table(tmp_path / "x")
    assert (table.num_rows, table.schema.equals(module.schema(module.require_pyarrow()[0]))) == (0, True)


async def test_it_needs_a_file(database: str, tmp_path: Path) -> None:
    await a_log(database)
    with pytest.raises(Error, match="name a new file with --output"):
        export()
    (tmp_path / "x").write_text("")
    with pytest.raises(Error, match="exists already"):
        export("--output", str(tmp_path / "x"))


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Error, match=r"Parquet needs pyarrow: install `lockgate\[parquet\]`"):
        export("--output", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


async def _run(*words: str) -> None:
    import asyncio

    await asyncio.to_thread(export, *words)
