"""What is counted, how it is told, and that no client can make it grow or speak."""

from __future__ import annotations

import random
import string
import time
from statistics import median
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from lockgate.events import Usage
from lockgate.metrics import LATENCIES, MOST_NAMES, Gauge, Metrics
from lockgate.records import Decision, ExchangeRow
from tests.exposed import exposed
from tests.storage.records import decision, exchange_row

HOSTS = ("api.anthropic.com", "api.openai.com")


def decided(**changes: Any) -> Decision:
    return decision("x", **changes)


def row(**changes: Any) -> ExchangeRow:
    return exchange_row(**{"outcome": "passed", "project": "", **changes})


def test_an_exchange_is_told_by_how_it_ended_and_how_long_it_took() -> None:
    metrics = Metrics(HOSTS)
    metrics.ended(row(first_byte_ms=80.0, duration_ms=1_500.0, project="shop"), held_seconds=0.4)
    metrics.ended(row(first_byte_ms=20_000.0, duration_ms=700_000.0, outcome="cut"))
    found, host = exposed(metrics), "api.anthropic.com"
    known = {"host": host, "provider": "anthropic", "kind": "model"}
    assert found("exchanges_total", **known, project="shop", outcome="passed") == 1
    assert found("exchanges_total", **known, outcome="cut") == 1
    for bound, count in (("0.05", 0), ("0.1", 1), ("10.0", 1), ("30.0", 2), ("+Inf", 2)):
        assert found("first_byte_seconds_bucket", host=host, le=bound) == count
    assert found("first_byte_seconds_sum", host=host) == pytest.approx(20.08)
    assert found("exchange_duration_seconds_bucket", host=host, le="600.0") == 1
    assert found("exchange_duration_seconds_count", host=host) == 2
    assert found("hold_seconds_count", host=host) == 1
    assert (LATENCIES[0], LATENCIES[-1]) == (0.01, 600)


def test_what_was_never_sent_has_no_latency() -> None:
    metrics = Metrics(HOSTS)
    metrics.ended(row(outcome="refused"))
    metrics.ended(row(kind="other"))
    assert not list(exposed(metrics).names("seconds"))


def test_decisions_are_told_by_rule_and_a_wait_is_told_once() -> None:
    metrics = Metrics(HOSTS)
    decisions = [
        decided(action="held", milliseconds=3_000.0),
        decided(action="blocked", milliseconds=3_000.0),
        decided(action="forwarded", mode="shadow", milliseconds=0.05),
    ]
    metrics.ended(row(), decisions)
    found = exposed(metrics)
    for mode, action in (("enforce", "held"), ("enforce", "blocked"), ("shadow", "forwarded")):
        assert found("rule_decisions_total", rule="no-touch", mode=mode, action=action) == 1
    assert found("rule_duration_seconds_count", rule="no-touch") == 2
    assert found("rule_duration_seconds_bucket", rule="no-touch", le="0.0001") == 1
    assert not list(found.names("refusals"))


@pytest.mark.parametrize(("rule", "kind"), [("access", "access"), ("kill_switch", "stop")])
def test_a_reply_that_is_cut_from_outside_is_a_refusal_too(rule: str, kind: str) -> None:
    metrics = Metrics(HOSTS)
    metrics.ended(row(outcome="blocked"), [decided(rule=rule, subject="reply", milliseconds=0.0)])
    assert exposed(metrics)("refusals_total", host="api.anthropic.com", kind=kind) == 1


def test_tokens_and_cost_are_those_of_the_log() -> None:
    metrics = Metrics(HOSTS)
    used = Usage(input_tokens=10, output_tokens=20, cache_read_tokens=30)
    for _ in range(3):
        metrics.written(row(usage=used, cost_nano_usd=1_000_000_100, project="shop"), "claude-x*")
    metrics.written(row(usage=None), "")
    found, where = exposed(metrics), {"host": "api.anthropic.com", "model": "claude-x*", "project": "shop"}
    assert found("tokens_total", **where, kind="input") == 30
    assert found("tokens_total", **where, kind="cache_read") == 90
    assert found("tokens_total", **where, kind="cache_write") is None
    assert found("cost_usd_total", **where) == 3.0000003
    assert found("model_exchanges_total", host="api.anthropic.com", model="other", outcome="passed") == 1


def test_gauges_are_read_when_somebody_asks_and_one_that_fails_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    metrics, now = Metrics(), {"database": 1.0}
    metrics.gauges += [
        Gauge("lockgate_broken", "Fails.", lambda: 1 // 0),
        Gauge("lockgate_lost", "Grows.", lambda: 7, only_grows=True),
        Gauge("lockgate_part_up", "Parts.", lambda: now, "part"),
    ]
    found = exposed(metrics)
    assert (found("lost_total"), found("part_up", part="database")) == (7, 1)
    now["database"] = 0
    assert exposed(metrics)("part_up", part="database") == 0
    assert "lockgate_broken cannot be read: ZeroDivisionError" in caplog.text


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    metrics = Metrics(HOSTS)
    metrics.ended(row(), [decided()], 0.1)
    metrics.written(row(), "claude-x*")
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in read_openmetrics(body.decode())}
    assert {"lockgate_exchanges", "lockgate_cost_usd", "lockgate_hold_seconds"} <= names


def test_labels_are_bounded_whatever_clients_and_operators_send() -> None:
    metrics, chance = Metrics(HOSTS), random.Random(5)
    secret = "sk-ant-api03-" + "x" * 40

    def anything() -> str:
        size = 3_000 if chance.random() < 0.01 else 8
        return "".join(chance.choices(string.printable + "é\u2028\x00", k=size))

    for _ in range(10_000):
        sent = f"{secret}{anything()}"
        one = row(
            host=sent, model=sent, agent=sent, endpoint=sent, error=sent, session_id=sent, client=sent, token=sent,
            provider="openai", project=anything(), stop_reason=sent,
        )  # fmt: skip
        metrics.ended(one, [decided(rule=anything(), reason=sent, given=sent.encode(), out=sent.encode())])
        metrics.written(one, "")
        metrics.refused("access", sent)
    found = exposed(metrics)
    assert secret not in found.text
    assert len(list(found.names())) < 20 * (MOST_NAMES + 2)
    by_project = found.of("exchanges_total").values()
    assert (len(by_project), sum(by_project)) == (MOST_NAMES + 1, 10_000)
    assert found("refusals_total", host="other", kind="access") == 10_000
    assert found("model_exchanges_total", host="other", model="other", outcome="passed") == 10_000


def test_hosts_are_told_by_their_name_in_the_configuration() -> None:
    metrics = Metrics(HOSTS)
    for host in ("api.anthropic.com", "API.Anthropic.COM.", "evil.example"):
        metrics.refused("access", host)
    assert metrics.refusals.values == {("api.anthropic.com", "access"): 2, ("other", "access"): 1}


def test_an_exchange_costs_microseconds() -> None:
    """What it costs is printed (`pytest -s`), and asserted a hundred times as loosely."""
    metrics, one, decisions = Metrics(HOSTS), row(project="shop"), [decided() for _ in range(3)]

    def microseconds(count: int = 2_000) -> float:
        began = time.thread_time()
        for _ in range(count):
            metrics.ended(one, decisions)
        return (time.thread_time() - began) / count * 1e6

    cost = median(microseconds() for _ in range(9))
    print(f"\n{cost:.2f} us an exchange with 3 decisions")
    assert cost < 1_000
