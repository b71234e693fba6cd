"""What the page Now shows, in a real browser: what goes on, as it goes on, and as text only."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from lockgate import activity
from lockgate.activity import Growth
from tests.admin.browser import needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office
from tests.storage.logs import remember
from tests.storage.records import exchange_row

pytestmark = [pytest.mark.browser, needs_chromium]

PAYLOAD = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e"


async def test_exchanges_appear_grow_and_end(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        await expect(visit.page.locator("#state")).to_have_text("live")
        row = exchange_row(outcome="open", model=PAYLOAD, agent="claude-code", rules=())
        here.desk.activity.put((row,))
        shown = visit.page.locator("#live tbody tr")
        await expect(shown).to_have_count(1)
        await expect(shown).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(shown).to_contain_text("open")
        here.desk.activity.put((exchange_row(id=row.id, outcome="blocked", rules=("no-touch",)),))
        await expect(shown).to_contain_text("no-touch")
        await expect(shown).to_have_count(1)
        assert visit.complaints == []


async def test_a_filter_leaves_out_and_a_pause_waits(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.log_in()
        page = visit.page
        await expect(page.locator("#state")).to_have_text("live")
        here.desk.activity.put((exchange_row(model="claude-a"), exchange_row(model="gpt-b", provider="openai")))
        rows = page.locator("#live tbody tr")
        await expect(rows).to_have_count(2)
        await page.get_by_label("Filter").fill("model:gpt")
        await expect(rows).to_have_count(1)
        await page.get_by_label("Filter").fill("-gpt")
        await expect(rows).to_contain_text(["claude-a"])
        await page.get_by_label("Filter").fill("")
        await page.get_by_role("button", name="Pause").click()
        here.desk.activity.put((exchange_row(model="late"),))
        await expect(page.get_by_role("button", name="Go on (1)")).to_be_visible()
        await expect(rows).to_have_count(2)
        await page.get_by_role("button", name="Go on (1)").click()
        await expect(rows).to_have_count(3)


async def test_what_came_while_the_connection_was_lost_is_there_when_it_is_back(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    before, seen, meanwhile = (exchange_row(model=name) for name in ("before", "seen", "meanwhile"))
    await remember(here.url, [before])
    async with visiting(here) as visit:
        await visit.log_in()
        state, rows = visit.page.locator("#state"), visit.page.locator("#live tbody tr")
        await expect(state).to_have_text("live")
        await expect(rows).to_contain_text(["before"])
        here.desk.activity.put((seen,))
        await expect(rows).to_contain_text(["seen", "before"])
        await visit.context.set_offline(True)  # or it would be back at once
        for watcher in here.desk.activity._watchers:  # pyright: ignore[reportPrivateUsage]
            watcher.end()
        await expect(state).not_to_have_text("live")
        here.desk.activity.put((meanwhile,))
        await visit.context.set_offline(False)
        await expect(state).to_have_text("live")
        await expect(rows).to_contain_text(["meanwhile", "seen", "before"])


async def test_what_a_page_was_too_slow_for_is_read_from_the_log(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "UNREAD", 1)
    here.hire("ada", "viewer", password=PASSWORD)
    news = [exchange_row(model=name) for name in ("one", "two", "three")]
    async with visiting(here) as visit:
        await visit.log_in()
        await expect(visit.page.locator("#state")).to_have_text("live")
        await expect(visit.page.locator("#none")).to_be_visible()
        await remember(here.url, news)
        here.desk.activity.put(news)
        await expect(visit.page.locator("#live tbody tr")).to_contain_text(["three", "two", "one"])
        assert visit.complaints == []


async def test_open_replies_show_how_far_they_are(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    row = exchange_row(outcome="open")
    here.desk.activity.growing = lambda: (Growth(exchange_id=row.id, characters=1234, tool_calls=1, held=True),)
    async with visiting(here) as visit:
        await visit.log_in()
        await expect(visit.page.locator("#state")).to_have_text("live")
        here.desk.activity.put((row,))
        await expect(visit.page.locator("#live tbody tr")).to_contain_text("1,234")
        await expect(visit.page.locator("#live tbody tr")).to_contain_text("held")
        await expect(visit.page.locator("#tile-held")).to_have_text("1")


async def test_who_is_not_known_logs_in_and_comes_back(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    async with visiting(here) as visit:
        await visit.page.goto(f"{visit.base}/")
        await expect(visit.page).to_have_url(f"{visit.base}/login?then=/")
        await visit.page.get_by_label("Name").fill("ada")
        await visit.page.get_by_label("Password").fill("something else")
        await visit.page.get_by_role("button", name="Log in").click()
        await expect(visit.page.get_by_role("alert")).to_have_text("the name or the password is wrong")
        await visit.context.set_offline(True)
        await visit.page.get_by_role("button", name="Log in").click()
        await expect(visit.page.get_by_role("alert")).to_contain_text("could not be reached")
        await visit.context.set_offline(False)
        await visit.page.get_by_label("Password").fill(PASSWORD)
        async with visit.going():
            await visit.page.get_by_role("button", name="Log in").click()
        await expect(visit.page.get_by_role("heading", name="Now", exact=True)).to_be_visible()
        await visit.page.get_by_role("button", name="Log out").click()
        await expect(visit.page).to_have_url(f"{visit.base}/login")


@pytest.mark.parametrize("path", ["/login", "/setup"])
async def test_without_scripts_no_password_gets_into_an_address(here: Office, path: str) -> None:
    """As before they have come."""
    async with visiting(here, java_script_enabled=False) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        await visit.page.goto(visit.base + path)
        await visit.page.get_by_label("Name").fill("ada")
        await visit.page.get_by_label("Password").fill(PASSWORD)
        await visit.page.get_by_label("Password").press("Enter")
        await visit.page.get_by_role("button").last.click()
        await visit.page.reload()
        assert visit.page.url == visit.base + path
        assert "?" not in " ".join(url for url in asked if "/static/" not in url)


async def test_the_set_up_link_makes_the_first_administrator_and_works_once(here: Office) -> None:
    link = f"/setup#{here.desk.setup.begin()}"
    async with visiting(here) as visit:
        await visit.page.goto(visit.base + link)
        await expect(visit.page).to_have_url(f"{visit.base}/setup")
        await visit.page.get_by_label("Name").fill("ada")
        await visit.page.get_by_label("Password").fill(PASSWORD)
        async with visit.going():
            await visit.page.get_by_role("button", name="Begin").click()
        await expect(visit.page.get_by_text("ada (admin)")).to_be_visible()
        await visit.page.goto("about:blank")
        await visit.page.goto(visit.base + link)
        await visit.page.get_by_label("Name").fill("eve")
        await visit.page.get_by_label("Password").fill(PASSWORD)
        await visit.page.get_by_role("button", name="Begin").click()
        await expect(visit.page.get_by_role("alert")).to_contain_text("this set-up link is not good any more")
