"""The benchmarks themselves. Each plays its rounds plain, Lockgate, plain, Lockgate … and gives its figures.

A `step` is called as often as `steps` says, for a progress bar.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from lockgate.bench.processes import Proxy
from lockgate.bench.result import Result, absolutes, differences, increases, percentile, ratios
from lockgate.bench.stage import Stage
from lockgate.bench.usage import BenchError

type Step = Callable[[], None]

GAP_SECONDS = 0.004
"""Between two events of a stream: 250 a second, several times what the fastest models say."""
HELD_STREAMS = 300
AT_ONCE = 20
WARM_EXCHANGES = 50
JUDGE_GAP_SECONDS = 0.02
LEAST_ALONE = 0.8
"""The share of events that must have come singly for the figure to say something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done in a round."""

    exchanges: int = 400
    events: int = 2_000
    streams: int = 4
    first_byte_times: int = 10
    judge_seconds: float = 5.0
    held: int = HELD_STREAMS
    hold_seconds: float = 5.0


QUICK = Size(exchanges=60, events=100, streams=2, first_byte_times=2, judge_seconds=1.0, held=30, hold_seconds=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One benchmark, which may give several figures."""

    what: str
    run: Callable[[Stage, Size, int, Step], Sequence[Result]]
    rounds: int
    steps_per_round: int = 2


