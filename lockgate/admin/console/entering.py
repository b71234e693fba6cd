"""The pages before one is known: log in, and set up. They are forms; `/api/session` and `/api/setup` do the work."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.identity import anyone

router = APIRouter(route_class=ActRoute, include_in_schema=False)


@router.get("/login", name="login.page", dependencies=[Depends(anyone)])
async def login(request: Request, then: Annotated[str, Query(max_length=2000)] = "/") -> HTMLResponse:
    """`then` is where one wanted to go; only a path of this console is taken."""
    return page(request, "login.html", caller=None, title="Log in", then=_own(then))


@router.get("/setup", name="setup.page", dependencies=[Depends(anyone)])
async def set_up(request: Request) -> HTMLResponse:
    """The token of the link stands behind its #, where no server and no log sees it."""
    return page(request, "setup.html", caller=None, title="Set up")


def _own(path: str) -> str:
    """A browser reads `//host` and `/\\host` as other hosts."""
    return path if path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() else "/"
