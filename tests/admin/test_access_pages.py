"""The pages below Access: what they say, to whom, and what a person does there in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from lockgate.access.administrators import ROLES, Role
from lockgate.access.grant import Grant
from lockgate.access.token import PREFIX, is_token
from lockgate.admin.console.access import TABS
from lockgate.records import now
from lockgate.storage.access import Access
from tests.admin.browser import Visit, needs_chromium, visiting
from tests.admin.desks import PASSWORD, RING, Office
from tests.admin.filled import fill
from tests.admin.pages import suspicious
from tests.admin.payloads import ALL, WITHOUT_HALVES
from tests.storage.logs import remember
from tests.storage.records import audit_entry, exchange_row

HTML = {"accept": "text/html"}
BARE = WITHOUT_HALVES.replace("\x00", "")
SHOP = {
    "allow": {"models": ["claude-*"], "parameters": {"service_tier": ["auto"]}},
    "limits": {"concurrent": 4},
    "budgets": [{"per": "day", "usd": 5.0}],
}


async def page_at(office: Office, key: str, path: str) -> str:
    async with office.client(key, **HTML) as client:
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert suspicious(answer.text) == []
        return answer.text


async def made(office: Office, key: str) -> dict[str, str]:
    """A project, a token and a provider key, by what they are; and the administrator's id."""
    async with office.client(key) as client:
        grant = {"notes": ALL.encode("utf-8", "replace").decode().replace("\x00", ""), "grant": SHOP}
        project = (await client.post("/api/projects", json={"name": "shop"} | grant)).json()
        token = (await client.post("/api/tokens", json={"project": "shop", "name": "nightly"})).json()
        kept = (await client.post("/api/keys", json={"provider": "openai", "key": "sk-never-shown-WXYZ"})).json()
        people = (await client.get("/api/administrators")).json()["items"]
    return {"project": project["id"], "token": token["id"], "key": kept["id"], "person": people[0]["id"]}


async def test_before_anything_there_is_a_sentence_that_says_what_to_do(here: Office) -> None:
    key = here.hire("ada", "admin")
    for path, sentence in (
        ("/access", "make one above, and then a token in it"), ("/access/tokens", "begin with"),
        ("/access/keys", "No provider key yet"), ("/access/usage/table", "look further back"),
        ("/access/budgets", "has a budget"), ("/access/audit", "No entry yet"),
        ("/access/audit?who=x", "No entry fits"), ("/system", "Nothing was written yet"),
    ):  # fmt: skip
        assert sentence in await page_at(here, key, path), path


@pytest.mark.parametrize("role", ROLES)
async def test_who_may_not_sees_no_button(here: Office, role: Role) -> None:
    ids = await made(here, here.hire("boss", "admin"))
    key = here.hire("vera", role)
    paths = [tab.path for tab in TABS if tab.role == "viewer"]
    paths += [f"/access/projects/{ids['project']}", f"/access/tokens/{ids['token']}"]
    acts: list[str] = []
    for path in paths:
        html = await page_at(here, key, path)
        acts += [part.split('"')[0] for part in html.split('data-api="')[1:]]
        assert ("/access/administrators" in html) == (role == "admin")
    acts = [act for act in acts if act != "DELETE /api/session"]
    assert (acts == []) == (role == "viewer"), acts


async def test_administrators_are_for_admins(here: Office) -> None:
    ids = await made(here, here.hire("boss", "admin"))
    async with here.client(here.hire("otto", "operator"), **HTML) as client:
        for path in ("/access/administrators", f"/access/administrators/{ids['person']}"):
            answer = await client.get(path)
            assert (answer.status_code, "role admin" in answer.text) == (403, True)


async def test_no_secret_is_in_a_page(here: Office) -> None:
    key = here.hire("boss", "admin")
    ids = await made(here, key)
    for path in (*(tab.path for tab in TABS), f"/access/tokens/{ids['token']}", "/system"):
        html = await page_at(here, key, path)
        assert "sk-never-shown" not in html
        assert not any(is_token(word, PREFIX) for word in html.split('"'))


async def test_what_others_wrote_is_text(here: Office) -> None:
    """In each field that is filled from outside: a trail's entry, an exchange's model, project and token."""
    key = here.hire("boss", "admin")
    ids = await made(here, key)
    words = {"who": BARE, "where": BARE, "act": BARE, "subject": BARE, "reason": BARE, "after": json.dumps({"a": ALL})}
    row = exchange_row(started_at=now(), model=BARE, project=BARE, token=BARE, agent=BARE)
    await remember(here.url, [audit_entry(**words), row])
    for by in ("model", "project", "token", "agent"):
        assert "&lt;script&gt;alert(1)" in await page_at(here, key, f"/access/usage/table?by={by}")
    assert "&lt;script&gt;alert(1)" in await page_at(here, key, "/access/audit")
    assert "&lt;script&gt;alert(1)" in await page_at(here, key, f"/access/projects/{ids['project']}")
    odd: dict[str, Any] = {"text": BARE, "who": BARE, "project": BARE, "token": BARE, "model": BARE}
    async with here.client(key, **HTML) as client:
        for path in ("/access/audit", "/access/usage", "/access/usage/table", "/access/tokens"):
            given = {name: value[:200] for name, value in odd.items()}
            answer = await client.get(path, params=given)
            assert answer.status_code in (200, 404)
            assert suspicious(answer.text) == []


