"""Runs the real command line as a user does, in a folder of its own; or one command in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

LOCKGATE = str(Path(sys.executable).with_name("lockgate"))
RUN_SECONDS = 60


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A home in the folder, and nothing of the developer's own."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LOCKGATE_HOME": str(folder / "data"), **more}


def lockgate(
    *arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run to the end. The exit code is checked, unless it is None."""
    ran = subprocess.run(
        [LOCKGATE, *map(str, arguments)],
        cwd=folder,
        env=environment(folder, **(env or {})),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert code is None or ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return ran


def start(arguments: Sequence[str | Path], folder: Path, **more: str) -> subprocess.Popen[str]:
    """Start in the background, with its output in pipes."""
    return subprocess.Popen(
        [LOCKGATE, *map(str, arguments)],
        cwd=folder,
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(app: Any, *words: str) -> Any:
    """In this process; what goes wrong is raised."""
    return app(words, result_action="return_value", exit_on_error=False)


class Ran:
    """Runs a command in this process and gives what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self, app: Any, *words: str) -> str:
        self._capsys.readouterr()
        run(app, *words)
        return self._capsys.readouterr().out

    def json(self, app: Any, *words: str) -> Any:
        return json.loads(self.text(app, *words, "--json"))


def use(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    """From now on, commands in this process are given this database and this folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_DATABASE", url)
    monkeypatch.setenv("LOCKGATE_HOME", str(folder / "home"))
