"""`lockgate db prune`, `backup`, `restore` and `check`, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.db import app
from lockgate.cli.prune import bytes_of, size
from lockgate.config import Retention, load_config
from lockgate.errors import ConfigError, Error
from lockgate.records import Record
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.log import SqlLog, spill_folder
from lockgate.storage.notes import Notes
from lockgate.storage.spill import Spill
from tests.cli import commands
from tests.storage.records import whole_exchange
from tests.storage.test_prune import aged


@pytest.fixture(autouse=True)
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    commands.use(monkeypatch, database_url, tmp_path)
    schema.upgrade(database_url)
    return database_url


run = partial(commands.run, app)


def remember(url: str, *exchanges: Sequence[Record]) -> None:
    import asyncio

    async def write() -> None:
        log = SqlLog(url)
        log.start()
        for records in exchanges:
            log.put(records)
        assert await log.close(60) == []

    asyncio.run(write())


def test_prune_tells_what_would_go_and_what_went(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, kept = aged(whole_exchange(), 40), aged(whole_exchange(session_id="s-2"), 40)
    remember(database, old, kept, aged(whole_exchange(session_id="s-3"), 1))
    with Notes(database) as notes:
        notes.label("session", "s-2", add=["incident"])
    run("prune", "--older-than", "30d", "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["dry_run"], told["exchanges"], told["kept"]) == (True, 1, {"incident": 1})
    assert told["rows"] == {"comm": 4, "comm_relationship": 3, "decision": 1, "exchange": 1}
    run("prune", "--older-than", "30d", "--archive", "kept")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 exchange went, of 20")
    assert any(line.split()[:3] == ["comm", "4", "rows"] for line in lines)
    assert "1 kept by the label incident" in lines
    (path,) = Path("kept").glob("lockgate-*.jsonl.zst")
    assert f"archived in {path}" in lines
    run("prune", "--older-than", "30d", "--keep-label", "none")
    assert capsys.readouterr().out.startswith("1 exchange went")
    run("restore", str(path))
    assert ": 1 exchanges of the archive that was made at " in capsys.readouterr().out


def test_prune_goes_by_the_configuration(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remember(database, aged(whole_exchange(), 40))
    with pytest.raises(Error, match="give --older-than or --larger-than, or configure `retention`"):
        run("prune")
    Path("lockgate.yaml").write_text("retention: {days: 30, archive: kept, keep_labels: [x]}\n")
    assert load_config().retention == Retention(days=30, archive=tmp_path / "kept", keep_labels=["x"])
    run("prune", "--older-than", "100d")
    assert capsys.readouterr().out.startswith("0 exchanges went")
    run("prune")
    assert capsys.readouterr().out.startswith("1 exchange went")
    assert list((tmp_path / "kept").iterdir())
    Path("lockgate.yaml").write_text("retention: {days: 0}\n")
    with pytest.raises(ConfigError, match=r"option 'retention\.days'"):
        load_config()


def test_prune_says_when_no_more_may_go(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    remember(database, aged(whole_exchange(), 0))
    run("prune", "--larger-than", "1kB")
    assert "nothing more may go" in capsys.readouterr().out


def test_backup_and_restore(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    remember(database, whole_exchange())
    spill = Spill(spill_folder(tmp_path / "home" / "spill", parse(database)))
    spill.open()
    spill.append(whole_exchange())
    run("backup", "log.jsonl.zst")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("log.jsonl.zst: 1 exchanges, 11 rows, ")
    assert second.startswith("besides, 9 records (")
    spill.close()
    monkeypatch.setenv("LOCKGATE_DATABASE", f"sqlite:///{tmp_path / 'fresh.db'}")
    run("restore", "log.jsonl.zst")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'fresh.db'}: 1 exchanges of the backup that was made at ")


def test_check_ends_with_1_where_something_is_wrong(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    remember(database, whole_exchange(outcome="passed"), aged(whole_exchange(outcome="open", usage=None), 3))
    with pytest.raises(SystemExit) as wrong:
        run("check")
    assert wrong.value.code == 1
    assert "WRONG: 1 exchanges are open for more than a day" in capsys.readouterr().out
    with pytest.raises(SystemExit) as right:
        run("check", "--all", "--repair", "--json")
    assert right.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["wrong"] == []
    assert "1 exchanges that were left open now end as `cut`" in told["known"]


@pytest.mark.parametrize(
    ("text", "count"), [("10", 10), ("1.5 kB", 1500), ("10GB", 10**10), ("2GiB", 2**31), ("3m", 3_000_000)]
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert bytes_of(text) == count
    with pytest.raises(Error, match="is no size: give 500MB"):
        bytes_of(f"{text} much")


def test_sizes_are_told() -> None:
    assert [size(count) for count in (0, 999, 1500, 10**10, 10**13)] == [
        *("0 bytes", "999 bytes", "1.5 kB", "10.0 GB", "10,000.0 GB")
    ]
