"""The console: what it costs the proxy that people watch it, and how long its pages take before a large log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from threading import Thread
from typing import Any

from lockgate.bench import pages
from lockgate.bench.databases import databases
from lockgate.bench.logs import KINDS
from lockgate.bench.measures import WARM_EXCHANGES, Measure, Size, Step, alternate, told
from lockgate.bench.opening import SESSION
from lockgate.bench.processes import Proxy
from lockgate.bench.result import Result, absolutes, ratios
from lockgate.bench.stage import Console, Stage
from lockgate.bench.usage import BenchError

WATCHED_BOUND = 1.10
BROWSERS = 3
PER_SECOND = 50
STREAM = "/api/activity/stream"
PAGE = ("/api/exchanges?limit=200", "/api/activity/series?step=minute&by=")
"""What the page Now asks for, beside the stream, when it is opened."""
FIRST_BOUND_MS = 300.0
WEIGHT_BOUND_KB = 300.0
FRESH = ("/", "/exchanges", f"/sessions/{SESSION}")
"""What a process is asked first."""
LIVE_SECONDS = 30.0


def watched(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """CPU of a small exchange, 50 a second, with the page Now open in three browsers and in none."""
    heard: list[int] = []

    def cost(proxy: Proxy) -> float:
        job = proxy.job("exchanges", count=size.exchanges, warm=20, gap_seconds=1 / PER_SECOND)
        if proxy.name == "unwatched":
            found = stage.client.ask(job)
        else:
            with _browsers(console) as seen:
                found = stage.client.ask(job)
            heard.append(min(seen))
        step()
        return found["cpu_seconds"] / found["count"] * 1e6

    quiet, console = stage.console("unwatched"), stage.console("watched")
    with quiet.program.running(stage.core) as one, console.program.running(stage.core) as other:
        for proxy in (one, other):
            stage.client.ask(proxy.job("exchanges", count=WARM_EXCHANGES, warm=WARM_EXCHANGES))
        pairs = alternate((one, other), rounds, cost)
    if min(heard) < size.exchanges:
        raise BenchError(f"a browser was told of {min(heard)} exchanges of {size.exchanges}: this says nothing")
    notes = {"exchanges_per_round": size.exchanges, "per_second": PER_SECOND, "browsers": BROWSERS}
    return [ratios(*pairs, unit="us", **told("watched", "small exchange while three watch, CPU", WATCHED_BOUND, notes))]


def opened(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """Every page of the console before a log that has been in use."""
    results: list[Result] = []
    for database in databases():
        with database.empty() as url:
            seconds = pages.fill(url, size.stored_rows, size.long_session_turns)
            console = stage.console(f"pages-{database.name.lower()}", url, "admin")
            fresh = {path: _first(console, stage, path) for path in FRESH}
            with console.program.running(stage.core):
                took = pages.ask(console.port, console.key, asyncio.run(pages.pages(url)), rounds)
        for _ in range(rounds):
            step()
        notes = {"rows": size.stored_rows, "made_in_seconds": seconds, "fresh_ms": fresh}
        results += _told(database.name, took, fresh, notes | {"asked": pages.document(took)})
    return results


def _told(kind: str, took: Sequence[pages.Took], fresh: dict[str, float], notes: dict[str, Any]) -> Iterator[Result]:
    whole, parts = ([one for one in took if one.page.is_part is part] for part in (False, True))
    for name, what, values, unit, bound in (
        ("pages", "slowest page of the console", [max(one.first_ms for one in whole)], "ms", FIRST_BOUND_MS),
        ("pages-parts", "slowest part of a page", [max(one.first_ms for one in parts)], "ms", FIRST_BOUND_MS),
        ("pages-fresh", "slowest first page of a process", [max(fresh.values())], "ms", FIRST_BOUND_MS),
        ("pages-weight", "heaviest page", [max(one.bytes for one in whole) / 1e3], "KB", WEIGHT_BOUND_KB),
    ):
        about = told(f"{name}-{kind.lower()}", f"{what}, {kind}", bound, notes if name == "pages" else {})
        yield absolutes(values, unit=unit, **about)


def _first(console: Console, stage: Stage, path: str) -> float:
    """Milliseconds of the first page that a new process is asked for, once it answers at all."""
    with console.program.running(stage.core):
        browser = pages.Browser(console.port, console.key)
        until = time.monotonic() + LIVE_SECONDS
        while True:
            try:
                browser.get("/live")
                break
            except OSError:
                browser.close()
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        seconds = browser.get(path).seconds
        browser.close()
    return seconds * 1e3


@contextmanager
def _browsers(console: Console) -> Generator[list[int]]:
    """Streams that are read until the end of the context; then, of how many exchanges each was told."""
    told_of = [0] * BROWSERS
    with ExitStack() as stack:
        streams = [stack.enter_context(_opened(console)) for _ in range(BROWSERS)]
        threads = [Thread(target=_read, args=(stream, told_of, number)) for number, stream in enumerate(streams)]
        for thread in threads:
            thread.start()
        yield told_of
        stack.close()
        for thread in threads:
            thread.join()


@contextmanager
def _opened(console: Console) -> Generator[HTTPResponse]:
    headers = {"authorization": f"Bearer {console.key}"}
    for path in PAGE:
        asking = HTTPConnection("127.0.0.1", console.port)
        asking.request("GET", path, headers=headers)
        if asking.getresponse().status != 200:
            raise BenchError(f"the console did not answer {path}")
        asking.close()
    connection = HTTPConnection("127.0.0.1", console.port)
    connection.request("GET", STREAM, headers=headers)
    response, socket = connection.getresponse(), connection.sock
    try:
        yield response
    finally:
        if socket is not None:
            socket.shutdown(2)


def _read(stream: HTTPResponse, told_of: list[int], number: int) -> None:
    ended: set[str] = set()
    try:
        for line in stream:
            if not line.startswith(b"data: "):
                continue
            for happening in json.loads(line[6:]):
                if happening["type"] == "exchange" and happening["exchange"]["outcome"] != "open":
                    ended.add(happening["exchange"]["id"])
            told_of[number] = len(ended)
    except (OSError, ValueError):
        pass  # the end of the context


CONSOLE_MEASURES = {
    "watched": Measure(what="CPU of exchanges while people watch", run=watched, rounds=5),
    "pages": Measure(what="pages before a large log", run=opened, rounds=5, steps_per_round=KINDS),
}
