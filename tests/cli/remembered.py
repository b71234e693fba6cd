"""A log in SQLite that `lockgate log` reads, and what it printed: the fixtures of its tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.log import app
from lockgate.records import Record
from tests.storage import logs


@pytest.fixture(autouse=True)
def database(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_DATABASE", sqlite_url)
    return sqlite_url


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `lockgate log …` and gives what it printed."""

    def run(*words: str) -> str:
        app(words, result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def remember(url: str, records: Sequence[Record]) -> None:
    asyncio.run(logs.remember(url, records))
