"""Logging in and out, and the first administrator."""

from __future__ import annotations

import httpx2
import pytest

from lockgate.admin.identity import COOKIE, CSRF_HEADER
from tests.admin.desks import PASSWORD, Office


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
        assert me["csrf_token"] == began.json()["csrf_token"] != ""
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
