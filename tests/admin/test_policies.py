"""The policy set over HTTP: read, checked, changed, tried and put back; nobody writes over what they have not seen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lockgate.config import load
from lockgate.policies.pack import own_rules
from lockgate.policies.registry import Registry, load_rules
from lockgate.policies.versions import Versions
from lockgate.records import Comm, Record, Relation, now
from tests.admin.desks import Office, a_proxy, office
from tests.admin.payloads import PAYLOADS
from tests.storage.logs import remember
from tests.storage.records import comm, decision, exchange_row

TEXT = """# ours
rules:
  # nobody pushes
  - name: no-push
    use: tools
    with:
      deny:
        - arguments: {command: push}
  - name: look
    use: noop
    mode: shadow
"""
REQUEST = json.dumps({
    "model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Ship it."}],
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
})  # fmt: skip


def reply(command: str) -> str:
    return json.dumps({
        "id": "m", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": command}}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    })  # fmt: skip


class Place:
    """A desk whose configuration names a policy file."""

    def __init__(self, here: Office, file: Path) -> None:
        self.here, self.file = here, file

    def client(self, role: Any = "admin") -> httpx2.AsyncClient:
        return self.here.client(self.here.hire(f"one-{role}", role))


@pytest.fixture
async def place(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    file, configuration = tmp_path / "policy.yaml", tmp_path / "lockgate.yaml"
    file.write_text(TEXT)
    configuration.write_text(json.dumps({"home": "data", "database": sqlite_url, "policy": "./policy.yaml"}))
    loaded = load(configuration)
    rules = own_rules(loaded.config)
    policy_set = load_rules(rules)
    Versions(loaded.config.home).keep(policy_set, rules)
    proxy = replace(a_proxy(), registry=Registry(policy_set), loaded=loaded)
    async with office(sqlite_url, tmp_path, proxy) as opened:
        yield Place(opened, file)


async def test_policies_are_told_with_their_schemas(place: Place) -> None:
    async with place.client("viewer") as client:
        found = (await client.get("/api/policies")).json()
        tools = (await client.get("/api/policies/tools")).json()
        none = await client.get("/api/policies/nothing")
        alias = await client.get("/admin/policy/list", follow_redirects=True)
    assert {"tools", "approval", "judge"} <= {each["name"] for each in found["items"]}
    assert [each["problem"] for each in found["items"] if each["problem"]] == []
    assert set(tools["options_schema"]["properties"]) == {"default", "allow", "deny"}
    assert "coding-agent" in {each["name"] for each in found["packs"]}
    assert "match" in found["rule_schema"]["properties"]
    assert none.status_code == 404
    assert alias.json() == found


async def test_the_set_in_force_is_shown_and_its_options_are_for_operators(place: Place) -> None:
    async with place.client("operator") as client:
        answer = await client.get("/api/policy-set")
    async with place.client("viewer") as client:
        less = (await client.get("/api/policy-set")).json()
    whole = answer.json()
    assert (whole["text"], whole["source"], whole["obstacle"]) == (TEXT, "file", "")
    assert whole["version"] == whole["written"] == answer.headers["etag"].strip('"')
    assert [each["name"] for each in whole["rules"]] == ["no-push", "look"]
    assert whole["rules"][0]["with"]
    assert (less["text"], less["rules"][0]) == ("", {"name": "no-push", "use": "tools"})


async def test_a_written_set_is_the_files_and_can_be_put_back(place: Place) -> None:
    new = TEXT.replace("mode: shadow", "mode: enforce")
    async with place.client() as client:
        before = (await client.get("/api/policy-set")).headers["etag"]
        done = await client.put("/api/policy-set", json={"yaml": new}, headers={"if-match": before})
        late = await client.put("/api/policy-set", json={"yaml": TEXT}, headers={"if-match": before})
        blind = await client.put("/api/policy-set", json={"yaml": TEXT})
        shown = (await client.get("/api/policy-set")).json()
        assert place.file.read_text() == new
        back = await client.post(f"/api/policy-set/versions/{before.strip('"')}/rollback")
        again = (await client.get("/api/policy-set")).json()
    assert (done.status_code, late.status_code, blind.status_code) == (200, 412, 428)
    assert shown["written"] == done.json()["version"] != shown["version"]
    assert back.status_code == 200
    assert f'"{again["written"]}"' == before
    assert [(each["act"], each["outcome"]) for each in place.here.trail.entries] == [
        ("policy_set.update", "success"), ("policy_set.update", "error"), ("policy_set.update", "error"),
        ("policy_set.rollback", "success"),
    ]  # fmt: skip


async def test_versions_are_listed_and_compared(place: Place) -> None:
    async with place.client("operator") as client:
        [version] = (await client.get("/api/policy-set/versions")).json()["items"]
        place.file.write_text(TEXT.replace("push", "pull"))
        diff = (await client.get("/api/policy-set/diff", params={"before": version["version"]})).json()
        text = (await client.get(f"/api/policy-set/versions/{version['version']}")).json()["yaml"]
        none = await client.get("/api/policy-set/versions/nothing")
    assert (version["rules"], version["in_force"]) == (2, True)
    assert "-  - arguments:" in diff["text"] or "-" in diff["text"]
    assert "no-push" in text
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rules: [{name: a, use: tols}]", "not installed"),
        ("rules: [{name: a, use: tools, with: {deni: []}}]", "did you mean 'deny'"),
        ("rules: [{name: a, use: noop}, {name: a, use: noop}]", "used twice"),
        ("rules: [{name: a}]", "either 'use'"),
        ("rules: {", "YAML"),
        ("- a", "at its top"),
        ("x: &a [1]\ny: *a", "aliases"),
        ("database: sqlite:///x.db", "not database"),
        ("policy: /etc/passwd", "one that ships"),
        ("rules: [{name: a, use: 'os:system'}]", "not installed"),
        ("rules: [{name: a, use: ./evil.py:Evil}]", "not installed"),
        ("rules: [{name: a, use: judge, with: {monitors: [{use: ./evil.py:Evil}]}}]", "not installed"),
    ],
)
async def test_each_mistake_is_said_and_nothing_is_run_or_written(place: Place, text: str, part: str) -> None:
    trap = place.file.with_name("trap")
    place.file.with_name("evil.py").write_text(f"open({str(trap)!r}, 'w')")
    async with place.client() as client:
        found = (await client.post("/api/policy-set/check", json={"yaml": text})).json()
        etag = (await client.get("/api/policy-set")).headers["etag"]
        put = await client.put("/api/policy-set", json={"yaml": text}, headers={"if-match": etag})
        tried = await client.post("/api/policy-set/try", json={"yaml": text, "request": REQUEST})
    assert part in "; ".join(found["mistakes"])
    assert (put.status_code, tried.status_code) == (422, 422) or 503 in (put.status_code, tried.status_code)
    assert place.file.read_text() == TEXT
    assert not trap.exists()


async def test_rules_that_the_configuration_holds_itself_are_not_written_here(here: Office) -> None:
    async with here.client(here.hire("ada", "admin")) as client:
        found = await client.get("/api/policy-set")
        put = await client.put("/api/policy-set", json={"yaml": TEXT}, headers={"if-match": found.headers["etag"]})
    assert found.json()["source"] == "default"
    assert "policy: ./policy.yaml" in found.json()["obstacle"]
    assert (put.status_code, put.json()["error"]["message"]) == (409, found.json()["obstacle"])


async def test_a_text_is_changed_rule_by_rule_and_keeps_its_comments(place: Place) -> None:
    async with place.client("operator") as client:

        async def edit(text: str, **change: Any) -> str:
            answer = await client.post("/api/policy-set/edit", json={"yaml": text, **change})
            assert answer.status_code == 200, answer.text
            return answer.json()["yaml"]

        moved = await edit(TEXT, act="move", at=1, to=0)
        put = await edit(TEXT, act="put", at=1, rule={"name": "look", "use": "noop"})
        more = await edit(TEXT, act="insert", at=2, rule={"name": "third", "use": "noop"})
        less = await edit(TEXT, act="remove", at=0)
        first = await edit("", act="insert", at=0, rule={"name": "one", "use": "noop"})
        wrong = await client.post("/api/policy-set/edit", json={"yaml": TEXT, "act": "remove", "at": 7})
        bomb = await client.post(
            "/api/policy-set/edit", json={"yaml": "a: &a [1]\nrules: [*a, *a]", "act": "remove", "at": 0}
        )
    assert moved.index("look") < moved.index("no-push")
    assert put == TEXT.replace("    mode: shadow\n", "")
    assert more.startswith(TEXT.rstrip())
    assert "no-push" not in less
    assert "name: one" in first
    assert (wrong.status_code, bomb.status_code) == (422, 422)
    assert place.here.trail.entries[:0] == []


async def test_a_pasted_request_is_tried(place: Place) -> None:
    async with place.client("operator") as client:

        async def tried(**given: Any) -> dict[str, Any]:
            answer = await client.post("/api/policy-set/try", json=given)
            assert answer.status_code == 200, answer.text
            [item] = answer.json()["items"]
            return item

        stopped = await tried(request=REQUEST, reply=reply("git push"))
        passed = await tried(request=REQUEST, reply=reply("git status"))
        asks = "rules: [{name: ask, use: approval}]"
        unsure = await tried(yaml=asks, request=REQUEST, reply=reply("git push"))
        broken = await tried(request="no JSON")
    assert (stopped["would"], stopped["rules"], stopped["is_sure"]) == ("blocked", ["no-push"], True)
    assert (passed["would"], passed["rules"]) == ("passed", [])
    assert (unsure["would"], unsure["is_sure"]) == ("blocked", False)
    assert broken["problem"]
    assert place.here.trail.entries == []


def logged(command: str, **changes: Any) -> list[Record]:
    row = exchange_row(started_at=now(), usage=None, **{"outcome": "passed", "rules": (), "blocked": 0} | changes)
    asked: Comm = comm(row.id, content=REQUEST.encode())
    came = comm(row.id, type="RESPONSE", status=200, content=reply(command).encode())
    return [row, asked, came, Relation(from_comm_id=asked.id, to_comm_id=came.id, type="request_response")]


async def test_logged_traffic_is_tried_exchange_by_exchange(place: Place) -> None:
    pushed, looked = logged("git push"), logged("ls")
    blocked = logged("git push", outcome="blocked", rules=("no-push",))
    await remember(place.here.url, [*pushed, *looked, *blocked])
    async with place.client("operator") as client:
        all_ = (await client.post("/api/policy-set/try", json={"hours": 24})).json()
        few = (await client.post("/api/policy-set/try", json={"hours": 24, "limit": 2})).json()
        id = pushed[0].id  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        one = (await client.post("/api/policy-set/try", json={"exchange_id": id})).json()
        both = await client.post("/api/policy-set/try", json={"exchange_id": id, "hours": 1})
        none = await client.post("/api/policy-set/try", json={"exchange_id": "0" * 32})
    assert (all_["tried"], all_["changed"], all_["complete"]) == (3, 1, True)
    assert [(each["exchange_id"], each["was"], each["would"]) for each in all_["items"]] == [(id, "passed", "blocked")]
    assert (few["tried"], few["complete"]) == (2, False)
    assert one["items"][0]["decisions"][0]["rule"] == "no-push"
    assert (both.status_code, none.status_code) == (422, 404)


async def test_a_rule_is_proposed_from_a_call(place: Place) -> None:
    call = {"tool": "Bash", "arguments": '{"command": "rm -rf (x)"}'}
    async with place.client("operator") as client:

        async def propose(**given: Any) -> httpx2.Response:
            return await client.post("/api/policy-set/propose", json=given)

        never = (await propose(wish="never", call=call)).json()
        text = (await client.post(
            "/api/policy-set/edit", json={"yaml": TEXT, "act": "insert", "at": never["at"], "rule": never["rule"]}
        )).json()["yaml"]  # fmt: skip
        outcomes = [
            (await client.post(
                "/api/policy-set/try", json={"yaml": text, "request": REQUEST, "reply": reply(command)}
            )).json()["items"][0]["would"]
            for command in ("rm -rf (x)", "rm -rf (x) y", "rm -rf x")
        ]  # fmt: skip
        one = await propose(wish="always", call=call, rule="no-push")
        tool = (await propose(wish="always", call=call, rule="no-push", any_arguments=True)).json()
        unknown = await propose(wish="always", call=call, rule="other", any_arguments=True)
    assert outcomes == ["blocked", "passed", "passed"]
    assert (one.status_code, unknown.status_code) == (422, 422)
    assert (tool["replaces"], tool["at"], tool["rule"]["match"]) == (True, 0, {"not": {"tool": "Bash"}})


async def test_pages_hold_no_more_than_text(place: Place) -> None:
    name = " ".join(PAYLOADS[:6])
    place.file.write_text(json.dumps({"rules": [{"name": name, "use": "noop", "match": {"tool": name}}]}))
    row = exchange_row(started_at=now())
    await remember(place.here.url, [row, decision(row.id, rule=name, mode="shadow")])
    async with place.client("operator") as client:
        pages = [await client.get(path) for path in ("/policies", "/policies/counts", "/policies/known")]
    assert [each.status_code for each in pages] == [200, 200, 200]
    assert "&lt;script&gt;alert(1)" in pages[0].text
    assert "&lt;script&gt;alert(1)" in pages[1].text
    for each in pages:
        assert not {"<script>alert", "<img src=x", "<svg onload"} & set(each.text.split())
        assert "<script>alert" not in each.text
