"""`/api/exchanges`, `/api/search`, `/api/sessions`: who may ask what, and what comes."""

from __future__ import annotations

import json
from typing import Any

from lockgate.records import new_id
from tests.admin.conversations import conversation
from tests.admin.desks import Office
from tests.storage.logs import remember
from tests.storage.records import exchange_row, whole_exchange


async def test_every_filter_is_taken_and_empty_ones_are_not(anywhere: Office):
    rows = [exchange_row(model="m-1", outcome="passed"), exchange_row(model="m-2", agent="codex", provider="openai")]
    await remember(anywhere.url, [*rows, exchange_row(trigger="judge")])
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:

        async def ids(**which: Any) -> list[str]:
            answer = await client.get("/api/exchanges", params=which)
            assert answer.status_code == 200, answer.text
            return [each["id"] for each in answer.json()["items"]]

        both = [rows[1].id, rows[0].id]
        empty = dict.fromkeys(("model", "outcome", "since", "status", "min_cost", "before", "trigger"), "")
        assert await ids(**empty) == both
        assert await ids(model="m-1") == [rows[0].id]
        assert await ids(agent="codex", provider="openai", status=200, min_tokens=3, session="s-1") == [rows[1].id]
        assert await ids(outcome="passed", since="2026-11-21", until="2026-11-22T12:00") == [rows[0].id]
        assert await ids(trigger="judge", kind="model") not in ([], both)
        assert len(await ids(trigger="*")) == 3
        for unfit in ({"since": "yesterday"}, {"outcome": "odd"}, {"min_cost": "much"}, {"before": "x"}, {"nosuch": 1}):
            assert (await client.get("/api/exchanges", params=unfit)).status_code == 422, unfit


async def test_a_list_has_a_tag_and_pages(here: Office):
    rows = [exchange_row() for _ in range(5)]
    await remember(here.url, rows)
    async with here.client(here.hire("vera", "viewer")) as client:
        first = await client.get("/api/exchanges?limit=2")
        again = await client.get("/api/exchanges?limit=2", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        second = (await client.get("/api/exchanges", params={"limit": 3, "before": first.json()["before"]})).json()
        assert [each["id"] for each in second["items"]] == [row.id for row in rows[2::-1]]
        alias = await client.get("/debug/calls?limit=2")
        assert alias.json() == first.json()


async def test_an_exchange_its_changes_and_files_of_it(anywhere: Office):
    records = whole_exchange()
    await remember(anywhere.url, records)
    id = records[0].id
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        assert (await client.get(f"/api/exchanges/{id}")).json()["exchange"]["id"] == id
        changed = (await client.get(f"/debug/calls/{id}/diff")).json()
        assert changed == (await client.get(f"/api/exchanges/{id[-8:]}/diff")).json()
        assert changed["request"]["original"] == {"a": 1}
        assert '+  "a": 2' in changed["request"]["diff"]
        jsonl = await client.get(f"/api/exchanges/{id}/export")
        assert jsonl.json()["exchange"]["id"] == id
        assert f"lockgate-{id}.jsonl" in jsonl.headers["content-disposition"]
        har = await client.get(f"/api/exchanges/{id}/export?format=har")
        assert har.json()["log"]["entries"][0]["response"]["status"] == 200
        markdown = await client.get(f"/api/exchanges/{id}/export?format=markdown")
        assert "blocked by no-touch" in markdown.text
        curl = (await client.get(f"/api/exchanges/{id}/export?format=curl")).text
        assert '-H "x-api-key: $API_KEY"' in curl
        assert "https://api.anthropic.com/v1/messages?beta=true" in curl
        moved = await client.get(f"/debug/diff?call_id={id}")
        assert moved.headers["location"] == f"/exchanges/{id}#changes"


async def test_wrong_ids(anywhere: Office):
    await remember(anywhere.url, whole_exchange())
    async with anywhere.client(anywhere.hire("olga", "operator")) as client:
        for path in ("", "/diff", "/export?format=curl"):
            assert (await client.get(f"/api/exchanges/{new_id()}{path}")).status_code == 404
            for id in ("zzzzzz", "a", "%00" * 8, "%F0%9F%98%80" * 6, "f" * 60):
                assert (await client.get(f"/api/exchanges/{id}{path}")).status_code == 422, id
        for path in ("", "/conversation"):
            for id in ("nosuch", "%00", "x" * 300):
                assert (await client.get(f"/api/sessions/{id}{path}")).status_code == 404, id
        assert (await client.post(f"/api/exchanges/{new_id()}/labels", json={"name": "x"})).status_code == 404
        assert (await client.post("/api/sessions/nosuch/notes", json={"text": "x"})).status_code == 404
        assert (await client.delete("/api/notes/odd")).status_code == 422
        assert (await client.get("/api/search?q=")).status_code == 422


async def test_labels_and_notes_are_for_operators_and_noted(anywhere: Office):
    records = whole_exchange()
    await remember(anywhere.url, records)
    place = f"/api/exchanges/{records[0].id}"
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        assert (await client.post(f"{place}/labels", json={"name": "odd"})).status_code == 403
    async with anywhere.client(anywhere.hire("olga", "operator")) as client:
        assert (await client.post(f"{place}/labels", json={"name": "team/odd"})).status_code == 204
        assert (await client.post(f"{place}/labels", json={"name": "no good"})).status_code == 422
        made = await client.post(f"{place}/notes", json={"text": "look at this"})
        assert made.status_code == 201
        shown = (await client.get(place)).json()["exchange"]
        assert (shown["labels"], shown["notes"][0]["text"]) == (["team/odd"], "look at this")
        assert shown["notes"][0]["id"] == made.json()["id"]
        assert (await client.delete(f"{place}/labels/team%2Fodd")).status_code == 204
        assert (await client.delete(f"/api/notes/{made.json()['id']}")).status_code == 204
        shown = (await client.get(place)).json()["exchange"]
        assert (shown["labels"], shown["notes"]) == ([], [])
    acts = [act for who, act, _ in anywhere.trail.acts if who == "olga"]
    assert acts == ["label.add", "label.add", "note.add", "label.remove", "note.remove"]


async def test_a_conversation_is_paged_and_told_in_blocks(anywhere: Office):
    records = conversation(7)
    await remember(anywhere.url, records)
    session: Any = records[0]
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:
        listed = (await client.get("/api/sessions")).json()
        assert [each["id"] for each in listed["items"]] == [session.id]
        place = f"/api/sessions/{session.id}"
        assert (await client.get(place)).json()["items"][0]["exchanges"] == 7
        first = (await client.get(f"{place}/conversation?limit=4")).json()
        assert [(b["kind"], b["type"]) for b in first["items"][0]["asked"]] == [("text", ""), ("image", "image/png")]
        assert first["items"][0]["asked"][1]["source"].startswith("sha256:")
        turn = first["items"][1]
        assert [(b["kind"], b["call_id"], b["text"]) for b in turn["asked"]] == [("result", "call_0", "result 0 ")]
        assert [b["kind"] for b in turn["answered"]] == ["thinking", "text", "call"]
        assert json.loads(turn["answered"][2]["text"]) == {"command": "ls 1 "}
        assert [one["rule"] for one in first["items"][3]["decisions"]] == ["no-rm"]
        rest = (await client.get(f"{place}/conversation", params={"after": first["after"]})).json()
        assert (len(rest["items"]), rest["after"]) == (3, "")
        hits = (await client.get("/api/search", params={"q": '"result 3"'})).json()["items"]
        assert hits[0]["excerpt"]["hit"] == "result 3"
