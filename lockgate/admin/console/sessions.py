"""The pages of sessions: the tree of them, and one as a conversation to read, 50 turns at a time."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.choosing import WhichSessions
from lockgate.admin.console.pages import page
from lockgate.admin.console.reading import told
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.sessions import NEWEST, session_of, sessions_of, turns_after, turns_before
from lockgate.errors import Error, StorageError
from lockgate.storage.answers import NO_MARKS, Filter
from lockgate.storage.queries import FIRST

router = APIRouter(route_class=ActRoute, include_in_schema=False)

TURNS = 50


@router.get("/sessions", name="sessions.page")
async def sessions(
    request: Request, caller: ForViewers, desk: AtDesk, which: Annotated[WhichSessions, Query()]
) -> HTMLResponse:
    problem, found, before = "", [], ""
    try:
        found, before = await sessions_of(desk, which)
    except StorageError:
        raise
    except Error as error:
        problem = str(error)
    given = which.model_dump(exclude_defaults=True, exclude={"before"})
    older = f"/sessions?{urlencode(given | {'before': before}, errors='replace')}" if before else ""
    return page(
        request, "sessions.html", caller=caller, title="Sessions", which=which, found=found, problem=problem,
        older=older, given=bool(given),
    )  # fmt: skip


@router.get("/sessions/{id}", name="session.page")
async def session(request: Request, caller: ForViewers, desk: AtDesk, id: str, newest: bool = False) -> HTMLResponse:
    """From its beginning, or from its newest turns on."""
    found = await session_of(desk, id)
    one = found[0].row
    parts = await _part(desk, one.id, before=NEWEST) if newest else await _part(desk, one.id, after=FIRST)
    latest = await desk.log.exchanges(limit=1, where=Filter(session_id=one.id))
    marks = (await desk.log.marks(latest)).get(latest[0].id, NO_MARKS) if latest else NO_MARKS
    return await asyncio.to_thread(
        page, request, "session.html", caller=caller, title=one.title or f"Session {one.id[-8:]}",
        session=found[0], found=found, marks=marks, newest=newest, **parts,
    )  # fmt: skip


@router.get("/sessions/{id}/turns", name="session.turns")
async def turns(
    request: Request,
    caller: ForViewers,
    desk: AtDesk,
    id: str,
    after: Annotated[str, Query(max_length=36)] = "",
    before: Annotated[str, Query(max_length=36)] = "",
) -> HTMLResponse:
    """More of the conversation."""
    found = await session_of(desk, id)
    parts = await _part(desk, found[0].row.id, after=after, before=before)
    return await asyncio.to_thread(page, request, "turns.html", caller=caller, session=found[0], **parts)


async def _part(desk: Desk, id: str, *, after: str = "", before: str = "") -> dict[str, Any]:
    """The turns, and the exchanges from which more is asked for on each side; "" where there is none."""
    some = await turns_before(desk, id, before, TURNS) if before else await turns_after(desk, id, after or FIRST, TURNS)
    first, last = (some.turns[at].exchange.id if some.turns else "" for at in (0, -1))
    return {
        "turns": await asyncio.to_thread(told, some),
        "before": first if before and some.previous else "",
        "after": last if not before and some.following else "",
    }
