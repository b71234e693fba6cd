"""`/api/usage`: what exchanges have taken, from the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.problems import READS, answers
from lockgate.storage.answers import Cost, CostBy, Filter

router = APIRouter(prefix="/usage", route_class=ActRoute, tags=["usage"])

ROWS = 1_000
NANO = 10**9

type Text = Annotated[str | None, Query(max_length=200)]


class Use(BaseModel):
    """What some exchanges took."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    key: str = Field(examples=["shop"])
    """The project, the token's id, the day in UTC …; empty for those without."""
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: float
    """Of those whose price is known."""
    unpriced: int
    """How many have tokens and no known price."""
    estimated: int
    """How many were counted by Lockgate, not by the provider."""


class Usage(BaseModel):
    """By what was asked for: days from the oldest, everything else from the dearest."""

    items: list[Use]
    cut: bool
    """Whether there are more than are shown."""


@router.get("", name="usage.show", summary="Requests, tokens and cost", responses=answers(*READS))
async def show(
    caller: ForViewers,
    desk: AtDesk,
    by: CostBy = "project",
    project: Text = None,
    token: Text = None,
    model: Text = None,
    since: Annotated[AwareDatetime | None, Query(description="Included.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Not included.")] = None,
) -> Usage:
    where = Filter(kind="model", project=project, token=token, model=model, since=since, until=until)
    found = await desk.log.costs(by, where=where, limit=ROWS + 1)
    return Usage(items=[_use(cost) for cost in found[:ROWS]], cut=len(found) > ROWS)


def _use(cost: Cost) -> Use:
    usage = cost.usage
    return Use(
        key=cost.key, requests=cost.exchanges, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens, cache_write_tokens=usage.cache_write_tokens,
        usd=cost.nano_usd / NANO, unpriced=cost.unpriced, estimated=cost.estimated,
    )  # fmt: skip
