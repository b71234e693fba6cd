"""Files that another process may read at any time: each appears whole or not at all."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import ConfigError


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Makes the file hold this data, and leaves it untouched where it already does."""
    with writing(path):
        if path.is_file() and path.read_bytes() == data:
            return
        with _staged(path, data, mode) as staged:
            staged.replace(path)


def create(path: Path, data: bytes) -> None:
    """Makes the file with mode 0600 unless it exists: of several processes that try at once, one succeeds."""
    with writing(path), _staged(path, data, 0o600) as staged:
        try:
            path.hardlink_to(staged)
        except FileExistsError:
            return


def check_private(path: Path, mode: int, *, who: str, remedy: str) -> None:
    """Raises ConfigError for what belongs to another user, or is open to others beyond this mode.

    The sentence says `who` gains by that, and the `remedy` where they already could.
    """
    with writing(path):
        status = path.stat()
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{path} belongs to user {status.st_uid} and not to user {os.geteuid()}, who runs this: "
            "give it to him with chown, or configure another folder"
        )
    if status.st_mode & 0o777 & ~mode:
        raise ConfigError(
            f"{path} is open to others (mode {status.st_mode & 0o777:04o}), and {who}: run 'chmod {mode:o} "
            f"{shlex.quote(str(path))}'; if others could have read it, {remedy}"
        )


@contextmanager
def writing(path: Path) -> Generator[None, None, None]:
    """Turns what the operating system refuses into a ConfigError that names the path."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; "
            f"make {path.parent} a folder that you own and may write to, or configure another"
        ) from error


@contextmanager
def reading(path: Path) -> Generator[None, None, None]:
    """Turns what the operating system refuses into a ConfigError that names the path."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read {path}: {reason}; see that it is a file that you may read") from error


@contextmanager
def _staged(path: Path, data: bytes, mode: int) -> Generator[Path, None, None]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
