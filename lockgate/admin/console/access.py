"""The pages below Access: projects, tokens, provider keys, usage, budgets, the audit trail, administrators.

They show what the API answers, asked in the reader's own name; what they change goes through the API.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from lockgate.access.administrators import ROLES, Role
from lockgate.access.grant import Grant
from lockgate.admin import administrators, audit, budgets, keys, projects, tokens, usage
from lockgate.admin.acts import ActRoute
from lockgate.admin.console.pages import page
from lockgate.admin.console.system import proxy_address
from lockgate.admin.identity import AtDesk, Caller, ForAdmins, ForViewers
from lockgate.admin.paging import MOST, Before, Id
from lockgate.records import AuditOutcome, now
from lockgate.sections import AccessLimits
from lockgate.storage.answers import CostBy

router = APIRouter(prefix="/access", route_class=ActRoute, include_in_schema=False)

OUTCOMES: tuple[str, ...] = get_args(AuditOutcome.__value__)
USAGE_BY: tuple[str, ...] = get_args(CostBy.__value__)
ROWS = 50
type Text = Annotated[str, Query(max_length=300)]
type Days = Annotated[int, Query(ge=1, le=3660)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A page below Access."""

    path: str
    name: str
    role: Role = "viewer"


TABS = (
    Tab(path="/access", name="Projects"),
    Tab(path="/access/tokens", name="Tokens"),
    Tab(path="/access/keys", name="Provider keys"),
    Tab(path="/access/usage", name="Usage"),
    Tab(path="/access/budgets", name="Budgets"),
    Tab(path="/access/audit", name="Audit"),
    Tab(path="/access/administrators", name="Administrators", role="admin"),
)


@router.get("", name="access.page")
async def all_projects(request: Request, caller: ForViewers, desk: AtDesk, before: Before = None) -> HTMLResponse:
    found = await projects.every(caller, desk, ROWS, before)
    return _page(request, caller, "projects", "Projects", found=found, grant=_json(Grant()))


