"""Lists by page: the newest first, and a page goes on after the last id of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Path, Query
from pydantic import BaseModel, Field

MOST = 500

type Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
type Before = Annotated[UUID | None, Query(description="`next` of the page before.")]
type Id = Annotated[UUID, Path(description="The whole id.")]


class Numbered(Protocol):
    """What has an id."""

    @property
    def id(self) -> str: ...


class Page[Item](BaseModel):
    """A part of a list."""

    items: list[Item]
    next: str | None = Field(default=None, examples=["019368a0-0000-7000-8000-000000000000"])
    """For `before`; null on the last page."""


def page[Record: Numbered, Item](found: Sequence[Record], limit: int, view: Callable[[Record], Item]) -> Page[Item]:
    """`found` is one more than the limit, where there are more."""
    shown = found[:limit]
    return Page(items=[view(each) for each in shown], next=shown[-1].id if len(found) > limit else None)


def whole(id: UUID | None) -> str | None:
    return None if id is None else str(id)
