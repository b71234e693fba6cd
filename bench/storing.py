"""What a long session costs in the log: `python -m lockgate.bench.storing URL [TURNS]`, into an empty database.

A session of `lockgate.bench.sessions` is written turn by turn, as the log's thread does it, with headers such as Claude
Code and its provider send. Bytes are those of the database; raw is what the bodies alone would take if each were kept
whole. CPU is the writing thread's.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

import psycopg

from lockgate.bench.sessions import TURNS, session
from lockgate.events import Usage
from lockgate.exchange import Comm, CommType, Decision, ExchangeRow, Record, Relation, new_id, now
from lockgate.storage.address import Address, parse
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer

WINDOWS = 10
ENDPOINT = "POST /v1/messages"
ASKING = (
    ("host", "api.anthropic.com"), ("connection", "keep-alive"), ("accept", "application/json"),
    ("user-agent", "claude-cli/2.1.330 (external, cli)"), ("content-type", "application/json"),
    ("anthropic-version", "2023-06-01"), ("anthropic-dangerous-direct-browser-access", "true"), ("x-app", "cli"),
    ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"),
    ("x-api-key", "sha256:0123456789abcdef"), ("x-stainless-arch", "x64"), ("x-stainless-lang", "js"),
    ("x-stainless-os", "Linux"), ("x-stainless-package-version", "0.70.0"), ("x-stainless-retry-count", "0"),
    ("x-stainless-runtime", "node"), ("x-stainless-runtime-version", "v24.3.0"), ("x-stainless-timeout", "600"),
    ("x-claude-code-session-id", "0" * 36), ("accept-encoding", "gzip, deflate, br, zstd"),
)  # fmt: skip
ANSWERING = (
    ("content-type", "text/event-stream; charset=utf-8"), ("connection", "keep-alive"), ("cache-control", "no-cache"),
    ("anthropic-organization-id", "0" * 36), ("server", "cloudflare"), ("x-robots-tag", "none"), ("via", "1.1 google"),
    *((f"anthropic-ratelimit-{what}-{name}", "2026-11-21T09:30:00Z" if name == "reset" else "400000")
      for what in ("requests", "tokens", "input-tokens", "output-tokens") for name in ("limit", "remaining", "reset")),
    ("cf-cache-status", "DYNAMIC"), ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
)  # fmt: skip


def measure(url: str, turns: int = TURNS) -> dict[str, Any]:
    """The figures, in bytes and milliseconds; growth is a turn's, on average, in each tenth of the session."""
    upgrade(url)
    address, bodies = parse(url), list(session(turns))
    sizes, seconds = [database_bytes(address)], 0.0
    with Writer(address) as writer:
        for number, (request, reply) in enumerate(bodies, 1):
            for records in _exchange(number, request, reply):
                start = time.thread_time()
                writer.write(records)
                seconds += time.thread_time() - start
            if number % (turns // WINDOWS) == 0:
                sizes.append(database_bytes(address))
    transcript = sum(map(len, bodies[-1]))
    return {
        "transcript_bytes": transcript,
        "database_bytes": sizes[-1],
        "times_transcript": (sizes[-1] - sizes[0]) / transcript,
        "raw_bytes": sum(len(request) + len(reply) for request, reply in bodies),
        "growth_per_turn_bytes": [(b - a) // (turns // WINDOWS) for a, b in pairwise(sizes)],
        "cpu_per_exchange_ms": seconds / turns * 1e3,
        "tables": _table_bytes(address),
    }


def database_bytes(address: Address) -> int:
    """What the database takes, its write-ahead log apart."""
    return _ask(address, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                "SELECT pg_database_size(current_database())")[0][0]  # fmt: skip


def _table_bytes(address: Address) -> dict[str, int]:
    """The ten largest tables and indexes."""
    rows = _ask(
        address,
        "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 10",
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 2 DESC LIMIT 10",
    )
    return {str(name): int(size) for name, size in rows}


def _ask(address: Address, sqlite: str, postgres: str) -> Sequence[Any]:
    if address.kind == "sqlite":
        with closing(sqlite3.connect(address.path)) as connection:
            return connection.execute(sqlite).fetchall()
    with psycopg.connect(address.libpq_url) as server:
        return server.execute(postgres.encode()).fetchall()


def _exchange(number: int, request: bytes, reply: bytes) -> Iterator[Sequence[Record]]:
    """As the proxy puts it: when it begins, and when it ends."""
    row: dict[str, Any] = {
        "id": new_id(), "started_at": now(), "kind": "model", "provider": "anthropic", "host": "api.anthropic.com",
        "endpoint": ENDPOINT, "model": "claude-sonnet-4-5", "agent": "claude-code", "session_id": "0" * 36,
    }  # fmt: skip
    asked = _comm(row["id"], "REQUEST", request, ASKING)
    yield [ExchangeRow(**row), asked]
    answered = _comm(row["id"], "RESPONSE", reply, (*ANSWERING, ("request-id", f"req_{number:024d}")))
    usage = Usage(input_tokens=3, output_tokens=210, cache_read_tokens=20_000 + 700 * number, cache_write_tokens=700)
    yield [
        answered,
        Relation(from_comm_id=asked.id, to_comm_id=answered.id, type="request_response"),
        Decision(exchange_id=row["id"], rule="no-touch", policy="tools", policy_set="0" * 12, mode="enforce",
                 subject="toolcall", action="forwarded", given=b'{"name":"Bash"}'),
        ExchangeRow(**row, outcome="passed", status=200, usage=usage, tool_calls=1),
    ]  # fmt: skip


def _comm(exchange_id: str, type: CommType, content: bytes, headers: Sequence[tuple[str, str]]) -> Comm:
    ends = ("client", "api.anthropic.com")
    source, destination = ends if type == "REQUEST" else ends[::-1]
    return Comm(id=new_id(), exchange_id=exchange_id, type=type, source=source, destination=destination,
                endpoint=ENDPOINT, created_at=now(), content=content, headers=headers)  # fmt: skip


def main() -> None:
    found = measure(sys.argv[1], *map(int, sys.argv[2:3]))
    for name, value in found.items():
        print(f"{name:<24} {value}")


if __name__ == "__main__":
    main()
