"""Where a recording is made: a throw-away project in a neutral folder, a client, and a provider that knows its lines.

Unlike the scripts of tests, lines are said in order, to each role its own: whatever asks for more than was written, or
leaves lines unsaid, fails the recording.
"""

from __future__ import annotations

import platform
import random
import re
import shutil
import struct
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tests.clients.agents import through
from tests.clients.forwarder import Forwarder
from tests.clients.running import Ran, run
from tests.recorded.lines import PROJECT_FILES
from tests.recorded.recordings import Recording, Run
from tests.recorded.taping import Tape
from tests.upstream.received import Received
from tests.upstream.script import Answer, Failure, Script
from tests.upstream.side_calls import side_answer
from tests.upstream.tls import PROVIDER_NAMES, Authority

FOLDER = Path("/tmp/dev")
"""No folder of a person's or of a test's: its name stands in every request."""
HOME, PROJECT = FOLDER / "home", FOLDER / "project"
KERNEL = b"6.12.0"
_SYSTEM = re.compile(rb"\([A-Z][A-Za-z ]+ [\d.]+; (?=\w+\) )")
"""The distribution, as Codex's user agent names it: `(Debian 12.0.0; x86_64) `."""

type Casting = Callable[[Received], str]
"""The role of a request that carries a conversation."""


@dataclass(kw_only=True)
class Stage:
    """A provider that says the lines of the run that is on, and the client's way to it."""

    client: str
    casting: Casting
    environment: Mapping[str, str]
    proxy: dict[str, str] = field(default_factory=dict[str, str])
    runs: list[Run] = field(default_factory=list[Run])
    roles: dict[int, str] = field(default_factory=dict[int, str])
    lines: dict[str, deque[Answer | Script]] = field(default_factory=dict[str, deque[Answer | Script]])
    faults: list[str] = field(default_factory=list[str])
    tape: Tape = field(init=False)

    def script(self, received: Received) -> Answer:
        role = self.casting(received)
        self.roles[received.number] = role
        if left := self.lines.get(role):
            line = left.popleft()
            return line(received) if callable(line) else line
        self.faults.append(f"no line for {role} in request {received.number}")
        return Failure(400, self.faults[-1], "invalid_request_error")  # no client asks again

    def side(self, received: Received) -> Answer | None:
        """Answers what carries no conversation; all else is the script's."""
        return side_answer(received) if received.format is None else None

    def open(self, name: str, kind: Literal["start", "resume", "fork", "rewind", "compact"], of: str = "") -> None:
        self.tape.run = name
        self.runs.append(Run(name=name, kind=kind, of=of))

    def expect(self, lines: Mapping[str, Sequence[Answer | Script]]) -> None:
        for role, answers in lines.items():
            self.lines[role] = deque(answers)

    def over(self, said: str) -> None:
        """Fails where lines were left unsaid."""
        unsaid = [f"{len(left)} lines for {role} were not said" for role, left in self.lines.items() if left]
        wrong = "; ".join(unsaid + self.faults)
        assert not wrong, f"{self.client}, run {self.tape.run}: {wrong}: {said}"

    @property
    def is_quiet(self) -> bool:
        """Whether every reply has ended."""
        return self.tape.endings.keys() == self.tape.taped.keys()

    async def act(self, command: Sequence[str]) -> Ran:
        """Runs the client to its end; all lines have to be said."""
        ran = await run(command, {**self.environment, **self.proxy}, PROJECT)
        self.over(f"{ran.out} {ran.err}")
        assert ran.code == 0, f"{self.client}, run {self.tape.run}: {ran.out} {ran.err}"
        return ran

    def recording(self, client: str, version: str) -> Recording:
        return Recording(
            client=client,
            version=version,
            recorded_at=datetime.now(UTC).strftime("%Y-%m-%d"),
            runs=tuple(self.runs),
            roles=self.roles,
            exchanges=tuple(self.tape.taped[number] for number in sorted(self.tape.taped)),
        )


@asynccontextmanager
async def staged(client: str, casting: Casting, environment: Callable[[Path], dict[str, str]]) -> AsyncGenerator[Stage]:
    """Builds the folder and takes it away again. Raises FileExistsError where there is one already."""
    FOLDER.mkdir()  # noqa: ASYNC240
    try:
        _build_project()
        authority = Authority.make(FOLDER)
        stage = Stage(client=client, casting=casting, environment=environment(HOME) | {"TZ": "UTC"})
        certificate = authority.leaf(*PROVIDER_NAMES)
        async with (
            Tape(stage.script, certificate=certificate, neutral=neutral, side=stage.side) as stage.tape,
            Forwarder(PROVIDER_NAMES, stage.tape.port) as forwarder,
        ):
            stage.proxy = through(forwarder.url, authority.ca_file)
            yield stage
    finally:
        shutil.rmtree(FOLDER)


def _build_project() -> None:
    for name, text in PROJECT_FILES.items():
        file = PROJECT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (PROJECT / "receipt.png").write_bytes(_picture())
    (FOLDER / "tmp").mkdir()


def _picture() -> bytes:
    """A picture of noise, so that it does not pack: 48 x 48 in grey."""
    chance, width = random.Random(7), 48
    rows = b"".join(b"\0" + chance.randbytes(width) for _ in range(width))
    head = struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def neutral_path() -> dict[str, str]:
    """Programs and scratch files where every machine has them."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(FOLDER / "tmp")}


def neutral(body: bytes) -> bytes:
    """What clients tell of this machine, in neutral words; its paths and users are neutral by themselves."""
    return _SYSTEM.sub(b"(Ubuntu 24.4.0; ", body).replace(platform.release().encode(), KERNEL)
