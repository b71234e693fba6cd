"""`/api/exchanges/{id}/frames` and its part of the page: what comes, by pages, and what is said where nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from lockgate.records import Record, new_id
from tests.admin.browser import needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office
from tests.admin.pages import suspicious
from tests.admin.payloads import ALL
from tests.admin.test_log_pages import page_at
from tests.storage.logs import remember
from tests.storage.records import exchange_row, frames_row

LONG = "x" * 1_500 + "the end"


async def remembered(office: Office, *texts: str, **changes: Any) -> str:
    """The id of an exchange with these frames; with none, where no text is given."""
    row = exchange_row(**changes)
    records: list[Record] = [row, *([frames_row(row.id, *texts)] if texts else [])]
    await remember(office.url, records)
    return row.id


async def test_frames_come_by_pages(anywhere: Office):
    id = await remembered(anywhere, "one", "two", "three", "four")
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        first = (await client.get(f"/api/exchanges/{id[-8:]}/frames?limit=3")).json()
        assert first["items"] == [
            {"side": "original", "number": 0, "milliseconds": 10.5, "held_milliseconds": 2.0, "same_as": 0,
             "text": "one", "base64": None},
            {"side": "original", "number": 1, "milliseconds": 11.5, "held_milliseconds": None, "same_as": None,
             "text": "two", "base64": None},
            {"side": "original", "number": 2, "milliseconds": 12.5, "held_milliseconds": 0.0, "same_as": 2,
             "text": "three", "base64": None},
        ]  # fmt: skip
        assert (first["kept"], first["next"]) == (True, 3)
        assert first["left_out"] == {"original": {"frames": 1, "bytes": 1204}}
        rest = (await client.get(f"/api/exchanges/{id}/frames", params={"start": 3})).json()
        assert [(each["side"], each["text"]) for each in rest["items"]] == [
            *(("final", "one"), ("final", "three"), ("final", "other \ufffd"), ("original", "four"), ("final", "four"))
        ]
        assert (rest["items"][2]["base64"], rest["next"]) == ("b3RoZXIg/w==", None)
        beyond = (await client.get(f"/api/exchanges/{id}/frames", params={"start": 30})).json()
        assert (beyond["items"], beyond["next"]) == ([], None)


async def test_where_there_are_none(anywhere: Office):
    id = await remembered(anywhere)
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        none = await client.get(f"/api/exchanges/{id}/frames")
        assert none.json() == {"kept": False, "items": [], "left_out": {}, "next": None}
        assert (await client.get(f"/api/exchanges/{new_id()}/frames")).status_code == 404
        for path in (f"/api/exchanges/{id}/frames?start=-1", "/api/exchanges/zz/frames", "/exchanges/zz/frames"):
            assert (await client.get(path)).status_code == 422, path
        for path in (f"{new_id()}/frames", f"{id}/frames/final/0"):
            assert (await client.get(f"/exchanges/{path}")).status_code == 404, path
    assert "log: {frames: all}" in await page_at(anywhere, f"/exchanges/{id}/frames", role="viewer")
    whole = await remembered(anywhere, streamed=False)
    assert "not streamed" in await page_at(anywhere, f"/exchanges/{whole}/frames", role="viewer")


async def test_the_part_of_the_page(here: Office):
    id = await remembered(here, "one", "two", LONG, *(f"frame {number}" for number in range(150)))
    first = await page_at(here, f"/exchanges/{id}/frames", role="viewer")
    assert "original 1, as it came" in first
    assert "not passed on as it came" in first
    assert "1,507 characters" in first
    assert "the end" not in first
    assert "more original frames" not in first
    assert "the end" in await page_at(here, f"/exchanges/{id}/frames/original/2", role="viewer")
    rest = await page_at(here, f"/exchanges/{id}/frames?start=300", role="viewer")
    assert "1 more original frames (1,204 bytes) were not kept" in rest
    assert first.count("<tr class") == 100
    assert rest.count("<tr class") == 6


async def test_the_largest_part_is_light(here: Office):
    id = await remembered(here, *("\u65e5" * 5_000 for _ in range(400)))
    assert len((await page_at(here, f"/exchanges/{id}/frames")).encode()) < 300_000


@pytest.mark.browser
@needs_chromium
async def test_frames_are_read_in_the_browser(here: Office):
    """Those that hold what could run too."""
    id = await remembered(here, "one", "two", LONG, ALL, *(f"frame {number}" for number in range(60)))
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/exchanges/{id}")
        await page.get_by_role("link", name="Frames", exact=True).click()
        rows = page.locator("table.frames tbody tr")
        await expect(rows.first).to_contain_text("original 1")
        long = page.locator("table.frames details").first
        await long.locator("summary").click()
        await long.get_by_role("button", name="All 1,507 characters").click()
        await expect(long.get_by_label("The whole text")).to_contain_text("the end")
        await page.locator(".more").scroll_into_view_if_needed()
        await expect(page.locator("table.frames")).to_have_count(2)
        await expect(page.get_by_text("more original frames")).to_be_visible()
        assert suspicious(await page.content()) == []
        assert visit.complaints == []
