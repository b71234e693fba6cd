"""`/api/sessions`: conversations, what came of them, and what was said in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from lockgate.admin.acts import ActRoute
from lockgate.admin.answering import Json, tagged
from lockgate.admin.choosing import WhichSessions
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import Problem, answers
from lockgate.errors import Error
from lockgate.records import ExchangeRow
from lockgate.sections import Section
from lockgate.storage.answers import Filter, Session
from lockgate.storage.ids import digits_of
from lockgate.storage.queries import FIRST, Queries
from lockgate.storage.shapes import dated, row_json, session_json
from lockgate.storage.turns import Turn
from lockgate.units import moment

router = APIRouter(route_class=ActRoute, tags=["sessions"])

NEWEST = "f" * 32
"""Sorts behind every id."""


class SessionPage(Section):
    """Those that began by themselves, the newest first, each followed by those that came of it (`depth`)."""

    items: list[dict[str, Any]]
    before: str = Field(default="", description="Ask with this for the next page; empty on the last one.")


class Sessions(Section):
    """A session, and those that came of it."""

    items: list[dict[str, Any]]


class ConversationPage(Section):
    """Turns, the oldest first: an exchange, what was new in its request (`asked`), its reply, and decisions."""

    items: list[dict[str, Any]]
    after: str = Field(default="", description="Ask with this for the next page; empty on the last one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """Some turns of a session, with those beside them, which calls and their results may stand in."""

    turns: Sequence[Turn]
    previous: Turn | None
    """The one before the first of them."""
    following: Turn | None


@router.get("/api/sessions", name="sessions.list", response_model=SessionPage, responses=answers(401, 421, 422, 503))
async def list_(
    request: Request, caller: ForViewers, desk: AtDesk, which: Annotated[WhichSessions, Query()]
) -> Response:
    """Sessions with what each took."""
    found, before = await sessions_of(desk, which)
    return tagged(request, SessionPage(items=[session_json(one) for one in found], before=before))


@router.get("/api/sessions/{id}", name="sessions.show", responses=answers(401, 404, 421, 503))
async def show(caller: ForViewers, desk: AtDesk, id: str) -> Sessions:
    """By its id, the end of it, or the agent's own marker."""
    return Sessions(items=[session_json(one) for one in await session_of(desk.log, id)])


@router.get(
    "/api/sessions/{id}/conversation", name="sessions.conversation", response_model=ConversationPage,
    responses=answers(401, 404, 421, 422, 503),
)  # fmt: skip
async def conversation(
    caller: ForViewers,
    desk: AtDesk,
    id: str,
    after: Annotated[str, Query(max_length=36, description="Newer than this exchange, by its whole id.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """What was said, a page at a time."""

    async def told(log: Queries) -> Json:
        found = await session_of(log, id)
        some = await turns_after(log, found[0].row.id, after or FIRST, limit)
        last = some.turns[-1].exchange.id if some.following else ""
        return Json({"items": [_turn_json(turn) for turn in some.turns], "after": last})

    return await desk.large.do(told)


async def sessions_of(desk: Desk, which: WhichSessions) -> tuple[list[Session], str]:
    """A page, and where the next one begins. Raises Error for what is no time, or no id."""
    times = [None if text is None else moment(text) for text in (which.since, which.until)]
    before = which.before and digits_of(which.before, of="a session") and which.before
    found = await desk.log.sessions(
        limit=which.limit, before=before, agent=which.agent, project=which.project, since=times[0], until=times[1]
    )
    roots = [one for one in found if not one.depth]
    return found, roots[-1].row.id if len(roots) == which.limit else ""


async def session_of(log: Queries, id: str) -> list[Session]:
    """The session and those that came of it. Raises Problem 404."""
    found = await log.session(id) if id.isprintable() and len(id) <= 200 else []
    if not found:
        raise Problem(404, "no session has this id")
    return found


async def turns_after(log: Queries, session_id: str, after: str, limit: int) -> Some:
    """The turns that are newer than this exchange. Raises Error for what is no id."""
    before = None if after == FIRST else await log.find(_whole(after))
    rows = await log.exchanges(limit=limit + 1, after=_whole(after), where=_of(session_id))
    return await _some(log, before, rows[:limit], rows[limit:])


async def turns_before(log: Queries, session_id: str, before: str, limit: int) -> Some:
    """The turns that are older than this exchange, the last of them."""
    after = None if before == NEWEST else await log.find(_whole(before))
    rows = await log.exchanges(limit=limit + 1, before=_whole(before), where=_of(session_id))
    rows.reverse()
    earlier = rows[0] if len(rows) > limit else None
    return await _some(log, earlier, rows[-limit:], [after] if after else [])


async def _some(
    log: Queries, previous: ExchangeRow | None, rows: Sequence[ExchangeRow], following: Sequence[ExchangeRow]
) -> Some:
    turns = await log.turns([*([previous] if previous else []), *rows, *following])
    start = 1 if previous else 0
    end = start + len(rows)
    return Some(
        turns=turns[start:end],
        previous=turns[0] if previous else None,
        following=turns[end] if following else None,
    )


def _of(session_id: str) -> Filter:
    return Filter(kind="model", session_id=session_id, purpose="")


def _whole(id: str) -> str:
    if not id.isascii():
        raise Error("an exchange's id has hexadecimal digits")
    digits_of(id, of="an exchange")
    return id


def _turn_json(turn: Turn) -> dict[str, Any]:
    return {
        "exchange": row_json(turn.exchange),
        "asked": [asdict(block) for block in turn.asked],
        "answered": [asdict(block) for block in turn.answered],
        "decisions": [_without_bodies(dated(one)) for one in turn.decisions],
        "repeats": turn.repeats,
        "is_cut": turn.is_cut,
        "damage": turn.damage,
    }


def _without_bodies(decision: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in decision.items() if name not in ("given", "out")}
