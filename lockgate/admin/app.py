"""The ASGI app of the management API: its routers, its errors and its description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request

from lockgate.admin import (
    activity,
    administrators,
    approvals,
    audit,
    budgets,
    exchanges,
    frames,
    health,
    keys,
    kills,
    notes,
    policies,
    policy_alias,
    policy_set,
    projects,
    session,
    sessions,
    system,
    tokens,
    trying,
    usage,
)
from lockgate.admin.acts import ActRoute
from lockgate.admin.answering import Json
from lockgate.admin.console import access as access_pages
from lockgate.admin.console import approvals as approvals_page
from lockgate.admin.console import assets, entering, now
from lockgate.admin.console import exchanges as exchange_pages
from lockgate.admin.console import frames as frame_parts
from lockgate.admin.console import policies as policies_page
from lockgate.admin.console import sessions as session_pages
from lockgate.admin.console import stops as stops_page
from lockgate.admin.console import system as system_page
from lockgate.admin.console.problems import handle_problems
from lockgate.admin.desk import Desk
from lockgate.admin.guard import CHANGES_NOTHING, Guard
from lockgate.admin.identity import COOKIE, CSRF_HEADER, Needs, routes_of

VERSION = "1"
ROUTERS: Sequence[tuple[APIRouter, str]] = (
    *((each.router, "") for each in (session, activity, exchanges, frames, sessions, notes, health, policy_alias)),
    (health.guarded, ""),
    *((each.router, "/api") for each in (projects, tokens, keys, usage, budgets, audit, administrators, system)),
    *((each.router, "/api") for each in (approvals, kills, policies, trying, policy_set)),
    *((each.router, "") for each in (assets, entering, now, exchange_pages, frame_parts, session_pages)),
    *((each.router, "") for each in (approvals_page, stops_page, policies_page, access_pages, system_page)),
)
"""Routers, each with what its paths begin with."""
ALIASES: Sequence[tuple[APIRouter, str]] = ((projects.router, "/manage"), (tokens.router, "/manage"))
"""Paths of earlier systems."""

router = APIRouter(route_class=ActRoute)


def make_app(desk: Desk) -> FastAPI:
    """The app at this desk. Raises ValueError where a route does not say who may use it."""
    app = FastAPI(
        title="Lockgate", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None,
        default_response_class=Json, redirect_slashes=False, separate_input_output_schemas=False,
    )  # fmt: skip
    app.state.desk = desk
    app.router.route_class = ActRoute
    handle_problems(app)
    for each, prefix in ((router, ""), *ROUTERS):
        app.include_router(each, prefix=prefix)
    for each, prefix in ALIASES:
        app.include_router(each, prefix=prefix, include_in_schema=False)
    app.add_middleware(Guard, settings=desk.settings)
    list(routes_of(app))  # raises
    return app


@router.get("/api/openapi.json", name="openapi.show", include_in_schema=False, dependencies=[Depends(Needs("viewer"))])
async def description(request: Request) -> Json:
    """This API, as OpenAPI."""
    return Json(openapi(request.app))


def openapi(app: FastAPI) -> dict[str, Any]:
    """The description, with who may do what."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, description=__doc__, routes=app.routes)
    document.setdefault("components", {})["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An administrator's key: `lga_…`."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "After a log-in."},
        "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER, "description": "As the log-in gave it."},
    }
    for route, role in routes_of(app):
        if route.include_in_schema and role:
            for method in route.methods or ():
                operation = document["paths"][str(route.path_format)][method.lower()]
                operation["x-role"] = role
                with_session: dict[str, list[str]] = {"session": []} | (
                    {} if method in CHANGES_NOTHING else {"csrf": []}
                )
                operation["security"] = [{"key": []}, with_session]
    app.openapi_schema = document
    return document
