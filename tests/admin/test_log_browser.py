"""What a person does with exchanges and sessions, in a real browser; and what is written there does not run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import expect

from lockgate.admin.console.sessions import TURNS
from lockgate.records import Comm
from tests.admin.browser import Visit, needs_chromium, visiting
from tests.admin.conversations import conversation
from tests.admin.desks import PASSWORD, Office
from tests.admin.payloads import ALL, WITHOUT_HALVES
from tests.storage.logs import remember
from tests.storage.records import comm, decision, exchange_row, whole_exchange

pytestmark = [pytest.mark.browser, needs_chromium]

BARE = WITHOUT_HALVES.replace("\x00", "")


async def test_a_long_session_is_read_by_scrolling(here: Office):
    records: Any = conversation(60)
    await remember(here.url, records)
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/sessions")
        async with visit.going():
            await page.get_by_role("link", name="tidy up").click()
        turns = page.locator(".turn")
        await expect(turns).to_have_count(TURNS)
        await page.locator(".more").scroll_into_view_if_needed()
        await expect(turns).to_have_count(2 * TURNS)
        await page.locator(".more").scroll_into_view_if_needed()
        await expect(turns).to_have_count(60)
        await expect(page.locator(".more")).to_have_count(0)
        call = turns.nth(TURNS - 1).locator("details.call")
        await call.locator("summary").click()
        await expect(call.get_by_label("Result")).to_have_text(f"result {TURNS - 1} ")
        async with visit.going():
            await page.get_by_role("link", name="Its newest turns").click()
        await expect(turns).to_have_count(TURNS)
        await page.get_by_role("button", name="Earlier turns").click()
        await expect(turns).to_have_count(2 * TURNS)
        assert [each for each in visit.complaints if "/files/" not in each] == []


async def test_filters_and_search_without_a_manual(here: Office):
    await remember(here.url, [exchange_row(model="m-one"), exchange_row(model="m-two", outcome="passed")])
    await remember(here.url, conversation(2, text="needle"))
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/exchanges")
        rows = page.locator("#found tbody tr")
        await expect(rows).to_have_count(4)
        await page.get_by_label("Outcome").select_option("passed")
        await expect(rows).to_have_count(1)
        await expect(page).to_have_url(re.compile("outcome=passed"))
        async with visit.going():
            await page.get_by_role("link", name="Remove the filter outcome: passed").click()
        await expect(rows).to_have_count(4)
        await page.keyboard.press("/")
        await page.keyboard.type("needle")
        await page.keyboard.press("Enter")
        await expect(page.locator("#found mark").first).to_have_text("needle")
        await page.locator(".hit a").first.click()
        await expect(page.get_by_role("heading", name="What was new")).to_be_visible()
        assert [each for each in visit.complaints if "/files/" not in each] == []


async def test_a_part_that_cannot_be_had_says_so_and_an_ended_session_logs_in(here: Office):
    records: Any = conversation(60)
    await remember(here.url, [*records, *(whole := whole_exchange())])
    row: Any = whole[0]
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/exchanges/{row.id}")
        await expect(page.locator("table.sides").first).to_be_visible()
        await page.evaluate("document.querySelector('[hx-get*=curl]').setAttribute('hx-get', '/exchanges/odd!/curl')")
        await page.get_by_text("Copy as curl").click()
        await expect(page.get_by_role("alert")).to_have_text("an exchange's id has 6 to 32 hexadecimal digits")
        await page.goto(f"{visit.base}/sessions/{records[0].id}")
        await page.context.clear_cookies()
        await page.locator(".more").scroll_into_view_if_needed()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await expect(page).to_have_url(f"{visit.base}/login?then=/sessions/{records[0].id}")


async def test_an_operator_labels_notes_and_copies(here: Office):
    records: Any = whole_exchange()
    await remember(here.url, records)
    here.hire("ada", "operator", password=PASSWORD)
    async with visiting(here, permissions=["clipboard-read", "clipboard-write"]) as visit:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/exchanges/{records[0].id}")
        await page.get_by_label("New label").fill("incident")
        async with visit.going():
            await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_role("button", name="Remove the label incident")).to_be_visible()
        await page.get_by_label("New note").fill("look at **this**")
        async with visit.going():
            await page.get_by_role("button", name="Write").click()
        await expect(page.locator(".notice", has_text="look at **this**")).to_be_visible()
        async with visit.going():
            await page.get_by_role("button", name="Remove the label incident").click()
        await expect(page.get_by_text("No labels.")).to_be_visible()
        await page.get_by_text("Copy as curl").click()
        await page.get_by_role("button", name="Copy", exact=True).click()
        await expect(page.locator("#said")).to_have_text("Copied.")
        assert "$API_KEY" in await page.evaluate("navigator.clipboard.readText()")
        await page.locator("summary", has_text="the document").nth(1).click()
        await expect(page.locator("pre.whole")).to_have_text('{\n  "a": 2\n}')
        assert visit.complaints == []


async def test_nothing_that_others_wrote_runs(here: Office):
    records: Any = conversation(3, text=ALL, title=BARE, agent=BARE, project=BARE)
    fields = dict.fromkeys(("model", "agent", "endpoint", "error", "stop_reason"), BARE)
    odd: Any = [
        replace(record, headers=((BARE, BARE),), source=BARE, destination=BARE) if isinstance(record, Comm) else record
        for record in whole_exchange(**fields, rules=(BARE,))
    ]
    body = json.dumps({"x": ALL, ALL: [ALL]}).encode()
    odd += [comm(odd[0].id, content=body), decision(odd[0].id, rule=BARE, reason=BARE, given=body, out=body)]
    await remember(here.url, [*records, *odd])
    here.hire("ada", "operator", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))
        paths = ("/exchanges", "/exchanges?q=alert", "/sessions", f"/sessions/{records[0].id}")
        for path in (*paths, f"/exchanges/{odd[0].id}", f"/exchanges/{records[1].id}"):
            await visit.page.goto(visit.base + path)
            await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            await _open_all(visit)
        assert [url for url in asked if not url.startswith((visit.base, "data:image/svg+xml"))] == []
        assert [each for each in visit.complaints if "/files/" not in each] == []


async def _open_all(visit: Visit) -> None:
    for summary in await visit.page.locator("main summary").all():
        await summary.dispatch_event("click")
    await expect(visit.page.get_by_text("Loading …")).to_have_count(0)
