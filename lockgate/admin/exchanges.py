"""`/api/exchanges` and `/api/search`: what the log remembers of exchanges, and what was said in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lockgate.admin.acts import ActRoute
from lockgate.admin.answering import Json, tagged
from lockgate.admin.choosing import Search, WhichPage
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import Problem, answers
from lockgate.sections import Section
from lockgate.storage.answers import NO_MARKS, ExchangeDetail, Marks
from lockgate.storage.curl import curl
from lockgate.storage.export import TextFormat, told
from lockgate.storage.queries import Queries
from lockgate.storage.readable import plain
from lockgate.storage.shapes import changes, detail_json, diff, document, hit_json, row_json

router = APIRouter(route_class=ActRoute, tags=["exchanges"])

TYPES: dict[str, tuple[str, str]] = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "har": ("application/json", "har"),
    "curl": ("text/plain; charset=utf-8", "sh"),
}
"""The media type and the ending of each format."""


class ExchangePage(Section):
    """The newest first."""

    items: list[dict[str, Any]]
    before: str = Field(default="", description="Ask with this for the next page; empty on the last one.")


class Hits(Section):
    """The best fit first."""

    items: list[dict[str, Any]]


class Difference(Section):
    """Of the request and the reply, what a rule made of it."""

    original: Any
    final: Any
    diff: list[str] = Field(description="A unified diff of both as indented JSON.")


@router.get("/debug/calls", include_in_schema=False, name="exchanges.list")
@router.get("/api/exchanges", name="exchanges.list", response_model=ExchangePage, responses=answers(401, 421, 422, 503))
async def list_(request: Request, caller: ForViewers, desk: AtDesk, which: Annotated[WhichPage, Query()]) -> Response:
    """Conversations and side calls of clients, a page at a time."""
    rows = await desk.log.exchanges(limit=which.limit, before=which.before, where=which.filter())
    marks = await desk.log.marks(rows)
    items = [row_json(row, marks.get(row.id, NO_MARKS)) for row in rows]
    return tagged(request, ExchangePage(items=items, before=rows[-1].id if len(rows) == which.limit else ""))


@router.get("/api/search", name="exchanges.search", responses=answers(401, 421, 422, 503))
async def search(caller: ForViewers, desk: AtDesk, which: Annotated[Search, Query()]) -> Hits:
    """What was said: by users, tools and models."""
    where = which.filter()
    hits = await desk.large.do(lambda log: log.search(which.q, limit=which.limit, where=where))
    return Hits(items=[hit_json(hit) for hit in hits])


@router.get("/debug/diff", include_in_schema=False, name="exchanges.diff")
async def diff_page(caller: ForViewers, call_id: Annotated[str, Query(max_length=40)] = "") -> RedirectResponse:
    """Where earlier systems had the page that shows what was changed."""
    return RedirectResponse(f"/exchanges/{digits_in(call_id)}#changes" if call_id else "/exchanges", 303)


@router.get(
    "/api/exchanges/{id}", name="exchanges.show", response_model=dict[str, Any],
    responses=answers(401, 404, 421, 422, 503),
)  # fmt: skip
async def show(caller: ForViewers, desk: AtDesk, id: str) -> Response:
    """The whole exchange: bodies as they were sent, decisions, relations, labels and notes."""

    async def shown(log: Queries) -> Json:
        return Json(detail_json(*await detail_of(log, id)))

    return await desk.large.do(shown)


@router.get("/debug/calls/{id}/diff", include_in_schema=False, name="exchanges.diff")
@router.get(
    "/api/exchanges/{id}/diff", name="exchanges.diff", response_model=dict[str, Difference],
    responses=answers(401, 404, 421, 422, 503),
)  # fmt: skip
async def difference(caller: ForViewers, desk: AtDesk, id: str) -> Response:
    """What rules changed: `request` and `reply`, as far as they were."""

    async def compared(log: Queries) -> Json:
        detail, _ = await detail_of(log, id)
        return Json({
            name: {
                "original": document(original.content), "final": document(final.content),
                "diff": diff(name, original, final),
            }
            for name, original, final in changes(detail)
        })  # fmt: skip

    return await desk.large.do(compared)


@router.get("/api/exchanges/{id}/export", name="exchanges.export", responses=answers(401, 404, 421, 422, 503))
async def export(caller: ForViewers, desk: AtDesk, id: str, format: TextFormat | Literal["curl"] = "jsonl") -> Response:
    """The exchange as a file. Credentials never got into the log; in the command for curl stands `$API_KEY`."""

    async def exported(log: Queries) -> Response:
        detail, marks = await detail_of(log, id)
        text = curl(detail) if format == "curl" else told(format, detail, marks)
        type, ending = TYPES[format]
        text = text if type.startswith("application/") else plain(text)
        name = f"lockgate-{detail.exchange.id}.{ending}"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return PlainTextResponse(text.encode("utf-8", "replace"), headers=headers, media_type=type)

    return await desk.large.do(exported)


async def detail_of(log: Queries, id: str, *, bodies: bool = True) -> tuple[ExchangeDetail, Marks]:
    """Raises Error for what is no id, and Problem 404 where no exchange has it."""
    detail = await log.exchange(digits_in(id), bodies=bodies)
    if detail is None:
        raise Problem(404, "no exchange has this id")
    marks = await log.marks([detail.exchange])
    return detail, marks.get(detail.exchange.id, NO_MARKS)


def digits_in(id: str) -> str:
    """An id with nothing in it that an address or a database reads in another way. Raises Problem."""
    if len(id) > 40 or not id.isascii() or not id.replace("-", "").isalnum():
        raise Problem(422, "an exchange's id has 6 to 32 hexadecimal digits")
    return id
