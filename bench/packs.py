"""What the pack `coding-agent` costs in its own process, beside nothing: the bounds are absolute."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from lockgate.bench.measures import Measure, Size, Step, told
from lockgate.bench.processes import clean_environment
from lockgate.bench.result import Result, absolutes, percentile
from lockgate.bench.stage import Stage
from lockgate.bench.usage import BenchError, pinned
from lockgate.policies.pack import MEASURED


def pack(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """A tool call, an event of text, a long result of a tool, a long command."""
    with pinned(stage.core):
        found = _measured(MEASURED, rounds)
    for _ in range(rounds):
        step()
    kinds: dict[str, list[float]] = found["scan_ms"]
    calls: list[list[float]] = found["call_ms"]
    notes = {"policy": MEASURED, "calls": sum(map(len, calls)), "scan_ms": {k: median(v) for k, v in kinds.items()}}
    first: dict[str, float] = found["first_scan_ms"]
    last = [percentile(each, 99) for each in calls]
    return [
        absolutes([median(each) for each in calls], unit="ms", **told("pack-call", "rules, a tool call", 2.0, notes)),
        absolutes(last, unit="ms", **told("pack-call-p99", "rules, a tool call, p99", 20.0, {})),
        absolutes(found["event_us"], unit="us", **told("pack-event", "rules, a text event", 30.0, {})),
        absolutes(
            max(kinds.values(), key=median),
            unit="ms",
            **told("pack-scan", "rules, 100 KB result, slowest kind", 20.0, {}),
        ),
        absolutes(
            [max(first.values())], unit="ms", **told("pack-first", "rules, the first 100 KB result", 500.0, first)
        ),
        absolutes(found["command_ms"], unit="ms", **told("pack-command", "rules, 99 KB command", 200.0, {})),
    ]


def _measured(name: str, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "lockgate.bench.pack", name, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
    if done.returncode:
        raise BenchError(f"the policy set could not be measured: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


PACK_MEASURES = {"pack": Measure(what="what the rules cost", run=pack, rounds=15, steps_per_round=1)}
