"""What a person does in a real browser: decide what waits, by mouse and by keys, and change and try the rules."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import expect

from lockgate.admin.waiting import Waiting
from tests.admin.browser import needs_chromium, visiting
from tests.admin.desks import PASSWORD, Office
from tests.admin.payloads import WITHOUT_HALVES as PAYLOAD
from tests.admin.test_approvals import approval, wait_for
from tests.admin.test_policies import REQUEST, TEXT, Place, logged, place, reply
from tests.storage.logs import remember

__all__ = ["place"]

pytestmark = [pytest.mark.browser, needs_chromium]


async def test_what_was_shown_is_approved_and_the_page_follows(here: Office) -> None:
    here.hire("oda", "operator", password=PASSWORD)
    first, second = approval(), approval(arguments=json.dumps({"command": PAYLOAD}))
    await wait_for(here, first)
    look = Waiting(here.desk.approvals, here.desk.activity).look
    async with visiting(here) as visit:
        await visit.log_in("oda")
        page = visit.page
        await expect(page.locator("#waiting")).to_have_text("1")
        await page.goto(f"{visit.base}/approvals")
        cards = page.locator("#held article.held")
        await expect(cards).to_have_count(1)
        await expect(page.locator("#state")).to_have_text("live")
        await wait_for(here, second)
        await look()
        await expect(cards).to_have_count(2)
        await expect(page.locator("#waiting")).to_have_text("2")
        await expect(cards.nth(1)).to_contain_text("<script>alert(1)</script>")
        await page.keyboard.press("j")
        await page.keyboard.press("a")
        await expect(page.locator("#decide-call")).to_contain_text("git push")
        await expect(page.locator("#decide-digest")).to_have_text(first.digest[:12])
        await page.keyboard.press("Enter")
        await expect(cards).to_have_count(1)
        await expect(page.locator("#decided")).to_contain_text("approved")
        await expect(page.locator("#decided")).to_contain_text("oda")
        await cards.first.get_by_role("button", name="Deny").click()
        await page.get_by_label("Note, for the record").fill("not on a Friday")
        await page.get_by_label("The agent may read the note").check()
        await page.locator("#decide-yes").click()
        await expect(page.get_by_text("Nothing waits.")).to_be_visible()
        denied = await here.desk.approvals.find(second.id)
        assert denied
        assert (denied.state, denied.note, denied.note_shown) == ("denied", "not on a Friday", True)
        assert visit.complaints == []


async def test_an_edit_goes_on_instead_and_who_comes_late_is_told(here: Office) -> None:
    here.hire("oda", "operator", password=PASSWORD)
    first, second = approval(), approval()
    await wait_for(here, first, second)
    async with visiting(here) as visit:
        await visit.log_in("oda")
        page = visit.page
        await page.goto(f"{visit.base}/approvals")
        await expect(page.locator("#state")).to_have_text("live")
        await page.keyboard.press("j")
        await page.keyboard.press("e")
        text = page.get_by_label("What goes on instead")
        await expect(text).to_have_value('{\n  "command": "git push"\n}')
        await page.get_by_role("button", name="Let this go on").click()
        await expect(page.locator("#decide-problem")).to_contain_text("Nothing was changed")
        await text.fill('{"command": "git status"}')
        await page.get_by_role("button", name="Let this go on").click()
        cards = page.locator("#held article.held")
        await expect(cards).to_have_count(1)
        edited = await here.desk.approvals.find(first.id)
        assert edited
        assert (edited.state, edited.edited) == ("edited", '{"command":"git status"}')
        await cards.first.get_by_role("button", name="Approve").click()
        await here.desk.approvals.decide(second.id, "denied", digest=second.digest, by="ida")
        await page.locator("#decide-yes").click()
        await expect(page.locator("#decide-problem")).to_contain_text("was denied by ida")


async def test_a_list_that_is_read_anew_takes_nothing_from_who_uses_it(here: Office) -> None:
    """Where it came between a button's way down and up, the click is none the less."""
    here.hire("oda", "operator", password=PASSWORD)
    await wait_for(here, approval(), approval())
    look = Waiting(here.desk.approvals, here.desk.activity).look
    async with visiting(here) as visit:
        await visit.log_in("oda")
        page = visit.page
        await page.goto(f"{visit.base}/approvals")
        await expect(page.locator("#state")).to_have_text("live")
        cards = page.locator("#held article.held")
        button = cards.nth(1).get_by_role("button", name="Deny")
        await button.hover()
        await page.mouse.down()
        await expect(button).to_be_focused()
        await wait_for(here, approval())
        await look()
        await expect(cards).to_have_count(3)
        await expect(button).to_be_focused()
        await page.mouse.up()
        await expect(page.get_by_role("dialog", name="Deny this call?")).to_be_visible()
        assert visit.complaints == []


