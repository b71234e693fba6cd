"""What the log tells of itself; tests/admin/test_health.py has the parts of a proxy's health that are made of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.metrics import Metrics
from lockgate.storage.log import SqlLog
from tests.exposed import exposed
from tests.storage.logs import written
from tests.storage.records import exchange_row, whole_exchange

type Start = Callable[..., SqlLog]


async def test_the_log_tells_what_exchanges_took_once_they_are_written(database_url: str, start: Start) -> None:
    metrics = Metrics(["api.anthropic.com"])
    log = start(database_url, written=metrics.written)
    row = exchange_row(model="claude-haiku-4-5-20251001", counted_by="none", project="shop")
    log.put([exchange_row(id=row.id, outcome="open", usage=None)])
    log.put([row, exchange_row(kind="other"), exchange_row(model="sk-ant-secret", usage=None, outcome="refused")])
    assert await log.close() == []
    found = exposed(metrics)
    where = {"host": "api.anthropic.com", "model": "claude-haiku-4-5*", "project": "shop"}
    told = {kind: found("tokens_total", **where, kind=kind) for kind in ("input", "output", "cache_read")}
    assert told == {"input": 10, "output": 20, "cache_read": 30}
    assert found("cost_usd_total", **where) == (10_000 + 20 * 5_000 + 30 * 100 + 40 * 1_250) / 1e9
    assert found("model_exchanges_total", host="api.anthropic.com", model="other", outcome="refused") == 1
    assert "sk-ant" not in found.text


async def test_what_cannot_be_counted_is_written_all_the_same(
    sqlite_url: str, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("sk-secret")

    log = start(sqlite_url, written=broken)
    log.put(whole_exchange())
    await written(log)
    assert await log.close() == []
    assert "ZeroDivisionError" in caplog.text
    assert "sk-secret" not in caplog.text
