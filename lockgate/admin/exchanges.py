"""`/api/exchanges`: what the log remembers of exchanges."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import answers
from lockgate.sections import Section
from lockgate.storage.answers import NO_MARKS, Filter
from lockgate.storage.shapes import row_json

router = APIRouter(route_class=ActRoute, tags=["exchanges"])


class ExchangePage(Section):
    """The newest first."""

    items: list[dict[str, Any]]
    before: str = Field(default="", description="Ask with this for the next page; empty on the last one.")


@router.get("/api/exchanges", name="exchanges.list", responses=answers(401, 421, 422, 503))
async def list_(
    caller: ForViewers,
    desk: AtDesk,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[
        str | None, Query(max_length=36, description="Older than this exchange, by its whole id.")
    ] = None,
) -> ExchangePage:
    """Conversations and side calls of clients, a page at a time."""
    rows = await desk.log.exchanges(limit=limit, before=before or None, where=Filter(trigger=""))
    marks = await desk.log.marks(rows)
    items = [row_json(row, marks.get(row.id, NO_MARKS)) for row in rows]
    return ExchangePage(items=items, before=rows[-1].id if len(rows) == limit else "")
