"""What a long session costs in the log: `python -m lockgate.bench.storing URL [TURNS]`, into an empty database.

A session of `lockgate.bench.sessions` is written turn by turn, as the log's thread does it, with headers such as
Claude Code and its provider send. Bytes are those of the database, indexes and all, less those of an empty one; raw is
what the bodies alone would take if each were kept whole. CPU is the writing thread's, for an exchange.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from statistics import median
from typing import Any

import psycopg

from lockgate.bench.sessions import TURNS, session
from lockgate.events import Usage
from lockgate.records import Comm, CommType, Decision, ExchangeRow, Record, Relation, new_id, now
from lockgate.storage.address import Address, parse
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer

EARLY = (10, 60)
LATE = (250, 300)
"""The turns whose growth is compared, of 300; of fewer in proportion."""
ENDPOINT = "POST /v1/messages"
ASKING = (
    ("host", "api.anthropic.com"), ("content-length", "{length}"), ("accept", "application/json"),
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
    *((f"anthropic-ratelimit-{what}-{name}", "2026-11-21T09:30:00Z" if name == "reset" else "{left}")
      for what in ("requests", "tokens", "input-tokens", "output-tokens") for name in ("limit", "remaining", "reset")),
    ("cf-cache-status", "DYNAMIC"), ("date", "Sat, 21 Nov 2026 09:{minute:02}:00 GMT"), ("cf-ray", "{number:016x}-FRA"),
    ("request-id", "req_{number:024d}"), ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
)  # fmt: skip


def measure(url: str, turns: int = TURNS) -> dict[str, Any]:
    """Bytes and milliseconds. Growth is that of the database for each byte that the transcript grew."""
    upgrade(url)
    address, bodies = parse(url), list(session(turns))
    transcript = [len(request) + len(reply) for request, reply in bodies]
    marks = {turn * turns // TURNS for turn in (*EARLY, *LATE)}
    sizes, seconds = {0: database_bytes(address)}, list[float]()
    with Writer(address) as writer:
        for number, (request, reply) in enumerate(bodies, 1):
            start = time.thread_time()
            for records in exchange(number, request, reply):
                writer.write(records)
            seconds.append(time.thread_time() - start)
            if number in marks:
                sizes[number] = database_bytes(address)

    def growth(window: tuple[int, int]) -> float:
        first, last = (turn * turns // TURNS for turn in window)
        return (sizes[last] - sizes[first]) / (transcript[last - 1] - transcript[first - 1])

    return {
        "transcript_bytes": transcript[-1],
        "database_bytes": sizes[turns] - sizes[0],
        "raw_bytes": sum(transcript),
        "early_growth": growth(EARLY),
        "late_growth": growth(LATE),
        "last_bytes_per_turn": (sizes[turns] - sizes[LATE[0] * turns // TURNS])
        * TURNS
        // (turns * (LATE[1] - LATE[0])),
        "last_raw_bytes_per_turn": transcript[-1],
        "cpu_ms": {"median": median(seconds) * 1e3, "most_after_first": max(seconds[1:]) * 1e3},
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


def exchange(number: int, request: bytes, reply: bytes, session: str = "0" * 36) -> Iterator[Sequence[Record]]:
    """As the proxy puts it: when it begins, and when it ends."""
    row: dict[str, Any] = {
        "id": new_id(), "started_at": now(), "kind": "model", "provider": "anthropic", "host": "api.anthropic.com",
        "endpoint": ENDPOINT, "model": "claude-sonnet-4-5", "agent": "claude-code", "session_id": session,
    }  # fmt: skip
    values = {"length": len(request), "number": number, "left": 400_000 - 997 * number, "minute": number % 60}
    asking, answering = ([(name, value.format(**values)) for name, value in headers] for headers in (ASKING, ANSWERING))
    asked = _comm(row["id"], "REQUEST", request, asking)
    yield [ExchangeRow(**row), asked]
    answered = _comm(row["id"], "RESPONSE", reply, answering)
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