@router.get("/projects/{id}", name="project.page")
async def one_project(id: Id, request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    project = await projects.show(id, caller, desk)
    title = f"Project {project.name}"
    return _page(request, caller, "project", title, "/access", project=project, grant=_json(project.grant))


@router.get("/tokens", name="tokens.page")
async def all_tokens(
    request: Request, caller: ForViewers, desk: AtDesk, project: Text = "", before: Before = None
) -> HTMLResponse:
    found = await tokens.every(caller, desk, project or None, ROWS, before)
    return _page(
        request, caller, "tokens", "Tokens", found=found, project=project, grant=_json(Grant()),
        projects=await _projects(caller, desk), proxy=proxy_address(desk, request),
    )  # fmt: skip


@router.get("/tokens/{id}", name="token.page")
async def one_token(id: Id, request: Request, caller: ForViewers, desk: AtDesk) -> HTMLResponse:
    token = await tokens.show(id, caller, desk)
    return _page(
        request, caller, "token", f"Token {token.name or token.hint}", "/access/tokens", token=token,
        grant=_json(token.grant), proxy=proxy_address(desk, request),
    )  # fmt: skip


@router.get("/keys", name="keys.page")
async def all_keys(request: Request, caller: ForViewers, desk: AtDesk, before: Before = None) -> HTMLResponse:
    found = await keys.every(caller, desk, ROWS, before)
    return _page(
        request, caller, "keys", "Provider keys", found=found, providers=sorted(desk.providers),
        projects=await _projects(caller, desk),
    )  # fmt: skip


@router.get("/usage", name="usage.page")
async def show_usage(
    request: Request, caller: ForViewers, by: CostBy = "project", days: Days = 7,
    project: Text = "", token: Text = "", model: Text = "",
) -> HTMLResponse:  # fmt: skip
    """Its table and its charts come after it, as a long log takes a while to add up."""
    where = {name: value for name, value in (("project", project), ("token", token), ("model", model)) if value}
    series = {"by": "day", "since": (now() - timedelta(days=days)).isoformat()} | where
    return _page(
        request, caller, "usage", "Usage", by=by, days=days, where=where, kinds=USAGE_BY,
        table=urlencode({"by": by, "days": days} | where), series=urlencode(series),
    )  # fmt: skip


@router.get("/usage/table", name="usage.table")
async def usage_table(
    request: Request, caller: ForViewers, desk: AtDesk, by: CostBy = "project", days: Days = 7,
    project: Text = "", token: Text = "", model: Text = "",
) -> HTMLResponse:  # fmt: skip
    since = now() - timedelta(days=days)
    found = await usage.show(caller, desk, by, project or None, token or None, model or None, since)
    return page(request, "access_usage_table.html", caller=caller, found=found, by=by)


@router.get("/budgets", name="budgets.page")
async def all_budgets(
    request: Request, caller: ForViewers, desk: AtDesk, of: Text = "project", before: Before = None
) -> HTMLResponse:
    whose = "token" if of == "token" else "project"
    found = await budgets.every(caller, desk, whose, None, ROWS, before)
    return _page(request, caller, "budgets", "Budgets", found=found, of=whose)


@router.get("/audit", name="audit.page")
async def trail(
    request: Request, caller: ForViewers, desk: AtDesk, who: Text = "", act: Text = "", subject: Text = "",
    outcome: Text = "", text: Text = "", days: Annotated[int, Query(ge=0, le=3660)] = 0, before: Before = None,
) -> HTMLResponse:  # fmt: skip
    wanted: dict[str, Any] = {"who": who, "act": act, "subject": subject, "text": text}
    wanted = {name: value for name, value in wanted.items() if value}
    if outcome in OUTCOMES:
        wanted["outcome"] = outcome
    if days:
        wanted["since"] = now() - timedelta(days=days)
    found = await audit.every(caller, desk, limit=ROWS, before=before, **wanted)
    return _page(
        request, caller, "audit", "Audit", found=found, outcomes=OUTCOMES, given=request.query_params,
        export=urlencode({name: getattr(value, "isoformat", lambda v=value: v)() for name, value in wanted.items()}),
        states={each.id: _states(each) for each in found.items},
    )  # fmt: skip


@router.get("/administrators", name="administrators.page")
async def all_administrators(request: Request, caller: ForAdmins, desk: AtDesk, before: Before = None) -> HTMLResponse:
    found = await administrators.every(caller, desk, ROWS, before)
    return _page(request, caller, "administrators", "Administrators", found=found, roles=ROLES)


@router.get("/administrators/{id}", name="administrator.page")
async def one_administrator(id: Id, request: Request, caller: ForAdmins, desk: AtDesk) -> HTMLResponse:
    person = await administrators.show(id, caller, desk)
    return _page(
        request, caller, "administrator", f"Administrator {person.name}", "/access/administrators", person=person,
        keys=await administrators.keys(id, caller, desk), roles=ROLES,
    )  # fmt: skip


def _page(request: Request, caller: Caller, name: str, title: str, tab: str = "", **values: Any) -> HTMLResponse:
    """What the reader may not do has no button."""
    may = {role: caller.administrator.may(role) for role in ROLES}
    return page(
        request, f"access_{name}.html", caller=caller, title=title, may=may, tab=tab or request.url.path,
        tabs=[each for each in TABS if may[each.role]], older=_older(request, values.get("found")),
        limits=_LIMITS, **values,
    )  # fmt: skip


async def _projects(caller: Caller, desk: Any) -> list[str]:
    """Names to choose from; with more than a form shows, others are typed."""
    return [each.name for each in (await projects.every(caller, desk, MOST, None)).items]


def _older(request: Request, found: Any) -> str:
    """The query of the page after this one; empty on the last."""
    if not (next_ := getattr(found, "next", None)):
        return ""
    return urlencode(dict(request.query_params) | {"before": next_})


def _json(grant: Grant) -> str:
    return _readable(grant.model_dump(mode="json", exclude_defaults=True))


def _states(entry: audit.AuditView) -> str:
    """What was before and after, to read."""
    states = {name: value for name in ("before", "after") if (value := getattr(entry, name))}
    return _readable(states) if states else ""


def _readable(document: Any) -> str:
    """JSON text; half a surrogate pair, which no page can hold, as its escape."""
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


_LIMITS = tuple((name, name.replace("_", " ")) for name in AccessLimits.model_fields)
