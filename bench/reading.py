"""How long lists and searches take over a large log: `python -m lockgate.bench.reading URL [ROWS]`.

The rows are made here, straight into an empty database: one exchange, tool, decision and text each. Times are the
median and the worst of some runs of the public queries, after one that warms up.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from lockgate.storage.address import Address, parse
from lockgate.storage.answers import Filter
from lockgate.storage.queries import Queries
from lockgate.storage.schema import upgrade

type Row = tuple[Any, ...]

START = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(seconds=20)
"""A million exchanges take 231 days."""
CHUNK = 20_000
RUNS = 7
MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5", "gpt-5-mini")
TOOLS = ("Bash", "Read", "Edit", "Grep", "shell", "WebFetch")
RARE = 100_000
"""One in so many is rare: a model, a tool, a rule, a cost, a word."""
EXCHANGE = (
    *("id", "started_at", "kind", "provider", "host", "endpoint", "model", "agent", "session_id", "project", "token"),
    *("trigger", "client", "policy_set", "streamed", "status", "outcome", "stop_reason", "input_tokens"),
    *("output_tokens", "cache_read_tokens", "cache_write_tokens", "counted_by", "cost_nano_usd", "first_byte_ms"),
    *("duration_ms", "tool_calls", "blocked", "rules", "error"),
)
DECISION = (
    *("id", "exchange_id", "rule", "policy", "policy_set", "mode", "subject", "action", "score", "reason"),
    *("milliseconds", "created_at", "given", "out"),
)
TABLES = {
    "exchange": EXCHANGE,
    "tool_use": ("name", "exchange_id", "calls"),
    "decision": DECISION,
    "said": ("comm_id", "exchange_id", "part", "role", "text"),
}


def make(url: str, count: int) -> None:
    """An empty database with `count` exchanges."""
    address = parse(url)
    upgrade(url)
    (_fill_sqlite if address.kind == "sqlite" else _fill_postgres)(address, _chunks(count))


def _chunks(count: int) -> Iterator[dict[str, list[Row]]]:
    chance = random.Random(7)
    phrases = [" ".join(_words(chance, 20)) for _ in range(20_000)]
    for first in range(0, count, CHUNK):
        chunk: dict[str, list[Row]] = {name: [] for name in TABLES}
        for number in range(first, min(first + CHUNK, count)):
            for name, row in zip(TABLES, _rows(number, chance, phrases), strict=True):
                chunk[name].append(row)
        yield chunk


def _words(chance: random.Random, count: int) -> list[str]:
    """The frequent ones much more often, as in any language."""
    return [f"word{int(1.0003 ** (chance.random() * 36_000))}" for _ in range(count)]


def _rows(number: int, chance: random.Random, phrases: Sequence[str]) -> tuple[Row, Row, Row, Row]:
    moment = START + number * APART
    id, other = _id(moment, number, 8), _id(moment, number, 9)
    rare = number % RARE == RARE // 2
    model = "rare-model" if rare else MODELS[number % 7 % 4]
    exchange = (
        *(id, moment, "model", "anthropic", "api.anthropic.com", "POST /v1/messages", model, "claude-code"),
        *(f"session-{number // 300}", f"project-{number % 13}", "", "", "127.0.0.1", "v1", True, 200),
        *("blocked" if number % 50 == 0 else "passed", "tool_use", 1200, 300, 40_000, 900, "provider"),
        *(9_000_000_000 if rare else number % 50_000_000, 800.5, 2500.25, 1, 0, "[]", ""),
    )
    tool = ("rare_tool" if rare else TOOLS[number % 11 % 6], id, 1)
    decision = (
        *(other, id, "rare-rule" if rare else "no-touch", "tools", "v1", "enforce", "toolcall"),
        *("blocked" if number % 50 == 0 else "forwarded", None, "", 0.1, moment, b"{}", b""),
    )
    text = " ".join((*chance.choices(phrases, k=3), "needle" if rare else "hay", "often" if number % 2 else ""))
    return exchange, tool, decision, (other, id, 0, "assistant", text)


def _id(moment: datetime, number: int, variant: int) -> str:
    return f"{int(moment.timestamp() * 1000):012x}7000{variant}{number:015x}"


def _fill_sqlite(address: Address, chunks: Iterator[dict[str, list[Row]]]) -> None:
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for chunk in chunks:
            for name, rows in chunk.items():
                places = ", ".join("?" * len(TABLES[name]))
                plain = [tuple(_plain(value) for value in row) for row in rows]
                connection.executemany(f"INSERT INTO {name} ({', '.join(TABLES[name])}) VALUES ({places})", plain)
            connection.commit()


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


def _fill_postgres(address: Address, chunks: Iterator[dict[str, list[Row]]]) -> None:
    import psycopg

    with psycopg.connect(address.libpq_url) as connection:
        connection.execute("SET session_replication_role = replica")  # no comms are made, which texts belong to
        connection.execute("DROP INDEX ix_said_words")
        for chunk in chunks:
            for name, rows in chunk.items():
                command = f"COPY {name} ({', '.join(TABLES[name])}) FROM STDIN"
                with connection.cursor().copy(command.encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
        connection.execute("UPDATE said SET words = to_tsvector('simple', text)")
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("CREATE INDEX ix_said_words ON said USING gin (words)")
    with psycopg.connect(address.libpq_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


LISTS = {
    "all": Filter(kind="model"),
    "--session": Filter(kind="model", session_id="session-1700"),
    "--outcome blocked": Filter(kind="model", outcome="blocked"),
    "--model, frequent": Filter(kind="model", model="gpt-5"),
    "--model, rare": Filter(kind="model", model="rare-model"),
    "--tool, frequent": Filter(kind="model", tool="Bash"),
    "--tool, rare": Filter(kind="model", tool="rare_tool"),
    "--rule, frequent": Filter(kind="model", rule="no-touch"),
    "--rule, rare": Filter(kind="model", rule="rare-rule"),
    "--rule --action": Filter(kind="model", rule="no-touch", action="blocked"),
    "--tool --model, no such": Filter(kind="model", tool="Bash", model="rare-model"),
    "--since, the last hour": Filter(kind="model", since=START + 999_820 * APART),
    "--since, all but the first": Filter(kind="model", since=START + APART),
    "--until, the first hour": Filter(kind="model", until=START + 180 * APART),
    "--min-cost, rare": Filter(kind="model", min_cost_nano_usd=5_000_000_000),
    "--min-tokens, none": Filter(kind="model", min_tokens=10**9),
    "--status 500, none": Filter(kind="model", status=500),
    "--label, none": Filter(kind="model", label="none"),
}
SEARCHES = {
    "a rare word": ("needle", Filter()),
    "a word of every second text": ("often", Filter()),
    "two words": ("often word5000", Filter()),
    "a phrase": ('"hay often"', Filter()),
    "a beginning": ("word777*", Filter()),
    "a frequent word, in a rare model": ("often", Filter(model="rare-model")),
    "a frequent word, in the last hour": ("often", Filter(since=START + 999_820 * APART)),
}


async def measure(url: str) -> Sequence[tuple[str, int, float, float]]:
    """For each question: how many it found, and the median and worst milliseconds."""
    async with Queries(url) as log:
        lists = [await _timed(f"list {name}", log.exchanges, limit=50, where=where) for name, where in LISTS.items()]
        searches = [
            await _timed(f"search {name}", log.search, text=text, limit=20, where=where)
            for name, (text, where) in SEARCHES.items()
        ]
    return lists + searches


async def _timed(
    name: str, ask: Callable[..., Awaitable[Sequence[Any]]], **asked: Any
) -> tuple[str, int, float, float]:
    found = await ask(**asked)
    times: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await ask(**asked)
        times.append((time.perf_counter() - began) * 1000)
    return name, len(found), statistics.median(times), max(times)


def main(url: str, count: int = 1_000_000) -> None:
    began = time.perf_counter()
    make(url, count)
    print(f"{count:,} exchanges in {parse(url).shown}, made in {time.perf_counter() - began:.0f} s")
    print("| question | found | median ms | worst ms |\n|---|---|---|---|")
    for name, found, median, worst in asyncio.run(measure(url)):
        print(f"| {name} | {found} | {median:.1f} | {worst:.1f} |")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
