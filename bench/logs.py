"""What the log costs: its size, its speed, and how long reading it takes, on each database that can be had here."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from lockgate.bench import opening, reading, storing
from lockgate.bench.databases import databases
from lockgate.bench.measures import GAP_SECONDS, Measure, Size, Step, alternate, told, warmed
from lockgate.bench.processes import Proxy, clean_environment
from lockgate.bench.result import Result, absolutes, ratios
from lockgate.bench.stage import Stage
from lockgate.bench.usage import BenchError, pinned

BOUND_MS = 500.0


def stored(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """Bytes after a long session, against its last request and reply. The same every time, so there is one round."""
    results: list[Result] = []
    for database in databases():
        with database.empty() as url:
            found = storing.measure(url, size.session_turns)
        step()
        taken, transcript = (found[f"{name}_bytes"] / 1e6 for name in ("database", "transcript"))
        name = f"log-size-{database.name.lower()}"
        about = told(name, f"log of a session, {database.name}", 3.0, found | {"turns": size.session_turns})
        growth = told(f"{name}-growth", f"the same, late against early, {database.name}", 1.25, {})
        results += [
            ratios([transcript], [taken], unit="MB", **about),
            ratios([found["early_growth"]], [found["late_growth"]], unit="x", **growth),
        ]
    return results


def rate(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """Exchanges a second on the proxy's core, and how late its event loop is meanwhile."""
    results: list[Result] = []
    for database in databases():
        found: list[dict[str, float]] = []
        for _ in range(rounds):
            with database.empty() as url, pinned(stage.core):
                found.append(_rated(url, size))
            step()
        name, notes = f"log-rate-{database.name.lower()}", {"rounds": found}
        lag = told(f"{name}-lag", f"event loop's lag meanwhile, p99, {database.name}", 10.0, notes)
        gap = told(name, f"time per exchange logged, {database.name}", 10.0, notes)
        results += [
            absolutes([1e3 / each["per_second"] for each in found], unit="ms", **gap),
            absolutes([each["lag_p99_ms"] for each in found], unit="ms", **lag),
        ]
    return results


def _rated(url: str, size: Size) -> dict[str, float]:
    command = [sys.executable, "-m", "lockgate.bench.rate", url, str(size.sessions), str(size.logged_turns)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    if done.returncode:
        raise BenchError(f"the log could not be measured: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def open_(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The list of a long session, and its last exchange whole."""
    results: list[Result] = []
    for database in databases():
        with database.empty() as url:
            opening.make(url, size.long_session_turns)
            times = asyncio.run(opening.measure(url, rounds))
        step()
        notes = {"turns": size.long_session_turns}
        about = told(f"log-open-{database.name.lower()}", f"opening a long session, {database.name}", BOUND_MS, notes)
        results.append(absolutes(times, unit="ms", **about))
    return results


def list_(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The slowest of the filters."""
    return _read("log-list", "slowest list", reading.LISTED, size, step)


def search(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The slowest of the searches."""
    return _read("log-search", "slowest search", reading.SEARCHED, size, step)


def _read(name: str, what: str, kind: reading.Kind, size: Size, step: Step) -> Sequence[Result]:
    results: list[Result] = []
    for database in databases():
        with database.empty() as url:
            seconds = reading.make(url, size.stored_rows, kind)
            found = asyncio.run(reading.measure(url, size.stored_rows, kind))
        step()
        asked = {question: {"found": hits, "median_ms": ms, "most_ms": most} for question, hits, ms, most in found}
        notes = {"rows": size.stored_rows, "made_in_seconds": seconds, "asked": asked}
        about = told(f"{name}-{database.name.lower()}", f"{what}, {database.name}", BOUND_MS, notes)
        results.append(absolutes([max(ms for _, _, ms, _ in found)], unit="ms", **about))
    return results


def cpu(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """CPU of an agent's turn, with the log and without one."""
    requests: list[float] = []
    seeds = {"unlogged": 0, "lockgate": 0}

    def cost(proxy: Proxy) -> float:
        seeds[proxy.name] += 1
        job: dict[str, Any] = {"events": size.reply_events, "gap_seconds": GAP_SECONDS, "seed": seeds[proxy.name]}
        found = stage.client.ask(proxy.job("turns", count=size.logged_turns, **job))
        step()
        requests.append(found["request_bytes"])
        return found["cpu_seconds"] / found["count"] * 1e3

    with stage.unlogged.running(stage.core) as unlogged, stage.lockgate.running(stage.core) as lockgate:
        off, on = alternate(warmed(stage, unlogged, lockgate), rounds, cost)
    notes = {
        "turns_per_round": size.logged_turns,
        "events_per_reply": size.reply_events,
        "request_bytes": max(requests),
    }
    return [ratios(off, on, unit="ms", **told("log-cpu", "an agent's turn, log off and on", 1.15, notes))]


KINDS = len(list(databases()))
LOG_MEASURES = {
    "log-size": Measure(what="the size of the log", run=stored, rounds=1, steps_per_round=KINDS),
    "log-rate": Measure(what="the speed of the log", run=rate, rounds=3, steps_per_round=KINDS),
    "log-open": Measure(what="opening a long session", run=open_, rounds=5, steps_per_round=KINDS),
    "log-list": Measure(what="lists of a large log", run=list_, rounds=1, steps_per_round=KINDS),
    "log-search": Measure(what="searches of a large log", run=search, rounds=1, steps_per_round=KINDS),
    "log-cpu": Measure(what="CPU of the log", run=cpu, rounds=5),
}