async def test_a_stop_is_made_and_lifted(here: Office) -> None:
    here.hire("oda", "operator", password=PASSWORD)
    async with visiting(here) as visit:
        visit.page.on("dialog", lambda dialog: dialog.accept())
        await visit.log_in("oda")
        page = visit.page
        await page.goto(f"{visit.base}/stops?scope=agent&target=codex")
        await page.get_by_label("Why").fill(PAYLOAD)
        async with visit.going():
            await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(page.get_by_role("cell", name="agent codex", exact=True)).to_be_visible()
        async with visit.going():
            await page.get_by_role("button", name="Lift the stop of agent codex").click()
        await expect(page.get_by_text("Nothing is stopped.")).to_be_visible()
        assert visit.complaints == []


async def test_a_rule_is_made_by_its_form_tried_and_put_in_force(place: Place) -> None:
    place.here.hire("ada", "admin", password=PASSWORD)
    await remember(place.here.url, [*logged("git push"), *logged("ls")])
    async with visiting(place.here) as visit:
        visit.page.on("dialog", lambda dialog: dialog.accept())
        await visit.log_in()
        page = visit.page
        call = json.dumps({"wish": "never", "tool": "Bash", "arguments": '{"command": "ls"}'})
        await page.goto(f"{visit.base}/policies#propose={call}")
        await expect(page.locator("#proposed")).to_contain_text("Never again")
        await page.get_by_role("button", name="Add it to the text").click()
        rows = page.locator("#rules tbody tr")
        await expect(rows).to_have_count(3)
        await expect(rows.first).to_contain_text("never-bash")
        await page.get_by_role("button", name="Move up look").click()
        await expect(rows.nth(1)).to_contain_text("look")
        await page.get_by_role("button", name="Edit look").click()
        await page.get_by_label("mode", exact=True).select_option("enforce")
        await page.get_by_role("button", name="Into the text").click()
        await expect(rows.nth(1).locator(".badge")).to_have_text("enforce")
        await page.get_by_label("Add a rule").select_option("tools")
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.get_by_label("deny", exact=True).fill('["Write"]')
        await page.get_by_role("button", name="Into the text").click()
        await expect(rows).to_have_count(4)
        await page.get_by_role("button", name="Try", exact=True).click()
        await expect(page.locator("#tried")).to_contain_text("2 exchanges were tried, 2 would have ended otherwise.")
        await page.locator("#try select[name=on]").select_option("request")
        await page.get_by_label("Request, as JSON").fill(REQUEST)
        await page.get_by_label("Reply, JSON or events; or nothing").fill(reply("echo <img src=x onerror=alert(1)>"))
        await page.get_by_role("button", name="Try", exact=True).click()
        await expect(page.locator("#tried")).to_contain_text("as pasted")
        await expect(page.locator("#tried")).to_contain_text("passed")
        await page.get_by_role("button", name="Put in force").click()
        await expect(page.locator("#enabled")).to_contain_text(re.compile("[Ww]ritten"))
        text = place.file.read_text()
        assert text != TEXT
        assert text.startswith("# ours")
        assert "never-bash" in text
        assert visit.complaints == []


async def test_rules_are_dragged_into_another_order(place: Place) -> None:
    """By the mouse, and by keys; what was dragged and given up stays where it was."""
    place.here.hire("oda", "operator", password=PASSWORD)
    async with visiting(place.here) as visit:
        await visit.log_in("oda")
        page = visit.page
        await page.goto(f"{visit.base}/policies")
        rows = page.locator("#rules tbody tr")
        await expect(rows.locator(".handle")).to_have_count(2)
        first, second = [await name.inner_text() for name in await rows.locator("td:nth-child(2)").all()]
        said = page.locator("#order-said")

        async def drag(start: int, end: int) -> None:
            await rows.nth(start).locator(".handle").hover()
            await page.mouse.down()
            box = await rows.nth(end).bounding_box()
            assert box
            await page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2, steps=4)

        await drag(0, 1)
        await expect(rows.nth(1)).to_have_class("drop-after")
        await page.keyboard.press("Escape")
        await page.mouse.up()
        await expect(page.locator(".dragged, .drop-after")).to_have_count(0)
        await expect(rows.first).to_contain_text(first)

        await drag(0, 1)
        await page.mouse.up()
        await expect(said).to_have_text(f"{first} is now rule 2 of 2.")
        await expect(rows.first).to_contain_text(second)
        text = await page.get_by_label("The same as YAML").input_value()
        assert text.index(f"name: {second}") < text.index(f"name: {first}")

        await page.get_by_role("button", name=f"Move up {first}").press("Enter")
        await expect(said).to_have_text(f"{first} is now rule 1 of 2.")
        await expect(page.get_by_role("button", name=f"Move down {first}")).to_be_focused()
        assert visit.complaints == []