async def test_lists_go_on(here: Office) -> None:
    key = here.hire("boss", "admin")
    with Access(here.url, RING) as access:
        for number in range(51):
            access.create_project(f"p{number:02}", grant=Grant.model_validate({"budgets": [{"per": "life", "usd": 1}]}))
    for path in ("/access", "/access/budgets"):
        first = await page_at(here, key, path)
        assert "p50" in first
        assert "p00" not in first
        older = first.split('" rel="next"')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
        last = await page_at(here, key, older)
        assert "p00" in last
        assert 'rel="next"' not in last


async def test_budgets_and_usage_say_how_much(here: Office) -> None:
    key = here.hire("boss", "admin")
    await fill(here)
    html = await page_at(here, key, "/access/budgets")
    assert "50,000,000 tokens" in html
    assert "84 %" in html
    assert "$21.00" in html
    assert "No token has a budget" in await page_at(here, key, "/access/budgets?of=token")
    table = await page_at(here, key, "/access/usage/table?by=project")
    assert table.index("shop") < table.index("docs")
    by_token = await page_at(here, key, "/access/usage/table?by=token")
    UUID(by_token.split('href="/access/tokens/')[1].split('"')[0])


@asynccontextmanager
async def agreeing(office: Office, path: str) -> AsyncIterator[tuple[Visit, Page]]:
    """Ada, logged in at a page, who says yes to every question."""
    async with visiting(office) as visit:
        await visit.log_in()
        visit.page.on("dialog", lambda dialog: dialog.accept())
        await visit.page.goto(visit.base + path)
        yield visit, visit.page