def small(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """CPU of a small exchange on a kept connection."""

    def cost(proxy: Proxy) -> float:
        found = stage.client.ask(proxy.job("exchanges", count=size.exchanges, warm=20))
        step()
        return found["cpu_seconds"] / found["count"] * 1e6

    with _warm(stage) as proxies:
        plain, lockgate = _alternate(proxies, rounds, cost)
    notes = {"exchanges_per_round": size.exchanges}
    about = _about("small", "small exchange, CPU", 1.35, notes)
    return [ratios(plain, lockgate, unit="us", **about)]


def events(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """CPU of a streamed event; the few exchanges that carry them are in it."""
    alone: list[float] = []

    def cost(proxy: Proxy) -> float:
        job = proxy.job("streams", count=size.streams, events=size.events, gap_seconds=GAP_SECONDS)
        found = stage.client.ask(job)
        step()
        alone.append(found["alone"])
        return found["cpu_seconds"] / found["events"] * 1e6

    with _warm(stage) as proxies:
        plain, lockgate = _alternate(proxies, rounds, cost)
    notes: dict[str, Any] = {
        "streams": size.streams, "events_per_stream": size.events, "gap_ms": GAP_SECONDS * 1e3,
        "share_of_events_that_came_alone": min(alone),
    }  # fmt: skip
    if min(alone) < LEAST_ALONE:
        notes["warning"] = "the machine was too busy: events came several at once, so this says little"
    return [ratios(plain, lockgate, unit="us", **_about("events", "streamed event, CPU", 1.6, notes))]


def first_byte(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The wait for the first byte of a reply's body, while 20 streams run side by side."""

    def waits(proxy: Proxy) -> list[float]:
        job = proxy.job(
            "first_bytes", count=AT_ONCE, times=size.first_byte_times, events=20, gap_seconds=0.02, in_step=False
        )
        found = stage.client.ask(job)
        step()
        return [seconds * 1e3 for seconds in found["waits"]]

    with _warm(stage) as proxies:
        plain, lockgate = _alternate(proxies, rounds, waits)
    notes = {"streams_at_once": AT_ONCE, "streams_per_round": AT_ONCE * size.first_byte_times}
    medians = [[median(each) for each in side] for side in (plain, lockgate)]
    lasts = [[percentile(each, 99) for each in side] for side in (plain, lockgate)]
    return [
        differences(*medians, unit="ms", **_about("first-byte", "first byte, median", 3.0, notes)),
        differences(*lasts, unit="ms", **_about("first-byte-p99", "first byte, p99", 15.0, notes)),
    ]


def judge(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The gaps between the events of other streams while a judge thinks about one; plain is Lockgate without it.

    Two proxies run side by side and take turns at being judged: what disturbs the machine disturbs both at once.
    """
    count = int(size.judge_seconds / JUDGE_GAP_SECONDS)
    found: list[tuple[Any, Any]] = []
    programs = [stage.judging(size.judge_seconds, name) for name in ("one", "other")]
    with programs[0].running(stage.core) as one, programs[1].running(stage.core) as other:
        for proxy in (one, other):
            stage.client.ask(proxy.job("exchanges", count=WARM_EXCHANGES, warm=WARM_EXCHANGES))
        for number in range(rounds):
            rest, judged = (one, other) if number % 2 else (other, one)
            plan: dict[str, Any] = {"count": 8, "events": count, "gap_seconds": JUDGE_GAP_SECONDS}
            jobs = [rest.job("streams", **plan), judged.job("streams", **plan, call=number + 1)]
            at_rest, busy = stage.client.ask({"do": "side_by_side", "jobs": jobs})["found"]
            found.append((at_rest, busy))
            step()
    if (held := min(busy["held_seconds"] for _, busy in found)) < size.judge_seconds:
        raise BenchError(f"the judged stream was held for {held:.1f} s instead of {size.judge_seconds:g} s")
    gaps = [[percentile(each["gaps"], 99) * 1e3 for each in side] for side in zip(*found, strict=True)]
    spent = [median(each["cpu_seconds"] for each in side) for side in zip(*found, strict=True)]
    notes = {
        "judge_seconds": size.judge_seconds, "streams": 8, "gap_ms": JUDGE_GAP_SECONDS * 1e3,
        "cpu_seconds_at_rest": spent[0], "cpu_seconds_judged": spent[1],
    }  # fmt: skip
    about = _about("judge", "gaps while a judge thinks, p99", 10.0, notes)
    return [increases(*gaps, unit="ms", **about)]


def held(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """Memory while many streams wait for a judge at once. Each round has a proxy of its own."""
    found: list[dict[str, Any]] = []
    for _ in range(rounds):
        with stage.judging(120.0).running(stage.core) as proxy:
            found.append(stage.client.ask(proxy.job("hold", count=size.held, seconds=size.hold_seconds)))
        step()
    if any(each["held"] != size.held for each in found):
        raise BenchError(f"of {size.held} streams only {min(each['held'] for each in found)} were held")
    before = [each["before_bytes"] / 1e6 for each in found]
    notes = {"streams": size.held, "megabytes_before_they_were_held": before}
    about = _about("held", f"{size.held} streams held, memory", 250.0, notes)
    return [absolutes([each["bytes"] / 1e6 for each in found], unit="MB", **about)]


def start(stage: Stage, size: Size, rounds: int, step: Step) -> Sequence[Result]:
    """The time from the start of a process until it listens; the first, which makes keys and tables, is left out."""

    def seconds(program: str) -> float:
        with getattr(stage, program).running(stage.core) as proxy:
            step()
            return proxy.start_seconds

    for program in ("plain", "lockgate"):
        seconds(program)
    plain, lockgate = _alternate(("plain", "lockgate"), rounds, seconds)
    return [ratios(plain, lockgate, unit="s", **_about("start", "start until it listens", 1.5, {}))]


MEASURES: Mapping[str, Measure] = {
    "small": Measure(what="CPU of small exchanges", run=small, rounds=7),
    "events": Measure(what="CPU of streamed events", run=events, rounds=5),
    "first-byte": Measure(what="the wait for the first byte", run=first_byte, rounds=7),
    "judge": Measure(what="other streams while a judge thinks", run=judge, rounds=12, steps_per_round=1),
    "held": Measure(what="memory of held streams", run=held, rounds=2, steps_per_round=1),
    "start": Measure(what="start-up", run=start, rounds=7),
}


@contextmanager
def _warm(stage: Stage) -> Generator[tuple[Proxy, Proxy]]:
    """Both proxies, each after a few exchanges: what they import or make only once is not measured."""
    with stage.both() as proxies:
        for proxy in proxies:
            stage.client.ask(proxy.job("exchanges", count=WARM_EXCHANGES, warm=WARM_EXCHANGES))
        yield proxies


def _alternate[Side, Found](
    sides: tuple[Side, Side], rounds: int, measured: Callable[[Side], Found]
) -> tuple[list[Found], list[Found]]:
    """A B A B …: what disturbs the machine for a while disturbs both."""
    pairs = [(measured(sides[0]), measured(sides[1])) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _about(name: str, what: str, bound: float, notes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "what": what, "bound": bound, "notes": notes}
