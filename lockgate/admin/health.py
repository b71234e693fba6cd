"""How the proxy is: `/live` and `/ready` for whoever starts and stops it, `/health` and `/metrics` for who watches it.

Nothing is probed here: parts say what they have met.
"""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field

from lockgate.access.administrators import Administrator
from lockgate.admin.acts import ActRoute
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, Caller, Needs, anyone, desk_of
from lockgate.admin.problems import READS, answers
from lockgate.health import Degraded

NOT_STORED = {"cache-control": "no-store"}


class Liveness(BaseModel):
    """The event loop turns, or there would be no answer."""

    live: Literal[True] = True


class Trouble(BaseModel):
    """A part that is not as it should be."""

    part: str = Field(examples=["database"])
    since: datetime
    what: str = Field(examples=["the database cannot be written to: what is recorded waits"])


class Readiness(BaseModel):
    """Whether exchanges pass. Parts that the proxy goes on without are named, and do not count."""

    ready: bool
    degraded: list[Trouble]


class PartState(BaseModel):
    """How one part is."""

    part: str = Field(examples=["spill"])
    state: Literal["ok", "degraded", "failing"]
    """`failing`: exchanges fail for it."""
    since: datetime | None = None
    what: str = ""
    detail: str = ""
    """Also places and names, which `/ready` leaves out."""


class HealthReport(BaseModel):
    """All parts."""

    state: Literal["ok", "degraded", "failing"]
    version: str = Field(examples=["0.1.0"])
    started_at: datetime
    parts: list[PartState]


NOBODY = Caller(administrator=Administrator(name="", role="viewer"))


class NeedsToWatch(Needs):
    """For viewers, or for everyone where `admin.metrics` is `open`."""

    async def __call__(self, request: Request) -> Caller:
        return NOBODY if desk_of(request).settings.metrics == "open" else await super().__call__(request)


router = APIRouter(tags=["health"], route_class=ActRoute, dependencies=[Depends(anyone)])
"""Open to everyone: it tells nothing that an outsider could use."""
guarded = APIRouter(
    tags=["health"], route_class=ActRoute, dependencies=[Depends(NeedsToWatch("viewer"))], responses=answers(*READS)
)
"""For viewers, or where the configuration says so for everyone."""

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"model": Readiness, "description": "Exchanges fail, or wait."}}
_EXPOSITION: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "In Prometheus's text format, or OpenMetrics where `Accept` asks for it.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/live", name="health.live", summary="Whether the proxy runs")
async def live(response: Response) -> Liveness:
    """Whether the proxy runs. What does not answer within seconds should be started anew."""
    response.headers.update(NOT_STORED)
    return Liveness()


@router.get("/ready", name="health.ready", summary="Whether exchanges pass", responses=_UNREADY)
async def ready(desk: AtDesk, response: Response) -> Readiness:
    """Whether the proxy should be sent traffic: 503 where exchanges fail, or wait, for a part that is down."""
    troubles = {part: state for part, state in desk.health.states().items() if state}
    is_ready = not any(state.is_fatal for state in troubles.values())
    response.status_code = 200 if is_ready else 503
    response.headers.update(NOT_STORED)
    told = [Trouble(part=part, since=state.since, what=state.what) for part, state in troubles.items()]
    return Readiness(ready=is_ready, degraded=told)


@guarded.get("/health", name="health.show", summary="How each part is")
async def health(desk: AtDesk, response: Response) -> HealthReport:
    """How each part is."""
    response.headers.update(NOT_STORED)
    return report(desk)


def report(desk: Desk) -> HealthReport:
    """All parts, as they are now."""
    parts = [_part(name, state) for name, state in desk.health.states().items()]
    states = {part.state for part in parts}
    return HealthReport(
        state="failing" if "failing" in states else "degraded" if "degraded" in states else "ok",
        version=version("lockgate"),
        started_at=desk.health.started_at,
        parts=parts,
    )


@guarded.get(
    "/metrics", name="metrics.show", summary="Metrics for Prometheus", response_class=Response, responses=_EXPOSITION
)
async def metrics(desk: AtDesk, accept: Annotated[str, Header()] = "") -> Response:
    """What was counted since the proxy started."""
    body, content_type = desk.metrics.exposition(accept)
    return Response(body, headers=NOT_STORED | {"content-type": content_type})


def _part(name: str, state: Degraded | None) -> PartState:
    if state is None:
        return PartState(part=name, state="ok")
    kind = "failing" if state.is_fatal else "degraded"
    return PartState(part=name, state=kind, since=state.since, what=state.what, detail=state.detail)
