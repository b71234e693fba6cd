"""The kill switch of each proxy follows the database and the stop file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.audit import Audit
from lockgate.addons import kill_watch
from lockgate.addons.kill_watch import KillWatch
from lockgate.addons.stop_file import write
from lockgate.policies.kill_switch import KillSwitch
from lockgate.records import Kill
from lockgate.storage import schema
from lockgate.storage.kills import Kills
from lockgate.storage.signals import Signals
from tests.policies.test_kill_switch import exchange
from tests.storage.logs import OwnServer
from tests.upstream.waiting import Changes, soon

__all__ = ["own_server", "server_folder"]

from tests.storage.conftest import own_server, server_folder


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_watch, "LOOK_SECONDS", 0.01)


class Proxy:
    """What one proxy knows."""

    def __init__(self, url: str, folder: Path, audit: Audit | None = None) -> None:
        self.signals = Signals(url)
        self.watch = KillWatch(KillSwitch(), url, folder / "stop", self.signals, audit)
        self.changes = Changes()

    @property
    def kills(self) -> list[Kill]:
        return list(self.watch.switch.kills)

    async def until(self, *kills: Kill) -> None:
        await self.changes.until(lambda: self.kills == list(kills))


@asynccontextmanager
async def running(url: str, folder: Path, audit: Audit | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(url, folder, audit)
    proxy.signals.start()
    proxy.watch.start(proxy.changes.tell)
    try:
        yield proxy
    finally:
        await proxy.signals.close()
        await proxy.watch.close()


async def test_every_proxy_hears_of_a_kill_and_of_its_end(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    kill = Kill(scope="agent", target="codex")
    with Kills(database_url) as kills:
        async with running(database_url, tmp_path) as one, running(database_url, tmp_path) as other:
            await asyncio.to_thread(kills.add, kill)
            await asyncio.gather(one.until(kill), other.until(kill))
            async with running(database_url, tmp_path) as late:
                assert late.kills == [kill], "known before the first request"
            await asyncio.to_thread(kills.lift, kill.id, "ana")
            await asyncio.gather(one.until(), other.until())


async def test_a_session_that_a_rule_ends_is_ended_everywhere(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    async with running(database_url, tmp_path) as one, running(database_url, tmp_path) as other:
        ending = exchange()
        one.watch.end_session(ending, ["s-1", "words"], seconds=60, rule="careful", sentence="That is all.")
        [kill] = one.kills
        assert one.watch.switch.stops(ending) is None
        assert one.watch.switch.stops(exchange()) == kill
        await other.until(kill)
        assert (kill.set_by, kill.reason, kill.names) == ("rule careful", "That is all.", ("s-1", "words"))
        assert other.watch.switch.stops(exchange()) == kill


@pytest.mark.postgres
async def test_what_was_known_stays_while_the_database_is_away(
    own_server: OwnServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    first, second = Kill(scope="agent", target="codex"), Kill(scope="host", target="a.example")
    with own_server.running() as url:
        schema.upgrade(url)
        with Kills(url) as kills:
            kills.add(first)
        proxy = Proxy(url, tmp_path)
        proxy.signals.start()
        proxy.watch.start(proxy.changes.tell)
        await proxy.until(first)
    try:
        await _said(caplog, "are not heard of")
        proxy.watch.end_session(exchange(), ["s-1"], seconds=60, rule="careful", sentence="Over.")
        await _said(caplog, "stopped by this proxy alone for now")
        [ended, known] = proxy.kills
        assert known == first
        with own_server.running() as url:
            with Kills(url) as kills:
                await asyncio.to_thread(kills.add, second)
                await proxy.changes.until(lambda: second in proxy.kills and first in proxy.kills)
                assert ended in await asyncio.to_thread(kills.in_force)
    finally:
        await proxy.signals.close()
        await proxy.watch.close()


async def _said(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(30):
        while words not in caplog.text:  # noqa: ASYNC110  (a log tells nobody)
            await asyncio.sleep(0.005)


async def test_the_stop_file_comes_and_goes(sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    schema.upgrade(sqlite_url)
    async with running(sqlite_url, tmp_path) as proxy:
        assert proxy.kills == []
        (tmp_path / "stop").write_text("A drill\n")
        await proxy.changes.until(lambda: [kill.reason for kill in proxy.kills] == ["A drill"])
        (tmp_path / "stop").unlink()
        await proxy.until()
        (tmp_path / "stop").mkdir()
        await proxy.changes.until(lambda: proxy.kills)
        looked = proxy.changes
        (tmp_path / "stop").rmdir()
        await looked.until(lambda: not proxy.kills)
    said = [record.getMessage() for record in caplog.records]
    assert sum("in force: kill file: all, by the stop file of" in each for each in said) == 2
    assert sum("over: kill file" in each for each in said) == 2
    assert sum("is no plain file" in each for each in said) == 1, "once, however often it is looked at"


async def test_a_stop_file_that_is_there_at_the_start_counts(sqlite_url: str, tmp_path: Path) -> None:
    schema.upgrade(sqlite_url)
    (tmp_path / "stop").touch()
    async with running(sqlite_url, tmp_path) as proxy:
        assert [kill.scope for kill in proxy.kills] == ["all"]


async def test_more_kills_than_are_kept_are_told(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    schema.upgrade(sqlite_url)
    monkeypatch.setattr(kill_watch, "MOST", 3)
    monkeypatch.setattr(kill_watch, "SHOWN", 2)
    with Kills(sqlite_url) as kills:
        for number in range(4):
            kills.add(Kill(scope="agent", target=f"a-{number}"))
    async with running(sqlite_url, tmp_path) as proxy:
        assert sorted(kill.target for kill in proxy.kills) == ["a-1", "a-2", "a-3"]
    assert "more than 3 kills are in force" in caplog.text
    assert "in force: 1 kills more" in caplog.text
    await soon(asyncio.sleep(0))


async def test_what_the_stop_file_does_is_noted(sqlite_url: str, tmp_path: Path) -> None:
    """Whoever writes it needs no database, so that nobody else could."""
    schema.upgrade(sqlite_url)
    noted, file = list[dict[str, Any]](), tmp_path / "stop"

    class Trail:
        def note(self, **entry: Any) -> None:
            noted.append(entry)

    write(file, "smoke")
    async with running(sqlite_url, tmp_path, Trail()) as proxy:
        file.unlink()
        await proxy.until()
    assert [(one["act"], one["subject"], one["after"]) for one in noted] == [
        ("kill.create", f"stop file {file}", {"reason": "smoke"}),
        ("kill.lift", f"stop file {file}", None),
    ]
    assert all(one["who"].startswith("the stop file of ") for one in noted)
