"""`/admin/policy/…`: the paths of earlier systems."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse

from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForAdmins, ForViewers
from lockgate.admin.policy_set import Text, Written, update

router = APIRouter(prefix="/admin/policy", route_class=ActRoute, include_in_schema=False)


@router.get("/list", name="policy.list.alias")
async def list_(caller: ForViewers) -> RedirectResponse:
    return RedirectResponse("/api/policies", 307)


@router.get("/current", name="policy_set.show.alias")
async def current(caller: ForViewers) -> RedirectResponse:
    return RedirectResponse("/api/policy-set", 307)


@router.post("/enable", name="policy_set.update.alias")
async def enable(given: Text, caller: ForAdmins, desk: AtDesk, request: Request) -> Written:
    """As `PUT /api/policy-set`, with its If-Match."""
    return await update(given, caller, desk, request, request.headers.get("if-match", ""))
