"""`/api/activity`: what goes on now as server-sent events, and what went on in numbers over time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from starlette.responses import RedirectResponse, StreamingResponse

from lockgate.activity import Gap, Growth, Happening, batches
from lockgate.admin.acts import ActRoute
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForViewers, stands
from lockgate.admin.problems import Problem, answers
from lockgate.records import Decision, ExchangeRow, now
from lockgate.sections import Section
from lockgate.storage.answers import Filter, SeriesBy, Step
from lockgate.storage.shapes import dated, row_json
from lockgate.wire.document import dumps

router = APIRouter(route_class=ActRoute, tags=["activity"])

BATCH_SECONDS = 0.25
QUIET_SECONDS = 10.0
"""After so long without news the stream says that it is still there, and looks whether the caller still may read."""
SPANS: dict[Step, timedelta] = {"minute": timedelta(hours=1), "hour": timedelta(days=2), "day": timedelta(days=30)}
ENDED = b"event: ended\ndata: {}\n\n"


class PointBody(Section):
    """What happened in one step of time; means are over exchanges that have the value."""

    at: str = Field(examples=["2026-11-21T20:15:00+00:00"])
    key: str = Field(examples=["claude-opus-4-5"])
    exchanges: int
    tokens: int
    nano_usd: int
    blocked: int
    first_byte_ms: float | None
    duration_ms: float | None


class Series(Section):
    """Steps in which nothing happened are left out."""

    points: list[PointBody]


@router.get("/api/activity/series", name="activity.series", responses=answers(401, 421, 422, 503))
async def series(caller: ForViewers, desk: AtDesk, step: Step = "minute", by: SeriesBy = "") -> Series:
    """Exchanges, tokens, cost and latency by minute of the last hour, by hour of two days, or by day of a month."""
    where = Filter(kind="model", trigger="", since=now() - SPANS[step])
    points = await desk.log.series(step, by=by, where=where)
    return Series(points=[PointBody(**dated(each)) for each in points])


@router.get(
    "/api/activity/stream",
    name="activity.stream",
    responses=answers(401, 421, 422, 503),
    response_class=StreamingResponse,
)
async def stream(
    request: Request,
    caller: ForViewers,
    desk: AtDesk,
    after: Annotated[int | None, Query(ge=0, description="The number of the last happening that is known.")] = None,
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """Events `happenings`, each with a list: exchanges as they begin and end, decisions, how far open replies are,
    that the calls that wait changed. Of other proxies at the same database, `by` whom they are, exchanges come when
    they have ended. An item `gap` says that some were missed: they are in the log. `ended` comes when
    the caller may read no more."""
    if desk.activity.is_full:
        raise Problem(503, "too many pages watch already: close one")
    known = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else after
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(_events(request, desk, known), media_type="text/event-stream", headers=headers)


@router.get("/activity/stream", name="activity.stream.alias", include_in_schema=False)
async def old_stream(caller: ForViewers) -> RedirectResponse:
    """The path of earlier systems."""
    return RedirectResponse("/api/activity/stream", 307)


@router.get("/activity/monitor", name="activity.monitor.alias", include_in_schema=False)
async def old_monitor(caller: ForViewers) -> RedirectResponse:
    """The path of earlier systems."""
    return RedirectResponse("/", 307)


async def _events(request: Request, desk: Desk, after: int | None) -> AsyncIterator[bytes]:
    with desk.activity.watch(after) as watcher:
        yield b": what goes on now\n\n"
        looked = time.monotonic()
        async for news in batches(watcher, seconds=BATCH_SECONDS, quiet_seconds=QUIET_SECONDS):
            if time.monotonic() - looked >= QUIET_SECONDS:
                looked = time.monotonic()
                if not await stands(request):
                    yield ENDED
                    return
            yield event_of(news) if news else b": nothing new\n\n"


def event_of(news: Sequence[Happening | Gap]) -> bytes:
    """One event for all that is new."""
    numbers = [each.number for each in news if isinstance(each, Happening)]
    id = f"id: {numbers[-1]}\n" if numbers else ""
    return b"%sevent: happenings\ndata: [%s]\n\n" % (id.encode(), b",".join(map(_encoded, news)))


@lru_cache(maxsize=4096)
def _encoded(news: Happening | Gap) -> bytes:
    """The same bytes go to all who watch."""
    return dumps(_document(news))


def _document(news: Happening | Gap) -> dict[str, Any]:
    if isinstance(news, Gap):
        return {"type": "gap", "missed": news.missed}
    match news.what:
        case ExchangeRow() as row:
            return {"type": "exchange", "exchange": row_json(row)} | ({"by": news.by} if news.by else {})
        case Decision() as one:
            names = ("exchange_id", "rule", "mode", "subject", "action", "score")
            return {"type": "decision"} | {name: getattr(one, name) for name in names}
        case Growth() as growth:
            return {"type": "growth"} | asdict(growth)
        case _:
            return {"type": "approvals"}
