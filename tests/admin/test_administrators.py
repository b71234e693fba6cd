"""Administrators over the API, and that a proxy without it is as it was."""

from __future__ import annotations

import subprocess
import sys

from lockgate.access.token import ADMIN_PREFIX, is_token
from tests.admin.desks import PASSWORD, Office


async def test_an_administrator_from_making_to_removing(anywhere: Office):
    async with anywhere.client(anywhere.hire("ada", "admin")) as client:
        given = {"name": "Bob", "role": "viewer", "password": PASSWORD}
        made = (await client.post("/api/administrators", json=given)).json()
        assert (made["name"], made["has_password"], "password" in made) == ("bob", True, False)
        path = f"/api/administrators/{made['id']}"
        assert (await client.get(path)).json() == made
        assert (await client.patch(path, json={"role": "operator", "password": None})).json()["has_password"] is False
        key = (await client.post(f"{path}/keys", json={"name": "deploy"})).json()
        assert is_token(key["key"], ADMIN_PREFIX)
        async with anywhere.client(key["key"]) as other:
            assert (await other.get("/api/session")).json()["role"] == "operator"
            assert (await other.post(f"{path}/keys", json={})).status_code == 403
        listed = await client.get(f"{path}/keys")
        assert key["key"] not in listed.text + repr(anywhere.trail.entries)
        assert (await client.delete(f"{path}/keys/{key['id']}")).status_code == 204
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404
    assert PASSWORD not in repr(anywhere.trail.entries)
    created, changed = anywhere.trail.entries[:2]
    assert (created["subject"], created["before"], created["after"]["name"]) == ("administrator bob", None, "bob")
    assert (changed["before"]["role"], changed["after"]["role"]) == ("viewer", "operator")
    assert changed["reason"] == "without a password"


async def test_what_does_not_fit(here: Office):
    async with here.client(here.hire("ada", "admin")) as client:
        (ada,) = (await client.get("/api/administrators")).json()["items"]
        path = f"/api/administrators/{ada['id']}"
        assert (await client.patch(path, json={"role": "viewer"})).status_code == 409
        assert (await client.delete(path)).status_code == 409
        assert (await client.patch(path, json={})).status_code == 422
        assert (await client.patch(path, json={"role": "root"})).status_code == 422


def test_a_proxy_without_it_imports_nothing_of_it():
    program = (
        "import sys, lockgate.app, lockgate.cli.run; print(*{'fastapi', 'uvicorn', 'starlette'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