async def save(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def saved(page: Page, name: str) -> None:
    """Until the page that comes after is there."""
    async with page.expect_event("load"):
        await save(page, name)


@pytest.mark.browser
@needs_chromium
async def test_a_project_is_made_and_changed_with_forms_and_json(here: Office) -> None:
    key = here.hire("ada", "operator", password=PASSWORD)
    async with visiting(here) as visit, here.client(key) as client:
        await visit.log_in()
        page = visit.page
        await page.goto(f"{visit.base}/access")
        await page.get_by_label("Name", exact=True).fill("shop")
        await page.get_by_text("What it may reach").click()
        await page.get_by_label("Models", exact=True).fill("claude-*  gpt-5*")
        await page.get_by_text("Limits", exact=True).click()
        await page.get_by_label("Concurrent").fill("4")
        await page.get_by_text("Budgets", exact=True).last.click()
        await save(page, "Add a budget")
        await page.get_by_label("At most").fill("2.5")
        await saved(page, "Make the project")
        async with visit.going():
            await page.get_by_role("link", name="shop").click()
        await expect(page.get_by_label("Models", exact=True)).to_have_value("claude-* gpt-5*")
        await expect(page.get_by_label("At most")).to_have_value("2.5")
        await page.get_by_text("The whole grant as JSON").click()
        await page.get_by_label("Grant", exact=True).fill(json.dumps(SHOP))
        await expect(page.get_by_label("Models", exact=True)).to_have_value("claude-*")
        await page.get_by_label("Requests per minute").fill("60")
        await saved(page, "Save")
        await expect(page.get_by_label("Requests per minute")).to_have_value("60")
        [shop] = (await client.get("/api/projects")).json()["items"]
        wanted = SHOP | {"limits": {"concurrent": 4, "requests_per_minute": 60}}
        assert Grant.model_validate(shop["grant"]) == Grant.model_validate(wanted)
        await page.get_by_label("Methods").fill("FETCH")
        await save(page, "Save")
        await expect(page.get_by_role("alert")).to_contain_text("'FETCH' is no HTTP method")
        await page.get_by_text("The whole grant as JSON").click()
        await page.get_by_label("Grant", exact=True).fill("{")
        await save(page, "Save")
        await expect(page.get_by_role("alert")).to_contain_text("grant is no JSON")
        assert [each for each in visit.complaints if "422" not in each] == []


@pytest.mark.browser
@needs_chromium
async def test_a_token_is_shown_once_and_ended(here: Office) -> None:
    key = here.hire("ada", "operator", password=PASSWORD)
    await made(here, here.hire("boss", "admin"))
    async with agreeing(here, "/access/tokens") as (visit, page), here.client(key) as client:
        await page.get_by_text("New token").click()
        await page.get_by_label("Project").first.fill("shop")
        await page.get_by_label("Name", exact=True).fill("once")
        await page.get_by_label("Labels").fill("ci fast")
        await save(page, "Make the token")
        shown = page.locator("#secret")
        await expect(shown).to_contain_text(PREFIX)
        secret = await shown.inner_text()
        assert is_token(secret, PREFIX)
        await expect(page.locator("#once")).to_contain_text(f"HTTPS_PROXY=http://lockgate:{secret}@127.0.0.1:8080")
        await expect(page.locator("#once")).to_contain_text(f"ANTHROPIC_API_KEY={secret}")
        await saved(page, "I have kept it")
        await expect(page.get_by_role("link", name="once")).to_be_visible()
        assert secret not in await page.content()
        async with visit.going():
            await page.get_by_role("link", name="once").click()
        await save(page, "Refresh")
        await expect(page.locator("#secret")).to_contain_text(PREFIX)
        assert await page.locator("#secret").inner_text() != secret
        await saved(page, "I have kept it")
        await saved(page, "Revoke")
        await expect(page.locator("main .badge").first).to_have_text("revoked")
        await expect(page.get_by_role("button", name="Refresh")).to_have_count(0)
        await page.goto(f"{visit.base}/access/tokens")
        await page.get_by_text("Revoke many").click()
        await page.get_by_label("Made before").fill("2031-01-01T00:00")
        await saved(page, "Revoke them")
        await expect(page.locator("tbody .badge.bad")).to_have_count(2)
        items = (await client.get("/api/tokens")).json()["items"]
        assert {each["standing"] for each in items} == {"revoked"}
        assert items[0]["labels"] == ["ci", "fast"]
        assert visit.complaints == []


@pytest.mark.browser
@needs_chromium
async def test_provider_keys_are_added_disabled_and_removed(here: Office) -> None:
    here.hire("ada", "operator", password=PASSWORD)
    async with agreeing(here, "/access/keys") as (visit, page):
        await page.get_by_label("Provider").select_option("anthropic")
        await page.get_by_label("Key", exact=True).fill("sk-secret-0123456789-WXYZ")
        await saved(page, "Add the key")
        row = page.locator("tbody tr")
        await expect(row).to_contain_text("WXYZ")
        assert "sk-secret" not in await page.content()
        await saved(page, "Disable anthropic main")
        await expect(row).to_contain_text("not active")
        await saved(page, "Enable anthropic main")
        await expect(row).not_to_contain_text("not active")
        await saved(page, "Remove anthropic main")
        await expect(page.get_by_text("No provider key yet")).to_be_visible()
        assert visit.complaints == []


@pytest.mark.browser
@needs_chromium
async def test_administrators_are_made_with_passwords_and_keys(here: Office) -> None:
    here.hire("ada", "admin", password=PASSWORD)
    async with agreeing(here, "/access/administrators") as (visit, page):
        await page.get_by_text("New administrator").click()
        await page.get_by_label("Name").fill("bob")
        await page.get_by_label("Role").select_option("operator")
        await page.get_by_label("Password").fill("another four quiet words")
        await saved(page, "Make the administrator")
        async with visit.going():
            await page.get_by_role("link", name="bob").click()
        await page.get_by_label("Role").select_option("viewer")
        await saved(page, "Save")
        await expect(page.locator("main > p").nth(1)).to_contain_text("viewer")
        await page.get_by_label("Name").fill("deploy")
        await save(page, "Make a key")
        await expect(page.locator("#secret")).to_contain_text("lga_")
        key = await page.locator("#secret").inner_text()
        async with here.client(key) as client:
            assert (await client.get("/api/session")).json()["role"] == "viewer"
        await saved(page, "I have kept it")
        await saved(page, "End deploy")
        await expect(page.get_by_text("No key.")).to_be_visible()
        async with here.client(key) as client:
            assert (await client.get("/api/session")).status_code == 401
        await saved(page, "Remove bob")
        await expect(page.get_by_role("link", name="bob")).to_have_count(0)
        async with visit.going():
            await page.get_by_role("link", name="ada").click()
        await save(page, "Remove ada")
        await expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("admin")
        assert [each for each in visit.complaints if "409" not in each and "422" not in each] == []


@pytest.mark.browser
@needs_chromium
async def test_usage_draws_charts_and_its_table_comes_after(here: Office) -> None:
    here.hire("ada", "viewer", password=PASSWORD)
    await remember(here.url, [exchange_row(started_at=now() - timedelta(minutes=1), project="shop")])
    async with visiting(here) as visit:
        await visit.log_in()
        await visit.page.goto(f"{visit.base}/access/usage?by=project&days=7")
        await expect(visit.page.get_by_role("rowheader", name="shop")).to_be_visible()
        await expect(visit.page.locator("#usage-charts canvas")).to_have_count(3)
        await expect(visit.page.locator("#usage-requests")).to_have_attribute("aria-label", "Requests a day, 1 in all")
        assert visit.complaints == []
