"""The page of what is stopped: sessions, agents, models, hosts, projects, tokens, or all. `/api/kills` does it."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.records import KillScope, now

router = APIRouter(route_class=ActRoute, include_in_schema=False)
SCOPES: tuple[str, ...] = get_args(KillScope.__value__)


@router.get("/stops", name="stops.page")
async def stops(
    request: Request,
    caller: ForViewers,
    desk: AtDesk,
    past: bool = False,
    scope: Annotated[str, Query(max_length=20)] = "session",
    target: Annotated[str, Query(max_length=300)] = "",
) -> HTMLResponse:
    """`scope` and `target` fill the form, for links from elsewhere."""
    found = await desk.kills.do(lambda kills: kills.every() if past else kills.in_force())
    moment = now()
    return page(
        request, "stops.html", caller=caller, title="Stops", kills=[(each, each.holds(moment)) for each in found],
        past=past, scopes=SCOPES, scope=scope, target=target, may=caller.administrator.may("operator"),
    )  # fmt: skip
