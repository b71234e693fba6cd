"""Projects, tokens, keys and usage over the API."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from lockgate.access.administrators import Role
from lockgate.access.token import is_token
from lockgate.storage.log import SqlLog
from tests.admin.desks import Office
from tests.storage.records import exchange_row

SECRET = "sk-ant-api03-" + "k" * 30 + "WXYZ"
NASTY = [
    "'; DROP TABLE project; --",
    "<script>alert(1)</script>",
    "a\nlevel=error forged",
    "\x1b[2Jx",
    "x" * 201,
    "",
    "\u202eevil",
]


async def made(client: httpx2.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def key(here: Office, role: Role = "operator") -> str:
    return here.hire("olga", role)


async def test_a_project_from_making_to_changing(anywhere: Office):
    async with anywhere.client(key(anywhere)) as client:
        shop = await made(client, "/api/projects", name="shop", grant={"allow": {"models": ["claude-*"]}})
        assert shop["grant"]["allow"]["models"] == ["claude-*"]
        path = f"/api/projects/{shop['id']}"
        assert (await client.get(path)).json() == shop
        changed = (await client.patch(path, json={"active": False})).json()
        assert changed == shop | {"active": False}
        assert (await client.get("/manage/projects")).json() == {"items": [changed], "next": None}
        again = await client.post("/api/projects", json={"name": "shop"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    note = anywhere.trail.entries[1]
    assert (note["subject"], note["before"]["active"], note["after"]["active"]) == ("project shop", True, False)
    assert anywhere.trail.acts[-1] == ("olga", "project.create", "error")


async def test_a_token_is_shown_once(anywhere: Office):
    async with anywhere.client(key(anywhere)) as client:
        await made(client, "/api/projects", name="shop")
        token = await made(client, "/api/tokens", project="shop", labels=["ci"], request_quota=5)
        secret = token.pop("token")
        assert is_token(secret)
        path = f"/api/tokens/{token['id']}"
        assert (await client.get(path)).json() == token
        again = (await client.post(f"{path}/refresh", json={"lifetime_seconds": 60})).json()
        assert is_token(again["token"])
        assert again["token"] != secret
        assert (await client.patch(path, json={"request_quota": None})).json()["request_quota"] is None
        assert (await client.post(f"{path}/revoke")).json()["standing"] == "revoked"
        refused = await client.post(f"{path}/refresh")
        assert refused.status_code == 409
        listed = (await client.get("/api/tokens", params={"project": "shop"})).text
        assert (await client.post("/api/tokens/revoke", json={"project": "shop"})).json() == {"count": 0}
        assert (await client.post("/api/tokens/revoke", json={})).status_code == 422
    for told in (listed, repr(anywhere.trail.entries)):
        assert secret not in told
        assert again["token"] not in told


async def test_a_provider_key_is_kept_and_never_shown(anywhere: Office):
    async with anywhere.client(key(anywhere)) as client:
        kept = await made(client, "/api/keys", provider="anthropic", key=SECRET)
        assert kept["hint"] == "…WXYZ"
        path = f"/api/keys/{kept['id']}"
        assert (await client.patch(path, json={"active": False})).json()["active"] is False
        listed = (await client.get("/api/keys")).text + (await client.get(path)).text
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404
    assert "kkkk" not in listed + repr(anywhere.trail.entries)
    assert [act for _, act, _ in anywhere.trail.acts] == ["key.add", "key.update", "key.remove"]


@pytest.mark.parametrize("value", ["sk\nx: y", "sk\r", " sk", "sk\x00", "", "\u2028sk"])
async def test_a_key_with_a_newline_is_refused_and_not_repeated(here: Office, value: str):
    async with here.client(key(here)) as client:
        refused = await client.post("/api/keys", json={"provider": "anthropic", "key": value})
        assert refused.status_code == 422
        assert value not in refused.text or value == ""


@pytest.mark.parametrize(
    "body",
    [
        {"provider": "anthropic", "key": {"secret": SECRET}},
        {"provider": "anthropic", SECRET: 1},
        {"provider": "anthropic", "key": SECRET, "source": "command"},
        {"provider": SECRET, "key": SECRET},
        [SECRET],
        SECRET,
    ],
)
async def test_what_does_not_fit_is_not_repeated(here: Office, body: Any, caplog: pytest.LogCaptureFixture):
    async with here.client(key(here)) as client:
        refused = await client.post("/api/keys", json=body)
    assert refused.status_code == 422
    assert "kkkk" not in refused.text + caplog.text + repr(here.trail.entries)
    assert all(set(each) == {"path", "message"} for each in refused.json()["error"]["fields"])


@pytest.mark.parametrize("name", NASTY)
async def test_names_that_are_none(here: Office, name: str, caplog: pytest.LogCaptureFixture):
    async with here.client(key(here, "admin")) as client:
        for path, body in (
            ("/api/projects", {"name": name}),
            ("/api/tokens", {"project": "shop", "name": name}),
            ("/api/keys", {"provider": "anthropic", "key": "sk-1", "name": name}),
            ("/api/administrators", {"name": name, "role": "viewer"}),
        ):
            refused = await client.post(path, json=body)
            assert refused.status_code == 422, (path, refused.text)
            assert [each["path"] for each in refused.json()["error"]["fields"]] == ["name"]
    assert caplog.text == ""


@pytest.mark.parametrize("text", [*NASTY[:4], "n\x00ul", "\U0001f600", "x" * 20_000])
async def test_free_text_comes_back_as_it_was(anywhere: Office, text: str):
    async with anywhere.client(key(anywhere)) as client:
        shop = await made(client, "/api/projects", name="shop", notes=text)
        answer = await client.get(f"/api/projects/{shop['id']}")
        assert answer.json()["notes"] == text
        assert answer.headers["content-type"] == "application/json"
        token = await made(client, "/api/tokens", project="shop", labels=[text[:100]])
        assert token["labels"] == [text[:100]]
        found = await client.get("/api/tokens", params={"project": text[:200]})
        assert found.status_code in (200, 404)


async def test_half_a_surrogate_pair_does_not_break_a_list(here: Office):
    await here.desk.access.do(lambda access: access.create_project("old", notes="\ud800"))
    async with here.client(key(here)) as client:
        assert (await client.get("/api/projects")).json()["items"][0]["notes"] == "\ud800"
        assert (await client.post("/api/projects", content=b'{"name": "a", "notes": "\\ud800"}')).status_code == 422


async def test_pages_follow_each_other(anywhere: Office):
    async with anywhere.client(key(anywhere)) as client:
        for number in range(5):
            await made(client, "/api/projects", name=f"p{number}")
        names: list[str] = []
        before: str | None = None
        while True:
            params = {"limit": "2"} | ({"before": before} if before else {})
            answer = (await client.get("/api/projects", params=params)).json()
            names += [item["name"] for item in answer["items"]]
            if (before := answer["next"]) is None:
                break
        assert names == ["p4", "p3", "p2", "p1", "p0"]
        for limit in ("0", "501", "x"):
            assert (await client.get("/api/tokens", params={"limit": limit})).status_code == 422


async def test_many_at_once(anywhere: Office):
    async with anywhere.client(key(anywhere)) as client:
        answers = await asyncio.gather(*(client.post("/api/projects", json={"name": f"p{n % 32}"}) for n in range(64)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [201] * 32 + [409] * 32
        listed = (await client.get("/api/projects", params={"limit": "500"})).json()["items"]
    assert len(listed) == 32
    assert len(anywhere.trail.entries) == 64


async def test_usage_is_added_up(anywhere: Office):
    log = SqlLog(anywhere.url)
    log.start()
    for project, token in (("shop", "t1"), ("shop", "t2"), ("other", "t3")):
        log.put([exchange_row(project=project, token=token)])
    await log.close()
    async with anywhere.client(key(anywhere, "viewer")) as client:
        usage = (await client.get("/api/usage")).json()
        assert {each["key"]: each["requests"] for each in usage["items"]} == {"shop": 2, "other": 1}
        by_token = (await client.get("/api/usage", params={"by": "token", "project": "shop"})).json()
        assert {each["key"] for each in by_token["items"]} == {"t1", "t2"}
        one = (await client.get("/api/usage", params={"by": "day", "token": "t3"})).json()
        assert [each["requests"] for each in one["items"]] == [1]
        assert (await client.get("/api/usage", params={"since": "2026-01-01"})).status_code == 422
