"""What is counted of exchanges, and told to Prometheus. No label ever comes from what a client sent.

An exchange is counted once, when it ends; tokens and cost when the log has written them, as only the log knows them.
Counting is a dictionary's work; the library that writes the numbers down is imported when somebody asks for them.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lockgate.errors import told
from lockgate.events import Usage
from lockgate.records import Decision, ExchangeRow

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

logger = logging.getLogger(__name__)

type Labels = tuple[str, ...]
type Refusal = Literal[
    "access", "limit", "rule", "stop", "egress", "endpoint", "protocol", "misdirected", "oversize", "unreadable", "log",
    "failure",
]  # fmt: skip
"""Why a request was answered by Lockgate itself, or its reply cut from outside."""

OTHER = "other"
MOST_NAMES = 200
"""So many projects, and so many rules, have a label of their own; all further ones share one."""
LONGEST_NAME = 100
LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""From what a cache answers to what an agent's longest turns take."""
RULE_LATENCIES = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
"""From a pattern to a person's word."""
NANO = 10**9
TOKENS = ("input", "output", "cache_read", "cache_write")
OUTSIDE: Mapping[str, Refusal] = {"access": "access", "kill_switch": "stop"}
"""What ends exchanges that are under way, by the rule that its decision names."""


@dataclass(slots=True)
class Counter:
    """Only ever grows. Written by one thread; `values` may be copied by any."""

    name: str
    help: str
    labels: Labels
    divisor: int = 1
    """What is counted is a whole number of such parts."""
    values: dict[Labels, int] = field(default_factory=dict[Labels, int])

    def add(self, labels: Labels, amount: int = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def family(self) -> Metric:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in dict(self.values).items():
            family.add_metric(labels, value / self.divisor)
        return family


@dataclass(slots=True)
class Histogram:
    """How often how long, in seconds. Written by one thread; `values` may be copied by any."""

    name: str
    help: str
    labels: Labels
    bounds: tuple[float, ...] = LATENCIES
    values: dict[Labels, list[float]] = field(default_factory=dict[Labels, list[float]])
    """For each bound, then for what is above, how often; then the sum."""

    def observe(self, labels: Labels, seconds: float) -> None:
        if (counts := self.values.get(labels)) is None:
            counts = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        counts[bisect_left(self.bounds, seconds)] += 1
        counts[-1] += seconds

    def family(self) -> Metric:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        for labels, values in dict(self.values).items():
            *counts, total = values
            sums = [sum(counts[: i + 1]) for i in range(len(counts))]
            family.add_metric(labels, list(zip(names, sums, strict=True)), total)
        return family


@dataclass(slots=True)
class Gauge:
    """What is so now: read when somebody asks, on the event loop."""

    name: str
    help: str
    read: Callable[[], float | Mapping[str, float]]
    """One number, or one for each value of the label."""
    label: str = ""
    only_grows: bool = False

    def family(self) -> Metric:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kind = CounterMetricFamily if self.only_grows else GaugeMetricFamily
        family = kind(self.name, self.help, labels=[self.label] if self.label else [])
        read = self.read()
        for label, value in read.items() if isinstance(read, Mapping) else [("", read)]:
            family.add_metric([label] if self.label else [], value)
        return family


class Names:
    """The first so many different names; all others are one."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most, self._known = most, set[str]()

    def __call__(self, name: str) -> str:
        name = name[:LONGEST_NAME]
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name


class Metrics:
    """What one proxy has counted since it started."""

    def __init__(self, hosts: Collection[str] = ()) -> None:
        """`hosts` are the model hosts of the configuration, in lower case."""
        self._hosts = {host: host for host in hosts}
        self._projects, self._rules = Names(), Names()
        self._registry: CollectorRegistry | None = None
        self.gauges: list[Gauge] = []
        self.exchanges = Counter(
            "lockgate_exchanges", "Exchanges that ended, by how.", ("host", "provider", "kind", "project", "outcome")
        )
        self.refusals = Counter("lockgate_refusals", "Requests refused or stopped, by why.", ("host", "kind"))
        self.decisions = Counter("lockgate_rule_decisions", "What rules did.", ("rule", "mode", "action"))
        self.model_exchanges = Counter(
            "lockgate_model_exchanges", "Exchanges that the log has, by model.", ("host", "model", "outcome")
        )
        self.tokens = Counter("lockgate_tokens", "Tokens that the log has.", ("host", "model", "project", "kind"))
        self.cost = Counter("lockgate_cost_usd", "What they cost.", ("host", "model", "project"), NANO)
        self.first_byte = Histogram(
            "lockgate_first_byte_seconds", "From the request to the first byte for the client.", ("host",)
        )
        self.duration = Histogram("lockgate_exchange_duration_seconds", "From the request to the end.", ("host",))
        self.hold = Histogram(
            "lockgate_hold_seconds", "How long rules made exchanges wait, of those that waited at all.", ("host",)
        )
        self.rule_duration = Histogram(
            "lockgate_rule_duration_seconds", "How long a decision took.", ("rule",), RULE_LATENCIES
        )

    def ended(self, row: ExchangeRow, decisions: Sequence[Decision] = (), held_seconds: float = 0.0) -> None:
        """Count an exchange, or a request beside a conversation."""
        host = self._host(row.host)
        self.exchanges.add((host, row.provider, row.kind, self._projects(row.project), row.outcome))
        if row.kind == "model" and row.outcome != "refused":  # what was never sent is no latency of a model's
            if row.first_byte_ms is not None:
                self.first_byte.observe((host,), row.first_byte_ms / 1000)
            if row.duration_ms is not None:
                self.duration.observe((host,), row.duration_ms / 1000)
        if held_seconds:
            self.hold.observe((host,), held_seconds)
        for decision in decisions:
            self._decided(decision, host)

    def refused(self, kind: Refusal, host: str = "") -> None:
        """Count a request that Lockgate answers itself; `host` is the one that was asked for."""
        self.refusals.add((self._host(host), kind))

    def written(self, row: ExchangeRow, model: str) -> None:
        """Count what an exchange took, as the log has it; `model` is its name in the price list, if it has one.

        Called on the log's thread, which alone writes these three.
        """
        host, model, project = self._host(row.host), model or OTHER, self._projects(row.project)
        self.model_exchanges.add((host, model, row.outcome))
        for kind, count in _counts(row.usage):
            self.tokens.add((host, model, project, kind), count)
        if row.cost_nano_usd:
            self.cost.add((host, model, project), row.cost_nano_usd)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All numbers in a format that the `Accept` header allows, and its content type."""
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """For the library."""
        counted = (self.exchanges, self.refusals, self.decisions, self.model_exchanges, self.tokens, self.cost)
        timed = (self.first_byte, self.duration, self.hold, self.rule_duration)
        for each in (*counted, *timed, *self.gauges):
            try:
                yield each.family()
            except Exception as error:  # the others are told all the same
                logger.error("the metric %s cannot be read: %s", each.name, told(error))

    def _host(self, host: str) -> str:
        return self._hosts.get(host) or self._hosts.get(host.lower().rstrip("."), OTHER)

    def _decided(self, decision: Decision, host: str) -> None:
        rule = self._rules(decision.rule)
        self.decisions.add((rule, decision.mode, decision.action))
        if decision.milliseconds and decision.action != "held":  # that one is told again by what became of it
            self.rule_duration.observe((rule,), decision.milliseconds / 1000)
        if decision.subject == "reply" and (kind := OUTSIDE.get(decision.rule)):
            self.refused(kind, host)


def _counts(usage: Usage | None) -> Iterator[tuple[str, int]]:
    for kind in TOKENS if usage else ():
        if count := getattr(usage, f"{kind}_tokens"):
            yield kind, count
