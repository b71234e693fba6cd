"""How long lists and searches take over a large log: `python -m lockgate.bench.reading URL list|search [ROWS]`.

The rows are made here, straight into an empty database: for lists an exchange with a tool and a decision each, for
searches an exchange with a message each, whose text is indexed. Times are the median and the worst of some runs of the
public queries, after one that warms up.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from lockgate.storage.address import Address, parse
from lockgate.storage.answers import Filter
from lockgate.storage.index import digest_of
from lockgate.storage.packing import pack
from lockgate.storage.queries import Queries
from lockgate.storage.said import Said
from lockgate.storage.schema import upgrade
from lockgate.storage.words import words

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
COMM = (
    *("id", "exchange_id", "session_id", "type", "source", "destination", "endpoint", "arguments", "headers"),
    *("trigger", "created_at"),
)
MESSAGE = ("hash", "kind", "role", "content", "size", "created_at")
SAID = ("number", "exchange_id", "comm_id", "message", "part", "digest", "text")
LISTED_TABLES = {"exchange": EXCHANGE, "tool_use": ("name", "exchange_id", "calls"), "decision": DECISION}
SEARCHED_TABLES = {"exchange": EXCHANGE, "comm": COMM, "message": MESSAGE, "said": SAID}


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked, of which tables."""

    what: str
    tables: Mapping[str, Sequence[str]]
    rows: Callable[[int, random.Random, Sequence[str]], Iterable[tuple[str, Row]]]
    """Of one number, each with its table."""
    questions: Callable[[int], dict[str, tuple[str, Filter]]]
    """Each with what is searched for, by the number of rows; "" lists."""


def make(url: str, count: int, kind: Kind) -> float:
    """An empty database with `count` exchanges; gives the seconds that it took."""
    began = time.perf_counter()
    address = parse(url)
    upgrade(url)
    (_fill_sqlite if address.kind == "sqlite" else _fill_postgres)(address, kind, _chunks(count, kind))
    return time.perf_counter() - began


def _chunks(count: int, kind: Kind) -> Iterator[dict[str, list[Row]]]:
    chance = random.Random(7)
    phrases = [" ".join(_words(chance, 20)) for _ in range(20_000)]
    for first in range(0, count, CHUNK):
        chunk: dict[str, list[Row]] = {name: [] for name in kind.tables}
        for number in range(first, min(first + CHUNK, count)):
            for name, row in kind.rows(number, chance, phrases):
                chunk[name].append(row)
        yield chunk


def _words(chance: random.Random, count: int) -> list[str]:
    """The frequent ones much more often, as in any language."""
    return [f"word{int(1.0003 ** (chance.random() * 36_000))}" for _ in range(count)]


def _is_rare(number: int) -> bool:
    return number % RARE == RARE // 2


def _exchange(number: int) -> Row:
    moment = START + number * APART
    model = "rare-model" if _is_rare(number) else MODELS[number % 7 % 4]
    return (
        *(_id(number, 8), moment, "model", "anthropic", "api.anthropic.com", "POST /v1/messages", model, "claude-code"),
        *(f"session-{number // 300}", f"project-{number % 13}", "", "", "127.0.0.1", "v1", True, 200),
        *("blocked" if number % 50 == 0 else "passed", "tool_use", 1200, 300, 40_000, 900, "provider"),
        *(9_000_000_000 if _is_rare(number) else number % 50_000_000, 800.5, 2500.25, 1, 0, "[]", ""),
    )


def _listed(number: int, chance: random.Random, phrases: Sequence[str]) -> Iterator[tuple[str, Row]]:
    id, rare = _id(number, 8), _is_rare(number)
    decision = (
        *(_id(number, 9), id, "rare-rule" if rare else "no-touch", "tools", "v1", "enforce", "toolcall"),
        *("blocked" if number % 50 == 0 else "forwarded", None, "", 0.1, START + number * APART, b"{}", b""),
    )
    yield "exchange", _exchange(number)
    yield "tool_use", ("rare_tool" if rare else TOOLS[number % 11 % 6], id, 1)
    yield "decision", decision


def _searched(number: int, chance: random.Random, phrases: Sequence[str]) -> Iterator[tuple[str, Row]]:
    id, comm_id, moment = _id(number, 8), _id(number, 9), START + number * APART
    rare = "needle" if _is_rare(number) else "hay"
    text = " ".join((*chance.choices(phrases, k=3), rare, "often" if number % 2 else "seldom"))
    content = json.dumps({"role": "user", "content": [{"type": "text", "text": text}]}).encode()
    hash = sha256(content + b"%d" % number).digest()  # nothing that is measured looks whether it is the right one
    comm = (comm_id, id, "", "REQUEST", "client", "anthropic", "POST /v1/messages", "{}", "[]", "", moment)
    message = (hash, "message", "user", pack(content), len(content), moment)
    said = (number + 1, id, comm_id, hash, 0, digest_of(Said(role="user", text=text)), text)
    yield from (("exchange", _exchange(number)), ("comm", comm), ("message", message), ("said", said))


