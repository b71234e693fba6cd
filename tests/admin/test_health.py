"""The routes, over parts that really are as they say: databases that are stopped or locked, spills that are full."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest

from lockgate.admin.app import openapi
from lockgate.admin.proxy import Proxy
from lockgate.health import Degraded, Health
from lockgate.records import now
from lockgate.storage import condition
from lockgate.storage.log import SqlLog
from tests.admin.desks import Office, a_proxy, office
from tests.exposed import Exposed
from tests.storage.conftest import own_server, server_folder, start
from tests.storage.logs import OwnServer, locked, until, written
from tests.storage.records import exchange_row, whole_exchange

__all__ = ["own_server", "server_folder", "start"]

type Start = Callable[..., SqlLog]


class Asked:
    """The routes, with what they tell of."""

    def __init__(self, client: httpx2.AsyncClient, proxy: Proxy) -> None:
        self.client, self.proxy = client, proxy

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def ready(self) -> tuple[int, Mapping[str, Any]]:
        """The status, and what is degraded, by part."""
        answer = await self.get("/ready")
        document = answer.json()
        assert document["ready"] is (answer.status_code == 200)
        return answer.status_code, {each["part"]: each for each in document["degraded"]}

    async def health(self) -> Mapping[str, Any]:
        """What is not `ok`, by part."""
        return {each["part"]: each for each in (await self.get("/health")).json()["parts"] if each["state"] != "ok"}


@asynccontextmanager
async def asking(log: SqlLog | None = None, **parts: Any) -> AsyncIterator[Asked]:
    if log:
        parts |= {"database": lambda: condition.database(log), "spill": lambda: condition.spill(log)}
    proxy = a_proxy(Health(parts))
    with TemporaryDirectory() as folder:
        async with (
            office(f"sqlite:///{folder}/desk.db", Path(folder), proxy, metrics="open") as desk,
            desk.client() as client,
        ):
            yield Asked(client, proxy)


def recently(text: str) -> bool:
    return timedelta(0) <= now() - datetime.fromisoformat(text) < timedelta(minutes=2)


async def test_a_proxy_whose_parts_are_well_is_live_and_ready() -> None:
    async with asking(database=lambda: None, redis=lambda: None) as at:
        assert (await at.get("/live")).json() == {"live": True}
        answer = await at.get("/ready")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "degraded": []})
        assert answer.headers["cache-control"] == "no-store"
        document = (await at.get("/health")).json()
        assert document["state"] == "ok"
        assert [part["part"] for part in document["parts"]] == ["database", "redis"]
        assert recently(document["started_at"])


@pytest.mark.parametrize(("is_fatal", "status", "state"), [(False, 200, "degraded"), (True, 503, "failing")])
async def test_what_is_down_is_named_and_only_what_is_needed_counts(is_fatal: bool, status: int, state: str) -> None:
    since = datetime(2026, 11, 21, tzinfo=UTC)
    away = Degraded(what="away", since=since, is_fatal=is_fatal, detail="at redis.internal:6379")
    async with asking(database=lambda: None, redis=lambda: away) as at:
        answer = await at.get("/ready")
        told = {"part": "redis", "since": "2026-11-21T00:00:00Z", "what": "away"}
        assert (answer.status_code, answer.json()) == (status, {"ready": not is_fatal, "degraded": [told]})
        assert (await at.get("/health")).json()["state"] == state
        assert (await at.health())["redis"]["detail"] == "at redis.internal:6379"
        assert (await at.get("/live")).status_code == 200


async def test_a_locked_database_is_degraded_and_ready_until_it_is_free(
    database_url: str, start: Start, tmp_path: Path
) -> None:
    log = start(database_url, spill=tmp_path / "spill")
    async with asking(log) as at:
        async with locked(database_url):
            log.put(whole_exchange())
            await until(lambda: condition.database(log))
            status, parts = await at.ready()
            assert (status, set(parts)) == (200, {"database"})
            assert recently(parts["database"]["since"])
            await until(lambda: log.behind_since)
        await written(log)
        await until(lambda: not condition.database(log))
        assert await at.ready() == (200, {})
    assert await log.close() == []


@pytest.mark.postgres
async def test_a_stopped_postgresql_is_degraded_and_ready_until_it_is_back(
    own_server: OwnServer, start: Start, tmp_path: Path
) -> None:
    with own_server.running() as url:
        log = start(url, spill=tmp_path / "spill")
        log.put(whole_exchange())
        await written(log)
    async with asking(log) as at:
        assert await at.ready() == (200, {})
        log.put(whole_exchange())
        await until(lambda: log.away)
        status, parts = await at.ready()
        assert (status, set(parts)) == (200, {"database"})
        assert str(own_server.server.folder) not in repr(parts)
        assert str(own_server.server.folder) in (await at.health())["database"]["detail"]
        with own_server.running():
            await written(log)
            await until(lambda: not condition.database(log))
            assert await at.ready() == (200, {})
            assert await log.close() == []


@pytest.mark.parametrize("refuse", [False, True])
async def test_a_full_spill_is_not_ready_until_there_is_room(
    sqlite_url: str, start: Start, tmp_path: Path, refuse: bool
) -> None:
    log = start(sqlite_url, spill=tmp_path / "spill", spill_bytes=20_000, refuse=refuse)
    async with asking(log) as at:
        async with locked(sqlite_url):
            while not log.backlog.blocked:
                log.put(whole_exchange())
                await asyncio.sleep(0.01)
            status, parts = await at.ready()
            assert (status, "spill" in parts) == (503, True)
            assert str(tmp_path) not in repr(parts)
            told = (await at.health())["spill"]
            assert (told["state"], "limits.spill_bytes is 20,000" in told["detail"]) == ("failing", True)
        await written(log)
        await until(lambda: not (condition.database(log) or condition.spill(log)))
        assert await at.ready() == (200, {})
    assert await log.close() == []


async def test_a_spill_that_is_nearly_full_is_told_and_stops_nothing(
    sqlite_url: str, start: Start, tmp_path: Path
) -> None:
    log = start(sqlite_url, spill=tmp_path / "spill", spill_bytes=30_000)
    assert log.spill
    async with asking(log) as at:
        async with locked(sqlite_url):
            while log.spill.size < 24_000:
                before = log.spill.size
                log.put([exchange_row(error="x" * 500)])
                await until(lambda before=before: log.spill and log.spill.size > before)
            status, parts = await at.ready()
            assert (status, set(parts)) == (200, {"database", "spill"})
        await written(log)
        await until(lambda: not condition.spill(log))
    assert await log.close() == []


async def test_without_a_spill_a_full_memory_is_not_ready(sqlite_url: str, start: Start) -> None:
    log = start(sqlite_url, queue_rows=20)
    async with asking(log) as at:
        async with locked(sqlite_url):
            log.put(whole_exchange())
            await until(lambda: log.away)
            assert (await at.ready())[0] == 200
            for _ in range(3):
                log.put(whole_exchange())
            status, parts = await at.ready()
            assert (status, set(parts)) == (503, {"database"})
        await written(log)
    assert await log.close() == []


async def test_a_log_that_has_stopped_is_told_for_good(
    sqlite_url: str, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    log = start(sqlite_url)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("sk-secret")

    monkeypatch.setattr(log, "_store", broken)
    log.put(whole_exchange())
    await until(lambda: log.stopped)
    async with asking(log) as at:
        status, parts = await at.ready()
        assert (status, "has stopped" in parts["database"]["what"]) == (503, True)
        assert "ZeroDivisionError" in (await at.health())["database"]["detail"]
        assert "sk-secret" not in (await at.get("/health")).text
    await log.close()


async def test_metrics_are_told_as_they_are_asked_for() -> None:
    async with asking() as at:
        at.proxy.metrics.ended(exchange_row(outcome="passed"))
        answer = await at.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert list(Exposed(answer.text).of("exchanges_total").values()) == [1]
        assert "process_resident_memory_bytes" in answer.text
        open_metrics = await at.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")


async def test_the_routes_are_documented(here: Office) -> None:
    paths = openapi(here.app)["paths"]
    assert {"/live", "/ready", "/health", "/metrics"} <= set(paths)
    assert set(paths["/ready"]["get"]["responses"]) == {"200", "503"}
    assert list(paths["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
