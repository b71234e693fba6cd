"""What a process has used, read from the kernel: CPU of all its threads, to the nanosecond, and resident memory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import Error


class BenchError(Error):
    """A benchmark cannot be run."""


def check_system() -> None:
    """Raise BenchError where the kernel does not tell what is measured here."""
    if not sys.platform.startswith("linux"):
        raise BenchError("the benchmark reads a process's CPU clock and /proc, which Linux has: run it there")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, with all threads it has or had."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python does not offer


def resident_bytes(pid: int) -> int:
    """Memory that the process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[set[int], set[int]]:
    """One core for the proxy and the others for who talks to it; the same ones where there is only one."""
    usable = os.sched_getaffinity(0)
    proxy = {max(usable)}
    return proxy, (usable - proxy) or usable


@contextmanager
def pinned(to: set[int]) -> Generator[None]:
    """What is started inside runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
