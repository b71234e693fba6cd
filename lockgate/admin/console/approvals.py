"""The page Approvals: the calls that wait, to be read and decided, and who decided what. `/api/approvals` decides."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.identity import AtDesk, ForViewers, ForWatchers
from lockgate.errors import WireError
from lockgate.policies.notice import harmless
from lockgate.policies.readable import readable
from lockgate.records import Approval, now
from lockgate.wire.document import loads

router = APIRouter(route_class=ActRoute, include_in_schema=False)

SHOWN = 50
"""Calls that wait; the others come when some are decided."""
DECIDED = 25


@router.get("/approvals", name="approvals.page")
async def approvals(request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    return page(
        request, "approvals.html", caller=caller, title="Approvals", may=caller.administrator.may("operator"),
        held=[shown(each) for each in await desk.approvals.pending(limit=SHOWN)],
        **_decided(await desk.approvals.decided(limit=DECIDED + 1)),
    )  # fmt: skip


@router.get("/approvals/held", name="approvals.held")
async def held(request: Request, caller: ForWatchers, desk: AtDesk) -> HTMLResponse:
    """What waits, for the page that is open."""
    found = [shown(each) for each in await desk.approvals.pending(limit=SHOWN)]
    return page(request, "approvals_held.html", caller=caller, held=found, may=caller.administrator.may("operator"))


@router.get("/approvals/decided", name="approvals.decided")
async def decided(
    request: Request, caller: ForWatchers, desk: AtDesk, before: Annotated[UUID | None, Query()] = None
) -> HTMLResponse:
    """A page of what waits no more."""
    found = await desk.approvals.decided(limit=DECIDED + 1, before=str(before) if before else None)
    return page(request, "approvals_decided.html", caller=caller, **_decided(found))


def shown(approval: Approval) -> dict[str, Any]:
    """All that a person should know before they decide; what would hide is spelled out."""
    names = ("rule", "agent", "model", "project", "note", "decided_by")
    return {
        "one": replace(approval, **{name: harmless(getattr(approval, name)) for name in names}),
        "parts": readable(approval.tool, approval.arguments, custom=approval.custom),
        "edited": None if approval.edited is None else readable(
            approval.tool, approval.edited, custom=approval.custom),
        "context": [(harmless(role), harmless(text)) for role, text in approval.context],
        "reason": harmless(approval.reason),
        "tool": harmless(approval.tool),
        "editable": _editable(approval),
        "left": max(0, int((approval.deadline - now()).total_seconds())),
    }  # fmt: skip


def _decided(found: list[Approval]) -> dict[str, Any]:
    listed = [shown(each) for each in found[:DECIDED]]
    return {"listed": listed, "next": found[DECIDED - 1].id if len(found) > DECIDED else ""}


def _editable(approval: Approval) -> str:
    """The arguments, as one edits them. What cannot be seen is spelled out, in JSON as its strings say it."""
    if approval.custom:
        return harmless(approval.arguments)
    try:
        document = loads(approval.arguments.encode("utf-8", "surrogatepass"))
    except WireError:
        return harmless(approval.arguments)
    return harmless(json.dumps(document, indent=2, ensure_ascii=False))
