"""What holds for all pages of the console: who cannot see or use a mouse, other hosts, weight, and what may run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page as Tab
from playwright.async_api import Request, Route, expect

from lockgate.admin.console.access import TABS
from lockgate.admin.console.pages import PAGES
from lockgate.admin.identity import routes_of
from tests.admin.browser import Visit, needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office
from tests.admin.filled import fill
from tests.clients.install import axe_script

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(600)]

MOST_BYTES = 300_000
BOUNDARY = {"serious", "critical"}
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


def paths_of(office: Office) -> list[str]:
    """Pages of the navigation and below Access that this app has."""
    there = {str(route.path) for route, _ in routes_of(office.app)}
    return [path for path in (*(page.path for page in PAGES), *(tab.path for tab in TABS[1:])) if path in there]


async def deeper(office: Office, session: str, key: str) -> list[str]:
    """Pages of one thing each, and what forms there are."""
    there = {str(route.path) for route, _ in routes_of(office.app)}
    found = ["/sessions/{id}"] if "/sessions/{id}" in there else []
    paths = [path.replace("{id}", session) for path in found]
    async with office.client(key) as client:
        for api, page in (("projects", "projects"), ("tokens", "tokens"), ("administrators", "administrators")):
            items: list[dict[str, Any]] = (await client.get(f"/api/{api}")).json()["items"]
            paths.append(f"/access/{page}/{items[0]['id']}")
        if "/exchanges/{id}" in there:
            paths.append(f"/exchanges/{(await client.get('/api/exchanges?limit=1')).json()['items'][0]['id']}")
    return paths


async def settled(page: Tab) -> None:
    """What a page fetches after it was there has come, and its folds are open, so that all of it is looked at."""
    await expect(page.get_by_text("Adding up …")).to_have_count(0)
    await page.evaluate("document.querySelectorAll('main details').forEach((each) => (each.open = true))")
    await expect(page.get_by_text("Loading …")).to_have_count(0)


@asynccontextmanager
async def ada(office: Office, **context: Any) -> AsyncGenerator[tuple[Visit, list[str]]]:
    """An admin before a filled console, and every page of it."""
    key = office.hire("ada", "admin", password=PASSWORD)
    session = await fill(office)
    paths = [*paths_of(office), *await deeper(office, session, key)]
    async with visiting(office, **context) as visit:
        await visit.log_in()
        yield visit, paths


@pytest.mark.clients
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_axe_finds_nothing_serious(here: Office, scheme: str, width: int) -> None:
    looks: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "bypass_csp": True}
    async with ada(here, **looks) as (visit, paths):
        found: dict[str, list[str]] = {}
        for path in paths:
            await visit.page.goto(visit.base + path)
            await settled(visit.page)
            await visit.page.add_script_tag(path=axe_script())
            result: dict[str, Any] = await visit.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            if bad := [each for each in result["violations"] if each["impact"] in BOUNDARY]:
                found[path] = [f"{each['id']}: {[node['html'][:150] for node in each['nodes'][:3]]}" for each in bad]
        assert found == {}


async def test_no_page_asks_another_host_weighs_much_or_breaks_its_policy(here: Office) -> None:
    async with ada(here) as (visit, paths):
        elsewhere: list[str] = []

        async def only_here(route: Route) -> None:
            if urlsplit(route.request.url).netloc == urlsplit(visit.base).netloc:
                return await route.continue_()
            elsewhere.append(route.request.url)
            await route.abort()

        await visit.context.route("**/*", only_here)
        for path in paths:
            fresh = await visit.context.new_page()
            visit.attend(fresh)
            finished: list[Request] = []
            fresh.on("requestfinished", lambda each, to=finished: to.append(each))
            await fresh.goto(visit.base + path)
            await settled(fresh)
            sizes = [await each.sizes() for each in finished if "/api/activity/stream" not in each.url]
            weight = sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes)
            assert 0 < weight < MOST_BYTES, (path, weight)
            await fresh.close()
        assert elsewhere == []
        assert visit.complaints == []


async def test_no_page_is_wider_than_a_small_screen(here: Office) -> None:
    async with ada(here, viewport={"width": 390, "height": 800}) as (visit, paths):
        for path in paths:
            await visit.page.goto(visit.base + path)
            await settled(visit.page)
            wide: list[str] = await visit.page.evaluate(
                "document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]"
                ".filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.table'))"
                ".map((e) => e.outerHTML.slice(0, 90))"
            )
            assert wide == [], path


async def test_everything_is_reached_by_keys(here: Office) -> None:
    async with ada(here) as (visit, _):
        page = visit.page
        await page.goto(f"{visit.base}/access")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.locator("nav.tabs a").first).to_be_focused()
        for each in PAGES:
            if each.path in paths_of(here):
                async with visit.going():
                    await page.keyboard.press("g")
                    await page.keyboard.press(each.key)
                await expect(page).to_have_url(visit.base + each.path)
                await expect(page.locator("header a[aria-current=page]")).to_contain_text(each.name)
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await expect(page.get_by_role("button", name="Close")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
        await page.goto(f"{visit.base}/access/audit")
        await page.keyboard.press("/")
        await expect(page.get_by_label("Anywhere")).to_be_focused()


async def test_headings_are_in_order_and_fields_have_names(here: Office) -> None:
    async with ada(here) as (visit, paths):
        for path in paths:
            await visit.page.goto(visit.base + path)
            await settled(visit.page)
            levels: list[int] = await visit.page.evaluate(
                "[...document.querySelectorAll('main :is(h1,h2,h3,h4)')].filter((e) => e.checkVisibility())"
                ".map((e) => Number(e.localName[1]))"
            )
            assert levels[:1] == [1], (path, levels)
            assert all(after <= before + 1 for before, after in pairwise(levels)), (path, levels)
