"""`/api/exchanges/{id}/frames`: the frames of a streamed reply, where the log keeps them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from lockgate.admin.acts import ActRoute
from lockgate.admin.desk import Desk
from lockgate.admin.exchanges import digits_in
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.paging import Limit
from lockgate.admin.problems import Problem, answers
from lockgate.frames.told import Frames, Side, ToldFrame, frame_json, left_out_json
from lockgate.records import ExchangeRow
from lockgate.sections import Section

router = APIRouter(route_class=ActRoute, tags=["exchanges"])

type From = Annotated[int, Query(ge=0, le=10_000_000, description="`next` of the page before.")]


class FrameView(Section):
    """A frame as it came, `original`, or as it left, `final`."""

    side: Side
    number: int
    """Its place on its side, from 0."""
    milliseconds: float
    """Since the request."""
    held_milliseconds: float | None
    """How long it was held; null for one that did not leave as it came."""
    same_as: int | None
    """Its number on the other side; null where it was changed, left out or added."""
    text: str
    base64: str | None = None
    """Its bytes, where they are no UTF-8."""


class LeftOutView(Section):
    """What there was no room for."""

    frames: int
    bytes: int


class FramePage(Section):
    """In the order of time."""

    kept: bool
    """Whether the log has frames of this reply: see `log.frames`."""
    items: list[FrameView]
    left_out: dict[Side, LeftOutView] = Field(default_factory=dict[Side, LeftOutView])
    next: int | None = None
    """For `start`; null on the last page."""


@router.get("/api/exchanges/{id}/frames", name="exchanges.frames", responses=answers(401, 404, 421, 422, 503))
async def list_(caller: ForViewers, desk: AtDesk, id: str, limit: Limit = 500, start: From = 0) -> FramePage:
    """The frames of a streamed reply as they came and as they left, a page at a time."""
    _, frames = await frames_of(desk, id)
    if frames is None:
        return FramePage(kept=False, items=[])
    end = start + limit
    return FramePage(
        kept=True,
        items=[view(each) for each in frames.items[start:end]],
        left_out={side: LeftOutView(**each) for side, each in left_out_json(frames).items()},
        next=end if end < len(frames.items) else None,
    )


async def frames_of(desk: Desk, id: str) -> tuple[ExchangeRow, Frames | None]:
    """Raises Error for what is no id, and Problem 404 where no exchange has it."""
    row = await desk.log.find(digits_in(id))
    if row is None:
        raise Problem(404, "no exchange has this id")
    return row, await desk.log.frames(row.id)


def view(frame: ToldFrame) -> FrameView:
    return FrameView(**frame_json(frame))
