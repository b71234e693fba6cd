"""Who a spill's files belong to: a lock file per writer, locked by the kernel for as long as its process lives.

The files of one writer share its name; `NAME.lock` is made before the first of them and goes after the last.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate.records import new_id

SUFFIX = ".lock"
DATA = ".spill"


@dataclass(frozen=True, slots=True)
class Claim:
    """A writer's files in `folder` are ours until `release`, or until this process ends in any way."""

    folder: Path
    name: str
    handle: int

    def release(self) -> None:
        """Nothing is left of this writer."""
        with contextlib.suppress(OSError):
            (self.folder / (self.name + SUFFIX)).unlink()
        os.close(self.handle)

    def leave(self) -> None:
        """What is left of this writer is for the next start."""
        os.close(self.handle)


def make(folder: Path) -> Claim:
    """A new writer's claim. Raises OSError."""
    while True:
        name = f"{new_id()}-{os.getpid()}"
        if claim := _lock(folder, name):
            return claim


def dead(folder: Path) -> Iterator[Claim]:
    """The claims of writers whose processes have ended, oldest first. Raises OSError."""
    for name in sorted({path.name.partition(".")[0] for path in folder.iterdir() if path.suffix in (SUFFIX, DATA)}):
        if claim := _lock(folder, name):
            yield claim


def _lock(folder: Path, name: str) -> Claim | None:
    """None where a living process holds it, or where another start has just cleaned it away."""
    path = folder / (name + SUFFIX)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(handle).st_ino:  # else a name that no other start can see
            return Claim(folder, name, handle)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
