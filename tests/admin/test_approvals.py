"""What waits for a person: read by viewers, decided by operators, once, and about the call that was shown."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lockgate.activity import Approvals, Happening
from lockgate.admin.waiting import Waiting
from lockgate.records import Approval, new_id, now
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from tests.admin.desks import Office
from tests.admin.payloads import WITHOUT_HALVES as PAYLOAD


def approval(**changes: Any) -> Approval:
    values: dict[str, Any] = {
        **{"exchange_id": new_id(), "rule": "ask-first", "tool": "Bash", "arguments": '{"command": "git push"}'},
        **{"digest": "d1" * 32, "key": "k1", "deadline": now() + timedelta(hours=1), "session_id": "s-1"},
        **{"agent": "claude-code", "model": "m", "score": 0.75, "reason": "it pushes"},
        **{"schema": '{"properties": {"command": {"type": "string"}}, "additionalProperties": false}'},
        "context": (("user", "Ship it."),),
    }
    return Approval(**values | changes)


async def wait_for(here: Office, *asked: Approval) -> None:
    rows = ApprovalRows(parse(here.url))
    for each in asked:
        await rows.insert(each)
    await rows.close()


async def test_what_waits_is_shown_as_it_will_go_on(here: Office) -> None:
    asked = approval()
    await wait_for(here, asked)
    async with here.client(here.hire("vera", "viewer")) as client:
        [item] = (await client.get("/api/approvals")).json()["items"]
        shown = (await client.get(f"/api/approvals/{asked.id}")).json()
        count = (await client.get("/api/approvals/count")).json()
    assert shown == item
    assert (shown["digest"], shown["state"], count) == (asked.digest, "pending", {"waiting": 1})
    assert shown["parts"] == [{"name": "command", "kind": "command", "text": "git push"}]
    assert shown["context"] == [{"role": "user", "text": "Ship it."}]
    assert not {"key", "schema"} & set(shown)


@pytest.mark.parametrize(
    ("decision", "state"),
    [("approve", "approved"), ("deny", "denied"), ("edit", "edited")],
)
async def test_a_decision_counts_once_and_is_noted(here: Office, decision: str, state: str) -> None:
    asked = approval()
    await wait_for(here, asked)
    given: dict[str, Any] = {"decision": decision, "digest": asked.digest, "note": "not on a Friday"}
    if decision == "edit":
        given["arguments"] = '{"command": "git status"}'
    async with here.client(here.hire("oda", "operator")) as client:
        done = await client.post(f"/api/approvals/{asked.id}/decision", json=given)
        again = await client.post(f"/api/approvals/{asked.id}/decision", json=given)
        listed = (await client.get("/api/approvals", params={"state": "decided"})).json()["items"]
    assert (done.status_code, done.json()["state"], done.json()["decided_by"]) == (200, state, "oda")
    assert again.status_code == 409
    assert f"was {state} by oda" in again.json()["error"]["message"]
    assert [each["id"] for each in listed] == [asked.id]
    assert [each for each in here.trail.acts if each[1] == "approval.decide"] == [
        ("oda", "approval.decide", "success"), ("oda", "approval.decide", "error"),
    ]  # fmt: skip
    assert here.trail.entries[-2]["after"]["note"] == "not on a Friday"


async def test_what_was_not_shown_is_not_decided(here: Office) -> None:
    asked, late = approval(), approval(deadline=now() - timedelta(seconds=1))
    await wait_for(here, asked, late)
    async with here.client(here.hire("oda", "operator")) as client:
        other = await client.post(
            f"/api/approvals/{asked.id}/decision", json={"decision": "approve", "digest": "d2" * 32}
        )
        gone = await client.post(
            f"/api/approvals/{late.id}/decision", json={"decision": "approve", "digest": late.digest}
        )
        none = await client.post(f"/api/approvals/{new_id()}/decision", json={"decision": "deny", "digest": "d1"})
        [still] = (await client.get("/api/approvals")).json()["items"]
    assert (other.status_code, gone.status_code, none.status_code) == (409, 409, 404)
    assert "not the one that was shown" in other.json()["error"]["message"]
    assert still["state"] == "pending"


@pytest.mark.parametrize("arguments", [None, "no JSON", '{"cmd": "x"}', '{"command": 7}', "[]"])
async def test_an_edit_is_what_the_tool_takes(here: Office, arguments: str | None) -> None:
    asked = approval()
    await wait_for(here, asked)
    given = {"decision": "edit", "digest": asked.digest, "arguments": arguments}
    async with here.client(here.hire("oda", "operator")) as client:
        answer = await client.post(f"/api/approvals/{asked.id}/decision", json=given)
    assert answer.status_code == 422
    assert await here.desk.approvals.waiting() == [asked.id]


async def test_decisions_are_paged(here: Office) -> None:
    asked = [approval() for _ in range(5)]
    await wait_for(here, *asked)
    for each in asked:
        await here.desk.approvals.decide(each.id, "denied", digest=each.digest, by="oda")
    async with here.client(here.hire("vera", "viewer")) as client:
        found: list[str] = []
        params: dict[str, Any] = {"state": "decided", "limit": 2}
        while True:
            body = (await client.get("/api/approvals", params=params)).json()
            found += [each["id"] for each in body["items"]]
            if not body["next"]:
                break
            params["before"] = body["next"]
        part = await client.get("/approvals/decided", params={"before": found[2]})
    assert found == [each.id for each in reversed(asked)]
    assert part.text.count("<summary>") == 2


async def test_who_watches_hears_of_it_once(here: Office) -> None:
    look = Waiting(here.desk.approvals, here.desk.activity).look
    with here.desk.activity.watch() as watcher:
        await look()
        await wait_for(here, approval())
        await look()
        await look()
        news = watcher.read()
    await look()
    assert [each.what for each in news if isinstance(each, Happening)] == [Approvals(), Approvals()]


async def test_a_page_holds_no_more_than_text(here: Office) -> None:
    fields = dict.fromkeys(("rule", "tool", "agent", "model", "project", "reason", "session_id"), PAYLOAD)
    plain = '{"command": "x", "old_string": "<b>", "new_string": "</pre><script>x</script>"}'
    await wait_for(
        here, approval(arguments=PAYLOAD, context=((PAYLOAD, PAYLOAD),), **fields), approval(arguments=plain),
        approval(arguments=PAYLOAD, custom=True, reason="half \ud83d of a pair", model="\ud83d"),
    )  # fmt: skip
    denied = approval(**fields)
    await wait_for(here, denied)
    await here.desk.approvals.decide(denied.id, "denied", digest=denied.digest, by="oda", note=PAYLOAD)
    async with here.client(here.hire("oda", "operator"), accept="text/html") as client:
        answer = await client.get("/approvals")
    assert answer.status_code == 200
    text = answer.text
    assert "<script>" not in text
    assert "<img" not in text
    assert "<svg" not in text
    assert "onerror=alert" in text  # as text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "49" not in text.split("{{ 7*7 }}")[1][:10]


async def test_viewers_see_and_do_not_decide(here: Office) -> None:
    asked = approval()
    await wait_for(here, asked)
    async with here.client(here.hire("vera", "viewer"), accept="text/html") as client:
        page = await client.get("/approvals")
        given = {"decision": "approve", "digest": asked.digest}
        answer = await client.post(f"/api/approvals/{asked.id}/decision", json=given)
    assert "git push" in page.text
    assert "data-decide" not in page.text
    assert answer.status_code == 403


async def test_of_two_at_once_one_wins(here: Office) -> None:
    asked = approval()
    await wait_for(here, asked)
    async with here.client(here.hire("oda", "operator")) as client:
        answers = await asyncio.gather(*(
            client.post(f"/api/approvals/{asked.id}/decision", json={"decision": each, "digest": asked.digest})
            for each in ("approve", "deny", "approve")
        ))  # fmt: skip
    assert sorted(each.status_code for each in answers) == [200, 409, 409]
