"""Running an agent to its end, and what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARKER = "marker-file"  # what the scripted model wants touched
RUN_SECONDS = 90  # shorter than a test's own limit, so that what was printed is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where an agent lives: its home, and the folder that it works in."""

    folder: Path
    work: Path

    @classmethod
    def make(cls, folder: Path) -> Home:
        """Makes both; the work stands outside of the home, as agents treat a home with care."""
        home = cls(folder=folder / "home", work=folder / "work")
        home.folder.mkdir(parents=True)
        home.work.mkdir()
        return home


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A process that has ended."""

    code: int
    out: str
    err: str


async def run(command: Sequence[str], environment: Mapping[str, str], work: Path) -> Ran:
    """Runs a command without a terminal or input, in a session of its own; none of it is left running afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=work, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    told = asyncio.ensure_future(process.communicate())
    try:
        out, err = await asyncio.wait_for(asyncio.shield(told), RUN_SECONDS)
    except TimeoutError:
        _kill(process.pid)
        out, err = await told
        raise AssertionError(f"{command[0]} still ran after {RUN_SECONDS} s; it said: {out!r} {err!r}") from None
    finally:
        _kill(process.pid)
    assert process.returncode is not None
    return Ran(code=process.returncode, out=out.decode(), err=err.decode())


def _kill(session: int) -> None:
    """Ends the agent and whatever it started, as far as it is still there."""
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
