"""The pages of sessions: the tree of them, and one as a conversation to read, 25 turns at a time."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.choosing import WhichSessions
from lockgate.admin.console.pages import page
from lockgate.admin.console.reading import told
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.sessions import NEWEST, session_of, sessions_of, turns_after, turns_before
from lockgate.errors import Error, StorageError
from lockgate.storage.answers import NO_MARKS, Filter
from lockgate.storage.queries import FIRST, Queries

router = APIRouter(route_class=ActRoute, include_in_schema=False)

TURNS = 25


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

    async def shown(log: Queries) -> HTMLResponse:
        found = await session_of(log, id)
        one = found[0].row
        parts = await _part(log, one.id, before=NEWEST) if newest else await _part(log, one.id, after=FIRST)
        latest = await log.exchanges(limit=1, where=Filter(session_id=one.id))
        marks = (await log.marks(latest)).get(latest[0].id, NO_MARKS) if latest else NO_MARKS
        return page(
            request, "session.html", caller=caller, title=one.title or f"Session {one.id[-8:]}",
            session=found[0], found=found, marks=marks, newest=newest, **parts,
        )  # fmt: skip

    return await desk.large.do(shown)


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

    async def shown(log: Queries) -> HTMLResponse:
        found = await session_of(log, id)
        parts = await _part(log, found[0].row.id, after=after, before=before)
        return page(request, "turns.html", caller=caller, session=found[0], **parts)

    return await desk.large.do(shown)


async def _part(log: Queries, id: str, *, after: str = "", before: str = "") -> dict[str, Any]:
    """The turns, and the exchanges from which more is asked for on each side; "" where there is none."""
    some = await turns_before(log, id, before, TURNS) if before else await turns_after(log, id, after or FIRST, TURNS)
    first, last = (some.turns[at].exchange.id if some.turns else "" for at in (0, -1))
    return {
        "turns": told(some),
        "before": first if before and some.previous else "",
        "after": last if not before and some.following else "",
    }
