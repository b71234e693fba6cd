"""Runs the real command line as a user does, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

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
