"""The processes of a benchmark: started on their cores, waited for, and ended. Only what was started here is ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate.bench.usage import BenchError, pinned

START_SECONDS = 60.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.002
LOG_CHARS = 2_000
"""How much of what a proxy said last is told when it does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A running proxy: where it listens, and the file with the authority that its clients trust."""

    name: str
    port: int
    pid: int
    target: str
    authority: Path
    start_seconds: float

    def job(self, do: str, **job: Any) -> dict[str, Any]:
        """A job for the load client, against this proxy."""
        return {"do": do, "port": self.port, "pid": self.pid, "target": self.target, "ca": str(self.authority), **job}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a proxy is started. `{port}` in the command stands for the port that it is to listen on."""

    name: str
    command: Sequence[str]
    target: str
    """What a client names in its CONNECT."""
    authority: Path
    folder: Path
    environment: Mapping[str, str]

    @contextmanager
    def running(self, on: set[int]) -> Generator[Proxy]:
        """The proxy from the moment it listens. Raises BenchError with its last words where it does not."""
        port = free_port()
        command = [part.replace("{port}", str(port)) for part in self.command]
        log = self.folder / f"{self.name}.log"
        with log.open("ab") as output, pinned(on):
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=self.folder, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            if not _listens(port, process):
                raise BenchError(f"{self.name} did not start to listen: {log.read_text()[-LOG_CHARS:]}")
            seconds = time.perf_counter() - began
            yield Proxy(
                name=self.name, port=port, pid=process.pid, target=self.target, authority=self.authority,
                start_seconds=seconds,
            )  # fmt: skip
        finally:
            stop(process)


class Helper:
    """A process that answers lines of JSON with lines of JSON. It ends when its standard input does."""

    def __init__(self, module: str, *arguments: str, on: set[int]) -> None:
        command = [sys.executable, "-m", module, *arguments]
        with pinned(on):
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, job: Mapping[str, Any]) -> Any:
        """Raises BenchError for a job that could not be done."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:
        """The next thing it says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        found: Any = json.loads(line) if line else {"error": "a helper process ended"}
        if "error" in found:
            raise BenchError(f"the measurement failed: {found['error']}")
        return found

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        stop(self._process)
        self._process.stdout.close()


def stop(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and end it where it takes too long."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def clean_environment() -> dict[str, str]:
    """The environment without what would change a proxy's behaviour."""
    left_out = ("LOCKGATE_", "SSLKEYLOGFILE", "MITMPROXY_")
    proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    return {k: v for k, v in os.environ.items() if not k.startswith(left_out) and k.lower() not in proxies}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _listens(port: int, process: subprocess.Popen[Any]) -> bool:
    give_up = time.perf_counter() + START_SECONDS
    while time.perf_counter() < give_up and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        time.sleep(POLL_SECONDS)
    return False
