"""`/api/kills`: what is stopped on every proxy of the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers
from lockgate.admin.paging import Id
from lockgate.admin.problems import CHANGES, MAKES, READS, Problem, answers
from lockgate.admin.views import View
from lockgate.errors import Error, Missing, StorageError
from lockgate.records import Kill, KillScope, now
from lockgate.sections import Section

router = APIRouter(prefix="/kills", route_class=ActRoute, tags=["kills"])


class KillView(View):
    """That something is, or was, stopped."""

    id: str
    scope: KillScope
    target: str
    set_by: str
    reason: str
    until: datetime | None
    """Null where it stands until it is lifted."""
    created_at: datetime
    lifted_at: datetime | None
    lifted_by: str
    in_force: bool


class NewKill(Section):
    """What to stop. Clients, and so their models, are told the reason."""

    scope: KillScope
    target: str = Field(default="", max_length=300, examples=["claude-code"])
    """A session's id or marker; a token's id; a project; for agents, models and hosts `*` stands for any characters;
    nothing for `all`."""
    seconds: int | None = Field(default=None, ge=1, le=365 * 86_400)
    """For so long; until it is lifted, where nothing is said."""
    reason: str = Field(default="", max_length=1_000)


class KillList(BaseModel):
    """The newest first."""

    items: list[KillView]


@router.get("", name="kill.list", summary="List what is stopped", responses=answers(*READS))
async def every(
    caller: ForViewers,
    desk: AtDesk,
    past: Annotated[bool, Query(description="Also what was lifted or has passed.")] = False,
) -> KillList:
    found = await desk.kills.do(lambda kills: kills.every() if past else kills.in_force())
    return KillList(items=[view(each) for each in found])


@router.post("", name="kill.create", status_code=201, summary="Stop something", responses=answers(*MAKES))
async def create(given: NewKill, caller: ForOperators, desk: AtDesk, request: Request) -> KillView:
    """New requests are refused, held calls denied, open streams cut, on every proxy."""
    target = given.target.strip()
    if (given.scope == "all") == bool(target):
        raise Problem(422, "say what to stop; and nothing more where it is all")
    until = None if given.seconds is None else now() + timedelta(seconds=given.seconds)
    wanted = Kill(scope=given.scope, target=target, set_by=caller.name, reason=given.reason.strip(), until=until)
    made = await desk.kills.do(lambda kills: kills.stop(wanted))
    act = act_of(request)
    act.subject, act.after = f"kill {made.id}", view(made).told()
    return view(made)


@router.post("/{id}/lift", name="kill.lift", summary="Let go on what was stopped", responses=answers(*CHANGES))
async def lift(id: Id, caller: ForOperators, desk: AtDesk, request: Request) -> KillView:
    try:
        found = await desk.kills.do(lambda kills: kills.lift(str(id), caller.name))
    except StorageError:
        raise
    except Error as error:
        raise Missing("no kill in force has this id") from error
    act_of(request).before = view(found).told()
    return view(replace(found, lifted_at=now(), lifted_by=caller.name))


def view(kill: Kill) -> KillView:
    """As the API and the pages show it."""
    fields = {name: getattr(kill, name) for name in KillView.model_fields if name != "in_force"}
    return KillView(**fields, in_force=kill.holds(now()))
