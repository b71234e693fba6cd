"""The frames of a streamed reply on the page of its exchange, a part at a time."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.console.exchanges import rest
from lockgate.admin.console.pages import page
from lockgate.admin.frames import From, frames_of, view
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import Problem
from lockgate.frames.told import Side

router = APIRouter(route_class=ActRoute, include_in_schema=False)

SHOWN = 100
"""Frames in one part: with all that is folded away, a part stays below 300 KB."""


@router.get("/exchanges/{id}/frames", name="exchange.frames")
async def frames(request: Request, caller: ForViewers, desk: AtDesk, id: str, start: From = 0) -> HTMLResponse:
    """As they came and as they left."""
    row, found = await frames_of(desk, id)
    end = start + SHOWN
    return page(
        request, "frames.html", caller=caller, row=row, kept=found, start=start,
        shown=[view(each) for each in found.items[start:end]] if found else (),
        next=end if found and end < len(found.items) else None,
    )  # fmt: skip


@router.get("/exchanges/{id}/frames/{side}/{number}", name="exchange.frame")
async def frame(request: Request, caller: ForViewers, desk: AtDesk, id: str, side: Side, number: int) -> HTMLResponse:
    """The whole of a long one."""
    _, found = await frames_of(desk, id)
    one = next((each for each in found.items if (each.side, each.number) == (side, number)), None) if found else None
    if one is None:
        raise Problem(404)
    return rest(request, caller, id, view(one).text)
