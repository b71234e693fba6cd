"""Logging in and out, and the first administrator."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from lockgate.access import passwords
from lockgate.admin.identity import COOKIE, CSRF_HEADER, SAFE_COOKIE
from lockgate.admin.throttle import Throttle
from tests.admin.desks import PASSWORD, Office, office


async def login(client: httpx2.AsyncClient, name: str = "ada", password: str = PASSWORD) -> httpx2.Response:
    return await client.post("/api/session", json={"name": name, "password": password})


async def test_a_session_from_log_in_to_log_out(anywhere: Office):
    anywhere.hire("ada", "admin", password=PASSWORD)
    async with anywhere.client() as client:
        began = await login(client, "Ada")
        assert began.status_code == 201
        cookie = began.headers["set-cookie"]
        assert all(word in cookie for word in (f"{COOKIE}=lgs_", "HttpOnly", "SameSite=strict", "Path=/"))
        me = (await client.get("/api/session")).json()
        assert (me["name"], me["role"], me["via"]) == ("ada", "admin", "session")
        assert me["csrf_token"] != began.json()["csrf_token"] != ""
        assert (await client.delete("/api/session")).status_code == 403
        token = {CSRF_HEADER: me["csrf_token"]}
        assert (
            await client.delete("/api/session", headers=token | {"origin": "http://evil.example"})
        ).status_code == 403
        assert (await client.delete("/api/session", headers=token)).status_code == 204
        client.cookies.set(COOKIE, cookie.partition("=")[2].partition(";")[0])
        assert (await client.get("/api/session")).status_code == 401
    assert ("ada", "session.end", "success") in anywhere.trail.acts


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("keyed", PASSWORD), ("", "")])
async def test_what_was_wrong_is_not_told(here: Office, name: str, password: str):
    here.hire("ada", "viewer", password=PASSWORD)
    here.hire("keyed", "viewer")
    async with here.client() as client:
        refused = await login(client, name, password)
    assert refused.status_code == 401
    assert refused.json() == {
        "error": {"code": "unauthorized", "message": "the name or the password is wrong", "fields": []}
    }
    assert "set-cookie" not in refused.headers
    assert here.trail.acts == [("", "session.begin", "denied")]


@pytest.mark.parametrize("name", ["ada", "nobody", "away", "keyed"])
async def test_every_name_takes_one_look_at_one_password(here: Office, name: str, monkeypatch: pytest.MonkeyPatch):
    here.hire("ada", "admin", password=PASSWORD)
    here.hire("away", "viewer", password=PASSWORD)
    here.hire("keyed", "viewer")
    await here.desk.people.do(lambda people: people.update("away", active=False))
    looked: list[str | None] = []
    fits = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda kept, given: looked.append(kept) or fits(kept, given))
    async with here.client() as client:
        refused = await login(client, name, "not this one here")
    assert (refused.status_code, len(looked)) == (401, 1)


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_who_tries_too_often_has_to_wait(here: Office, name: str):
    here.hire("ada", "admin", password=PASSWORD)
    object.__setattr__(here.desk, "pairs", Throttle(tries=2, seconds=30, clock=lambda: 0.0))
    async with here.client() as client:
        for _ in range(2):
            assert (await login(client, name, "wrong")).status_code == 401
        for word in ("wrong", PASSWORD):
            slowed = await login(client, name.upper(), word)
            assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "30")
        assert (await login(client, "other", "wrong")).status_code == 401


async def test_an_address_that_tries_many_names_has_to_wait(here: Office):
    object.__setattr__(here.desk, "addresses", Throttle(tries=3, seconds=30, clock=lambda: 0.0))
    async with here.client() as client:
        statuses = [(await login(client, f"name{number}")).status_code for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


async def test_the_right_password_gives_the_tries_back(here: Office):
    here.hire("ada", "admin", password=PASSWORD)
    object.__setattr__(here.desk, "pairs", Throttle(tries=2, seconds=30))
    async with here.client() as client:
        for _ in range(4):
            assert (await login(client)).status_code == 201


async def test_a_new_password_ends_all_sessions(here: Office):
    here.hire("ada", "viewer", password=PASSWORD)
    new = "five other quiet words here"
    async with here.client() as client, here.client() as elsewhere:
        await login(elsewhere)
        token = {CSRF_HEADER: (await login(client)).json()["csrf_token"]}
        for old, word, status in (("wrong", new, 403), (PASSWORD, "short", 422), (PASSWORD, new, 204)):
            given = {"old": old, "new": word}
            assert (await client.post("/api/session/password", json=given, headers=token)).status_code == status
        assert (await client.get("/api/session")).status_code == 401
        assert (await elsewhere.get("/api/session")).status_code == 401
        assert (await login(client)).status_code == 401
        assert (await login(client, password=new)).status_code == 201
    assert PASSWORD not in repr(here.trail.entries)
    assert new not in repr(here.trail.entries)


async def test_a_wrong_csrf_token_is_no_token(here: Office):
    here.hire("ada", "admin", password=PASSWORD)
    async with here.client() as client, here.client() as elsewhere:
        mine = (await login(client)).json()["csrf_token"]
        theirs = (await login(elsewhere)).json()["csrf_token"]
        assert mine != theirs
        for token in ("", theirs, mine[:-2], mine[:64], mine + "00", f"{mine[:-1]}{int(mine[-1], 16) ^ 1:x}"):
            refused = await client.post("/api/projects", json={"name": "p"}, headers={CSRF_HEADER: token})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "csrf")


async def test_a_key_that_does_not_fit_is_not_made_good_by_a_cookie(here: Office):
    key = here.hire("ada", "admin", password=PASSWORD)
    async with here.client() as client:
        await login(client)
        for given in (f"Bearer {key}x", f"Basic {key}", "Bearer", key, ""):
            assert (await client.get("/api/session", headers={"authorization": given})).status_code == 401
        assert (await client.get("/api/session", headers={"authorization": f"bearer {key}"})).json()["via"] == "key"


async def test_a_change_of_role_is_felt_at_once(here: Office):
    key = here.hire("ada", "admin")
    here.hire("bob", "admin")
    async with here.client(key) as client:
        assert (await client.get("/api/administrators")).status_code == 200
        await here.desk.people.do(lambda people: people.update("ada", role="viewer"))
        assert (await client.get("/api/administrators")).status_code == 403
        await here.desk.people.do(lambda people: people.update("ada", active=False))
        assert (await client.get("/api/projects")).status_code == 401


async def test_away_from_loopback_the_cookie_is_for_https_only(sqlite_url: str, tmp_path: Path):
    async with office(sqlite_url, tmp_path, listen="0.0.0.0:8081") as opened, opened.client() as client:
        opened.hire("ada", "admin", password=PASSWORD)
        cookie = (await login(client)).headers["set-cookie"]
    assert cookie.startswith(SAFE_COOKIE)
    assert "Secure" in cookie
