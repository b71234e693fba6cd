"""Who may do what: every route, by every role, by nobody, and by who shows what is no key."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext

from lockgate.access.administrators import ROLES, Role
from lockgate.access.audit import LogAudit
from lockgate.access.refusals import UNKNOWN, Refusals
from lockgate.access.token import ADMIN_PREFIX, make_token
from lockgate.admin import app as apps
from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import CHALLENGE, routes_of
from tests.access.test_refusals import Kept
from tests.admin.desks import Office

NOWHERE = "019368a0-0000-7000-8000-000000000000"
PARTS = {"{id}": NOWHERE, "{key}": NOWHERE, "{name:path}": "lockgate.css", "{version}": "0" * 12, "{name}": "tools"}
OPEN = {
    "POST /api/session",
    "POST /api/setup",
    "GET /setup",
    "GET /login",
    "GET /static/{name:path}",
    "GET /live",
    "GET /ready",
}
OWN = {"DELETE /api/session", "POST /api/session/password"}
"""What every administrator may change: their own."""
WRITES_RULES = {
    "PUT /api/policy-set",
    "POST /api/policy-set/versions/{version}/rollback",
    "POST /admin/policy/enable",
}
RULES_TEXT = {"/api/policy-set/diff", "/api/policy-set/versions/{version}", "/policies/diff"}
"""Rules' options may hold what is not for everybody."""


def expected(method: str, path: str) -> Role | str:
    if f"{method} {path}" in OPEN:
        return ""
    if path.startswith(("/api/administrators", "/access/administrators")) or f"{method} {path}" in WRITES_RULES:
        return "admin"
    if path in RULES_TEXT:
        return "operator"
    return "viewer" if method == "GET" or f"{method} {path}" in OWN else "operator"


def all_routes(app: FastAPI) -> Mapping[str, tuple[RouteContext, Role | str]]:
    return {f"{method} {route.path}": (route, role) for route, role in routes_of(app) for method in route.methods or ()}


async def test_every_route_is_for_the_role_that_it_should_be_for(here: Office):
    found = {name: role for name, (_, role) in all_routes(here.app).items()}
    assert found == {name: expected(*name.split()) for name in found}
    assert {"GET /api/projects", "PATCH /manage/tokens/{id}", "GET /api/openapi.json"} <= set(found)
    assert len(found) > 30


async def test_every_route_asks_who_it_is(here: Office):
    keys: dict[str, str] = {role: here.hire(role, role) for role in ROLES}
    here.hire("boss", "admin")
    await here.desk.activity.close()  # its stream would not end
    for name, (route, needed) in all_routes(here.app).items():
        method, path = name.split()[0], str(route.path)
        for part, value in PARTS.items():
            path = path.replace(part, value)
        for role in (*ROLES, "nobody", "wrong"):
            key = make_token(ADMIN_PREFIX) if role == "wrong" else keys.get(role, "")
            async with here.client(key) as client:
                answer = await client.request(method, path, json=None if method in ("GET", "DELETE") else {})
            if not needed:
                assert answer.status_code in (200, 403, 422), name
            elif role not in ROLES:
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, *CHALLENGE.values()), name
            elif ROLES.index(role) < ROLES.index(needed):  # pyright: ignore[reportArgumentType]
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (name, role)
            else:
                assert answer.status_code in (200, 204, 303, 307, 404, 422), (name, role, answer.text)


def test_a_route_without_a_role_makes_no_app(monkeypatch: pytest.MonkeyPatch):
    router = APIRouter(route_class=ActRoute)

    @router.get("/api/open")
    async def nothing() -> None: ...

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    with pytest.raises(ValueError, match="'/api/open' does not say who may use it"):
        list(routes_of(app))


async def test_what_a_lesser_one_tried_is_noted(here: Office):
    async with here.client(here.hire("vera", "viewer")) as client:
        await client.post("/api/projects", json={"name": "shop"})
        await client.get("/api/administrators")
        await client.get("/api/projects")
    assert here.trail.acts == [("vera", "project.create", "denied"), ("vera", "administrator.list", "denied")]
    assert here.trail.entries[0]["where"] == "127.0.0.1"
    assert here.trail.entries[0]["reason"] == "forbidden"


async def test_strangers_do_not_fill_the_trail(here: Office):
    async with here.client() as client:
        for _ in range(60):
            assert (await client.get("/api/projects")).status_code == 401
            assert (await client.post("/api/setup", json={})).status_code == 422
    log = Kept()
    audit = LogAudit(log, sums := Refusals(log))
    for entry in here.trail.entries:
        audit.note(**entry)
    await sums.close()
    assert log.counts == [("127.0.0.1", UNKNOWN, act, 60) for act in ("project.list", "setup")]


async def test_the_description_says_who_may(here: Office):
    document = apps.openapi(here.app)
    create = document["paths"]["/api/projects"]["post"]
    assert (create["x-role"], create["security"]) == ("operator", [{"key": []}, {"session": [], "csrf": []}])
    assert "security" not in document["paths"]["/api/setup"]["post"]
    assert not any(path.startswith("/manage") for path in document["paths"])
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"summary", "responses", "tags"} <= set(operation), operation
