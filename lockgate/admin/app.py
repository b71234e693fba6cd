"""The ASGI app of the management API: its routers, its errors and its description."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request

from lockgate.admin import activity, exchanges, notes, session, sessions
from lockgate.admin.acts import ActRoute
from lockgate.admin.answering import Json
from lockgate.admin.console import assets, entering, now
from lockgate.admin.console import exchanges as exchange_pages
from lockgate.admin.console import sessions as session_pages
from lockgate.admin.console.problems import handle_problems
from lockgate.admin.desk import Desk
from lockgate.admin.guard import Guard
from lockgate.admin.identity import COOKIE, CSRF_HEADER, SAFE_METHODS, Needs, routes_of
from lockgate.admin.problems import answers

VERSION = "1"
ROUTERS: tuple[APIRouter, ...] = (
    session.router, activity.router, exchanges.router, sessions.router, notes.router,
    assets.router, entering.router, now.router, exchange_pages.router, session_pages.router,
)  # fmt: skip

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
    for each in (router, *ROUTERS):
        app.include_router(each)
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
                with_session: dict[str, list[str]] = {"session": []} | ({} if method in SAFE_METHODS else {"csrf": []})
                operation["security"] = [{"key": []}, with_session]
    app.openapi_schema = document
    return document


__all__ = ["answers", "make_app", "openapi"]
