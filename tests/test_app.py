"""The parts, put together: what a built proxy counts and tells of itself before anything has passed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import pytest

from lockgate.app import build
from lockgate.config import load
from lockgate.events import Request
from lockgate.exchange import Exchange, Ports
from lockgate.records import ExchangeRow
from tests.exposed import exposed
from tests.storage.records import decision, exchange_row

ROOT = Path(__file__).parent.parent


def test_a_proxy_tells_how_its_parts_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    service = build(load(flags={"home": str(tmp_path), "limits": {"spill_bytes": 12_345}}))
    assert service.health.states() == {"database": None, "spill": None, "upstreams": None, "heartbeat": None}
    found = exposed(service.gate.metrics)
    for part in ("database", "spill", "upstreams"):
        assert found("part_up", part=part) == 1
    for name in ("open_exchanges", "held_streams", "log_queue_rows", "log_queue_bytes", "spill_bytes"):
        assert found(name) == 0, name
    assert found("spill_limit_bytes") == 12_345
    assert found("log_lost_rows_total") == 0


def test_what_exchanges_find_is_told_to_health_and_to_who_wants_to_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heard: list[ExchangeRow] = []
    service = build(load(flags={"home": str(tmp_path)}), lambda row, x: heard.append(row))
    rows = [exchange_row(outcome="cut", kind=kind) for kind in ("model", "other", "model", "model")]
    request = Request(raw=b"", document={}, model="m", stream=False, find_texts=lambda _: ())
    x = Exchange(
        provider="anthropic", format="anthropic", host="api.anthropic.com", endpoint="/v1/messages",
        request=request, ports=cast(Ports, None),
    )  # fmt: skip
    for row in rows:
        service.gate._told(row, x)  # pyright: ignore[reportPrivateUsage]
    assert heard == [row for row in rows if row.kind == "model"]
    assert service.health.states()["upstreams"]
    assert exposed(service.gate.metrics)("part_up", part="upstreams") == 0


def test_the_dashboard_asks_for_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = build(load(flags={"home": str(tmp_path)})).gate.metrics
    metrics.ended(exchange_row(outcome="passed"), [decision("x")], 0.1)
    metrics.written(exchange_row(cost_nano_usd=1), "m")
    metrics.refused("access")
    there = set(exposed(metrics).names())
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {name for each in asked for name in re.findall(r"lockgate_\w+", each)}
    assert len(asked) > 10
    assert names <= there
