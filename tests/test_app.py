"""The parts, put together: what a built proxy counts and tells of itself before anything has passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.app import build
from lockgate.config import load
from tests.exposed import exposed


def test_a_proxy_tells_how_its_parts_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    service = build(load(flags={"home": str(tmp_path), "limits": {"spill_bytes": 12_345}}))
    assert service.health.states() == {"database": None, "spill": None, "upstreams": None}
    found = exposed(service.gate.metrics)
    for part in ("database", "spill", "upstreams"):
        assert found("part_up", part=part) == 1
    for name in ("open_exchanges", "held_streams", "log_queue_rows", "log_queue_bytes", "spill_bytes"):
        assert found(name) == 0, name
    assert found("spill_limit_bytes") == 12_345
    assert found("log_lost_rows_total") == 0