def _id(number: int, variant: int) -> str:
    return id_at(START + number * APART, number, variant)


def id_at(moment: datetime, number: int, variant: int) -> str:
    """The 32 digits of an id of that moment."""
    return f"{int(moment.timestamp() * 1000):012x}7000{variant:x}{number:015x}"


def _fill_sqlite(address: Address, kind: Kind, chunks: Iterator[dict[str, list[Row]]]) -> None:
    with closing(sqlite3.connect(address.path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        for chunk in chunks:
            for name, rows in chunk.items():
                columns = kind.tables[name]
                if name == "said":
                    texts = [(row[0], row[-1]) for row in rows]
                    connection.executemany("INSERT INTO said_fts (rowid, text) VALUES (?, ?)", texts)
                    columns, rows = columns[:-1], [row[:-1] for row in rows]
                places = ", ".join("?" * len(columns))
                plain = [tuple(_plain(value) for value in row) for row in rows]
                connection.executemany(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})", plain)
            connection.commit()


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value


def _fill_postgres(address: Address, kind: Kind, chunks: Iterator[dict[str, list[Row]]]) -> None:
    import psycopg

    with psycopg.connect(address.libpq_url) as connection:
        (made,) = connection.execute("SELECT pg_get_indexdef('ix_said_words'::regclass)").fetchone() or ("",)
        connection.execute("DROP INDEX ix_said_words")
        connection.execute("SET session_replication_role = replica")  # what is pointed to is there
        for chunk in chunks:
            for name, rows in chunk.items():
                columns = kind.tables[name]
                if name == "said":
                    columns, rows = (*columns[:-1], "words"), [(*row[:-1], words(row[-1])) for row in rows]
                with connection.cursor().copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute(made.encode())
    with psycopg.connect(address.libpq_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _lists(count: int) -> dict[str, tuple[str, Filter]]:
    return {name: ("", where) for name, where in _filters(count).items()}


def _filters(count: int) -> dict[str, Filter]:
    return {
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
        "--since, the last hour": Filter(kind="model", since=START + (count - 180) * APART),
        "--since, all but the first": Filter(kind="model", since=START + APART),
        "--until, the first hour": Filter(kind="model", until=START + 180 * APART),
        "--min-cost, rare": Filter(kind="model", min_cost_nano_usd=5_000_000_000),
        "--min-tokens, none": Filter(kind="model", min_tokens=10**9),
        "--status 500, none": Filter(kind="model", status=500),
        "--label, none": Filter(kind="model", label="none"),
    }


def _searches(count: int) -> dict[str, tuple[str, Filter]]:
    return {
        "a rare word": ("needle", Filter()),
        "a word of every second text": ("often", Filter()),
        "two words": ("often word5000", Filter()),
        "a phrase": ('"hay often"', Filter()),
        "a beginning": ("word777*", Filter()),
        "a beginning of one letter": ("w*", Filter()),
        "a rare word and a beginning of one letter": ("needle w*", Filter()),
        "a frequent word, in a rare model": ("often", Filter(model="rare-model")),
        "a phrase in no text": ('"often hay"', Filter()),
        "a frequent word, in the last hour": ("often", Filter(since=START + (count - 180) * APART)),
        "a frequent word, in the last month": ("often", Filter(since=START + (count - 130_000) * APART)),
        "a frequent phrase, in one of 13 projects": ('"hay often"', Filter(project="project-3")),
    }


LISTED = Kind("list", LISTED_TABLES, _listed, _lists)
SEARCHED = Kind("search", SEARCHED_TABLES, _searched, _searches)


async def measure(url: str, count: int, kind: Kind) -> Sequence[tuple[str, int, float, float]]:
    """For each question: how many it found, and the median and worst milliseconds."""
    async with Queries(url) as log:
        return [
            await _timed(
                f"{kind.what} {name}",
                partial(log.search, text, limit=20, where=where)
                if text
                else partial(log.exchanges, limit=50, where=where),
            )
            for name, (text, where) in kind.questions(count).items()
        ]


async def _timed(name: str, ask: Callable[[], Awaitable[Sequence[Any]]]) -> tuple[str, int, float, float]:
    found = await ask()
    times: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    return name, len(found), statistics.median(times), max(times)


def main(url: str, what: str, count: int = 1_000_000) -> None:
    kind = {"list": LISTED, "search": SEARCHED}[what]
    print(f"{count:,} exchanges in {parse(url).shown}, made in {make(url, count, kind):.0f} s")
    print("| question | found | median ms | worst ms |\n|---|---|---|---|")
    for name, found, median, worst in asyncio.run(measure(url, count, kind)):
        print(f"| {name} | {found} | {median:.1f} | {worst:.1f} |")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
