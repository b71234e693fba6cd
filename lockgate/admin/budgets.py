"""`/api/budgets`: what is used of budgets, in the period that runs. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from lockgate.access.budgets import NOTHING, Line, lines_of
from lockgate.access.grant import Period
from lockgate.access.records import Project, Token
from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.paging import Before, Limit, Page, whole
from lockgate.admin.problems import READS, answers
from lockgate.records import now
from lockgate.storage.budgets import sums

router = APIRouter(prefix="/budgets", route_class=ActRoute, tags=["budgets"])

NANO = 10**9


class BudgetView(BaseModel):
    """One budget of a project or a token, and how far it is used."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    whose: Literal["project", "token"]
    id: str = Field(examples=["019368a0-0000-7000-8000-000000000000"])
    """Of the project or token."""
    project: str = Field(examples=["shop"])
    name: str = Field(default="", examples=["nightly"])
    """Of a token, its name, or its first characters."""
    per: Period
    period: str = Field(examples=["2026-11-21"])
    unit: Literal["tokens", "usd"]
    limit: float
    used: float
    """As far as proxies have written it, which they do every second."""
    share: float = Field(examples=[0.83])
    warn_at: float
    then: Literal["refuse", "map"]
    map_to: str = ""


@router.get("", name="budget.list", summary="List budgets", responses=answers(*READS, 404))
async def every(
    caller: ForViewers,
    desk: AtDesk,
    of: Annotated[Literal["project", "token"], Query(description="Whose budgets.")] = "project",
    project: Annotated[str | None, Query(max_length=200, description="Tokens of this project only.")] = None,
    limit: Limit = 50,
    before: Before = None,
) -> Page[BudgetView]:
    """Of so many projects or tokens, the newest first; a page may hold fewer budgets, and more."""
    most, after = limit + 1, whole(before)
    found: Sequence[Project | Token]
    if of == "project":
        found = await desk.access.do(lambda access: access.projects(limit=most, before=after))
    else:
        found = await desk.access.do(lambda access: access.tokens(project=project, limit=most, before=after))
    shown, at = found[:limit], now()
    lines = [(each, line) for each in shown for line in _lines(each, at)]
    keys = [line.key for _, line in lines]
    used = await desk.access.do(lambda access: access.do(partial(sums, keys=keys)))
    items = [_view(each, line, line.of(used.get(line.key, NOTHING))) for each, line in lines]
    return Page(items=items, next=shown[-1].id if len(found) > limit else None)


def _lines(record: Project | Token, at: datetime) -> list[Line]:
    return lines_of("project" if isinstance(record, Project) else "token", record.id, record.grant, at)


def _view(record: Project | Token, line: Line, used: int) -> BudgetView:
    budget, unit = line.budget, 1 if line.budget.tokens is not None else NANO
    is_token = isinstance(record, Token)
    return BudgetView(
        whose="token" if is_token else "project", id=record.id,
        project=record.project if is_token else record.name,
        name=(record.name or record.hint) if is_token else "",
        per=budget.per, period=line.key.period, unit="usd" if budget.tokens is None else "tokens",
        limit=line.limit / unit, used=used / unit, share=used / line.limit,
        warn_at=budget.warn_at, then=budget.then, map_to=budget.map_to,
    )  # fmt: skip
