"""`/api/approvals`: the calls that wait for a person, and what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers, ForWatchers
from lockgate.admin.paging import Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import CHANGES, READS, Problem, answers
from lockgate.admin.views import View
from lockgate.errors import Error, Missing, StorageError
from lockgate.policies.asking import approval_json, edit_of
from lockgate.policies.readable import readable
from lockgate.records import Approval, ApprovalState
from lockgate.sections import Section
from lockgate.storage.approvals import NOTE_CHARACTERS, Decided

router = APIRouter(prefix="/approvals", route_class=ActRoute, tags=["approvals"])

DECISIONS: dict[str, Decided] = {"approve": "approved", "deny": "denied", "edit": "edited"}


class PartView(View):
    """One argument of a call, or what belongs together, as a person reads it: nothing is cut, nothing hides."""

    name: str
    kind: Literal["text", "command", "diff"]
    text: str


class SaidView(BaseModel):
    """Who said something, and its beginning."""

    role: str
    text: str


class ApprovalView(BaseModel):
    """A tool call that waits for a person's word, or had it."""

    id: str
    exchange_id: str
    session_id: str
    rule: str
    agent: str
    project: str
    model: str
    tool: str
    custom: bool
    arguments: str
    parts: list[PartView]
    """The call as a person reads it."""
    digest: str = Field(examples=["9f86d081884c7d65"])
    """Names exactly this call: a decision says it again."""
    score: float | None
    reason: str
    context: list[SaidView]
    state: ApprovalState
    by_default: Literal["deny", "approve"]
    asked_at: datetime
    deadline: datetime
    left_at: datetime | None
    decided_by: str
    decided_at: datetime | None
    note: str
    note_shown: bool
    edited: str | None
    used_at: datetime | None


class Given(Section):
    """A decision about the call that `digest` names."""

    decision: Literal["approve", "deny", "edit"]
    digest: str = Field(min_length=1, max_length=64)
    note: str = Field(default="", max_length=NOTE_CHARACTERS)
    note_shown: bool = False
    """Whether the agent may read the note of a denial."""
    arguments: str | None = Field(default=None, max_length=5_000_000)
    """For an edit: what goes on instead, as JSON text, or as free text where the tool is `custom`."""


class Count(BaseModel):
    """How many calls wait."""

    waiting: int


@router.get("", name="approval.list", summary="List approvals", responses=answers(*READS))
async def every(
    caller: ForViewers,
    desk: AtDesk,
    state: Annotated[
        Literal["waiting", "decided"], Query(description="What waits, the oldest first, or waits no more.")
    ] = "waiting",
    limit: Limit = 50,
    before: Before = None,
) -> Page[ApprovalView]:
    """Pages are of what waits no more, the newest first; what waits is one page."""
    if state == "waiting":
        return Page(items=[view(each) for each in await desk.approvals.pending()])
    return page(await desk.approvals.decided(limit=limit + 1, before=whole(before)), limit, view)


@router.get("/count", name="approval.count", summary="Count what waits", responses=answers(*READS))
async def count(caller: ForWatchers, desk: AtDesk) -> Count:
    """Asking is no use of a session: every page does it once a minute."""
    return Count(waiting=len(await desk.approvals.waiting()))


@router.get("/{id}", name="approval.show", summary="Show an approval", responses=answers(*READS, 404))
async def show(id: Id, caller: ForViewers, desk: AtDesk) -> ApprovalView:
    return view(await _found(desk, str(id)))


@router.post("/{id}/decision", name="approval.decide", summary="Decide", responses=answers(*CHANGES))
async def decide(id: Id, given: Given, caller: ForOperators, desk: AtDesk, request: Request) -> ApprovalView:
    """A decision counts once, and only about the call that was shown; 409 says that it came too late or is about
    another call."""
    if (given.decision == "edit") != (given.arguments is not None):
        raise Problem(422, "arguments are given for an edit, and for nothing else")
    found = await _found(desk, str(id))
    arguments = None if given.arguments is None else edit_of(found, given.arguments)
    try:
        decided = await desk.approvals.decide(
            found.id, DECISIONS[given.decision], digest=given.digest, by=caller.name, note=given.note,
            note_shown=given.note_shown, arguments=arguments,
        )  # fmt: skip
    except StorageError:
        raise
    except Error as error:  # all else was looked at before
        raise Problem(409, str(error)) from error
    act_of(request).after = {"state": decided.state, "digest_of_call": decided.digest, "note": decided.note}
    return view(decided)


async def _found(desk: Desk, id: str) -> Approval:
    if (found := await desk.approvals.find(id)) is None:
        raise Missing("no approval has this id")
    return found


def view(approval: Approval) -> ApprovalView:
    """As the API and the pages show it."""
    parts = readable(approval.tool, approval.arguments, custom=approval.custom)
    return ApprovalView(**approval_json(approval), parts=[PartView.model_validate(each) for each in parts])
