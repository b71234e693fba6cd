"""What other proxies at the same database have logged is told to who watches, by the name of each, within bounds."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from lockgate.activity import Gap, Happening, Watcher
from lockgate.admin.activity import event_of
from lockgate.admin.others import Others
from lockgate.records import ExchangeRow, Record
from lockgate.storage import following
from lockgate.storage.following import Following
from lockgate.storage.queries import Queries
from tests.admin.browser import needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office
from tests.storage.logs import remember
from tests.storage.records import decision, exchange_row, whole_exchange

NAME = f"{socket.gethostname()}/{os.getpid()}"


class Elsewhere(Following):
    """Takes this process for another one."""

    def __init__(self) -> None:
        super().__init__(own=())


def read(watcher: Watcher) -> list[tuple[object, str] | Gap]:
    return [(one.what, one.by) if isinstance(one, Happening) else one for one in watcher.read()]


async def test_what_ended_elsewhere_is_told_once_with_its_proxys_name(anywhere: Office) -> None:
    others = Others(anywhere.desk.large, anywhere.desk.activity, Elsewhere())
    await remember(anywhere.url, [exchange_row()])
    with anywhere.desk.activity.watch() as watcher:
        await others.look()
        assert read(watcher) == [Gap(missed=0)]  # what was before is in the list that a page begins with
        ended, still = exchange_row(), exchange_row(outcome="open")
        await remember(anywhere.url, [ended, still, decision(ended.id)])
        await others.look()
        assert read(watcher) == [(ended, NAME)]
        await others.look()
        assert read(watcher) == []
        await remember(anywhere.url, [exchange_row(id=still.id, outcome="cut")])
        await others.look()
        assert [what.id for what, _ in read(watcher) if isinstance(what, ExchangeRow)] == [still.id]  # pyright: ignore


async def test_what_this_process_wrote_is_not_told_again(here: Office) -> None:
    others = Others(here.desk.large, here.desk.activity)
    with here.desk.activity.watch() as watcher:
        await others.look()
        watcher.read()
        await remember(here.url, whole_exchange())
        await others.look()
        assert read(watcher) == []


@asynccontextmanager
async def followed(url: str, seen: Following) -> AsyncIterator[Queries]:
    async with Queries(url) as log:
        assert await log.others(seen) is None
        yield log


async def write(url: str, batches: Sequence[Sequence[Record]]) -> None:
    """Each batch by a run of its own."""
    for records in batches:
        await remember(url, records)


async def test_more_than_is_told_at_once_is_a_gap(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ROWS", 3)
    async with followed(sqlite_url, seen := Elsewhere()) as log:
        await write(sqlite_url, [[exchange_row()], [exchange_row()], [exchange_row()]])
        assert [by for _, by in await log.others(seen) or ()] == [NAME] * 3
        await write(sqlite_url, [[exchange_row() for _ in range(4)]])
        assert await log.others(seen) is None
        await write(sqlite_url, [[exchange_row()]])
        assert len(await log.others(seen) or ()) == 1


async def test_one_chain_that_ran_ahead_is_a_gap(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SEALS", 0)
    async with followed(sqlite_url, seen := Elsewhere()) as log:
        await write(sqlite_url, [[exchange_row()]])
        assert await log.others(seen) is None
        assert await log.others(seen) == []


async def test_seals_that_others_damaged_are_passed_over(sqlite_url: str) -> None:
    import sqlite3

    async with followed(sqlite_url, seen := Elsewhere()) as log:
        await write(sqlite_url, [[exchange_row()]])
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE seal SET entries = x'00ff'")
        connection.close()
        assert await log.others(seen) == []


async def test_a_watcher_reads_whose_it_is(here: Office) -> None:
    with here.desk.activity.watch() as watcher:
        here.desk.activity.tell(exchange_row(model="there"), by="gate-2/7")
        here.desk.activity.tell(exchange_row(model="here"))
        there, ours = (event_of([one]) for one in watcher.read())
    assert b'"by":"gate-2/7"' in there
    assert b'"by"' not in ours


@pytest.mark.browser
@needs_chromium
async def test_the_page_marks_them_and_filters_by_them(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        from playwright.async_api import expect

        await expect(visit.page.locator("#state")).to_have_text("live")
        here.desk.activity.tell(exchange_row(model="there"), by="gate-2/7 <img src=x>")
        here.desk.activity.tell(exchange_row(model="here"))
        rows = visit.page.locator("#live tbody tr")
        await expect(rows).to_have_count(2)
        await visit.page.get_by_label("Filter").fill("proxy:gate-2")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("in gate-2/7 <img src=x>")
        assert visit.complaints == []
