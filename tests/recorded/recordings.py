"""Recorded sessions of real clients, as files: exchanges in order, and what happened on purpose. README.md says more.

A test reads one with `load("claude")`. Nothing here talks to a client, a proxy or a database.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

import zstandard

FOLDER = Path(__file__).parent
NAMES = ("claude", "codex")
WINDOW_LOG = 27
"""Requests repeat the whole conversation: a window of 128 MB sees them all."""

type Headers = tuple[tuple[str, str], ...]
type Ending = Literal["complete", "broken", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request as it arrived at the provider, and the reply as it left it. Bodies are the bytes on the wire.

    Times are milliseconds since the recording began. Credentials are fingerprints, as in the log.
    """

    number: int
    run: str
    """The run of the client that sent it."""
    connection: int
    http: Literal["1.1", "2"]
    method: str
    path: str
    request_headers: Headers
    request_body: bytes
    status: int
    response_headers: Headers
    response_body: bytes
    asked_ms: float
    first_byte_ms: float
    ended_ms: float
    ending: Ending

    def header(self, name: str) -> str:
        """The request header's value, "" when absent."""
        return next((value for key, value in self.request_headers if key.lower() == name), "")

    @property
    def host(self) -> str:
        return self.header("host")

    @property
    def route(self) -> str:
        return self.path.partition("?")[0]

    @property
    def request(self) -> Any:
        """The request's JSON."""
        return json.loads(self.request_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the client: what it was for, and what it did on purpose."""

    name: str
    kind: Literal["start", "resume", "fork", "rewind", "compact"]
    of: str
    """The run whose conversation it goes on from, "" for the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A client's recorded session. `roles` has the part that an exchange plays, by its number.

    `main` is a turn of the conversation, `agent:NAME` a sub-agent's, `compaction` asks for a summary, `title`, `probe`
    and the like are the client's own; exchanges that carry no conversation have no role.
    """

    client: str
    version: str
    recorded_at: str
    runs: tuple[Run, ...]
    roles: dict[int, str]
    exchanges: tuple[Exchange, ...]

    def of(self, role: str, run: str | None = None) -> list[Exchange]:
        """The exchanges of this role, of one run or of all."""
        return [one for one in self.exchanges if self.roles.get(one.number) == role and run in (None, one.run)]


@cache
def load(name: str) -> Recording:
    """The recording of a client, `claude` or `codex`."""
    packed = (FOLDER / f"{name}.jsonl.zst").read_bytes()
    lines = zstandard.ZstdDecompressor(max_window_size=2**WINDOW_LOG).stream_reader(packed).read().splitlines()
    truth = json.loads((FOLDER / f"{name}.json").read_bytes())
    return Recording(
        client=truth["client"],
        version=truth["version"],
        recorded_at=truth["recorded_at"],
        runs=tuple(Run(**run) for run in truth["runs"]),
        roles={int(number): role for role, numbers in truth["roles"].items() for number in numbers},
        exchanges=tuple(_exchange(json.loads(line)) for line in lines),
    )


def store(name: str, recording: Recording) -> None:
    """Writes both files."""
    lines = b"".join(_line(exchange) for exchange in recording.exchanges)
    options: Any = zstandard.ZstdCompressionParameters.from_level(  # pyright: ignore[reportUnknownMemberType]
        19, window_log=WINDOW_LOG, enable_ldm=True, source_size=len(lines)
    )
    (FOLDER / f"{name}.jsonl.zst").write_bytes(zstandard.ZstdCompressor(compression_params=options).compress(lines))
    roles: dict[str, list[int]] = {}
    for number, role in sorted(recording.roles.items()):
        roles.setdefault(role, []).append(number)
    truth = {
        **{"client": recording.client, "version": recording.version, "recorded_at": recording.recorded_at},
        "runs": [{name: getattr(run, name) for name in ("name", "kind", "of")} for run in recording.runs],
        "roles": roles,
    }
    (FOLDER / f"{name}.json").write_text(_laid_out(truth))


def _laid_out(truth: dict[str, Any]) -> str:
    """JSON with a run or a role a line."""
    runs = ",\n    ".join(json.dumps(run) for run in truth["runs"])
    roles = ",\n    ".join(f"{json.dumps(role)}: {json.dumps(numbers)}" for role, numbers in truth["roles"].items())
    head = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(truth[key])}" for key in ("client", "version", "recorded_at"))
    return f'{{\n  {head},\n  "runs": [\n    {runs}\n  ],\n  "roles": {{\n    {roles}\n  }}\n}}\n'


def _line(exchange: Exchange) -> bytes:
    values = {field.name: _packed(getattr(exchange, field.name)) for field in fields(Exchange)}
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def _packed(value: Any) -> Any:
    """A body as text where it is text, which packs better, else as {"base64": …}."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _exchange(values: dict[str, Any]) -> Exchange:
    for name in ("request_body", "response_body"):
        body = values[name]
        values[name] = body.encode() if isinstance(body, str) else base64.b64decode(body["base64"])
    for name in ("request_headers", "response_headers"):
        values[name] = _headers(values[name])
    return Exchange(**values)


def _headers(pairs: Iterable[Sequence[str]]) -> Headers:
    return tuple((name, value) for name, value in pairs)
