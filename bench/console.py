"""What it costs the proxy that people watch it in the console: browsers, as far as the proxy notices them."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from threading import Thread

from lockgate.bench.measures import WARM_EXCHANGES, Measure, Size, Step, alternate, told
from lockgate.bench.processes import Proxy
from lockgate.bench.result import Result, ratios
from lockgate.bench.stage import Console, Stage
from lockgate.bench.usage import BenchError

WATCHED_BOUND = 1.10
BROWSERS = 3
PER_SECOND = 50
STREAM = "/api/activity/stream"
PAGE = ("/api/exchanges?limit=200", "/api/activity/series?step=minute&by=")
"""What the page Now asks for, beside the stream, when it is opened."""


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


CONSOLE_MEASURES = {"watched": Measure(what="CPU of exchanges while people watch", run=watched, rounds=5)}
