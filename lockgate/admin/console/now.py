"""The page Now: what goes on, as it goes on. Its rows and charts come from `/api/activity`."""

from __future__ import annotations

from typing import get_args

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.identity import ForViewers
from lockgate.records import Outcome

router = APIRouter(route_class=ActRoute, include_in_schema=False)
OUTCOMES: tuple[str, ...] = get_args(Outcome.__value__)


@router.get("/", name="now.page")
async def now(request: Request, caller: ForViewers) -> HTMLResponse:
    return page(request, "now.html", caller=caller, title="Now", outcomes=OUTCOMES)
