"""`/api/audit`: who administered what, and who was refused access. Only reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field
from starlette.responses import StreamingResponse

from lockgate.access.audit import as_json
from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, ForViewers
from lockgate.admin.paging import MOST, Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import READS, answers
from lockgate.admin.views import View
from lockgate.errors import Missing
from lockgate.records import AuditEntry, AuditOutcome
from lockgate.storage.queries import FIRST
from lockgate.storage.trail import AuditFilter, Trail
from lockgate.wire.document import dumps

router = APIRouter(prefix="/audit", route_class=ActRoute, tags=["audit"])

type Text = Annotated[str | None, Query(max_length=300)]


class AuditView(View):
    """An administrative act, or a refusal of access. No secret is in it."""

    id: str = Field(examples=["019368a0-0000-7000-8000-000000000000"])
    at: datetime
    last_at: datetime | None = None
    """Of an entry that stands for several, when the last of them was."""
    who: str = Field(examples=["cli:ada"])
    """An administrator, `cli:` and a user, the id of a token, or `unknown`."""
    where: str = Field(examples=["local"])
    """The client's address, or `local`."""
    act: str = Field(examples=["token.create"])
    subject: str = Field(examples=["token 019368a0-0000-7000-8000-000000000000"])
    outcome: AuditOutcome
    reason: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = Field(default=None, examples=[{"name": "nightly"}])
    count: int
    """How many refusals that are alike it stands for."""


@router.get("", name="audit.list", summary="List the audit trail", responses=answers(*READS))
async def every(
    caller: ForViewers,
    desk: AtDesk,
    limit: Limit = 50,
    before: Before = None,
    who: Text = None,
    where: Text = None,
    act: Annotated[str | None, Query(max_length=300, description="`token` is all acts on tokens.")] = None,
    subject: Annotated[str | None, Query(max_length=300, description="A part of it.")] = None,
    outcome: AuditOutcome | None = None,
    text: Annotated[str | None, Query(max_length=300, description="Stands anywhere in the entry.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Included.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Not included.")] = None,
) -> Page[AuditView]:
    """The newest first."""
    wanted = AuditFilter(
        who=who, where=where, act=act, subject=subject, outcome=outcome, text=text, since=since, until=until
    )
    async with desk.trail() as trail:
        found = await trail.entries(limit=limit + 1, before=whole(before), where=wanted)
    return page(found, limit, _view)


@router.get(
    "/export", name="audit.export", summary="Export the audit trail", response_class=StreamingResponse,
    responses=answers(*READS) | {200: {"description": "An entry to a line.", "content": {"application/jsonl": {}}}},
)  # fmt: skip
async def export(
    caller: ForViewers,
    desk: AtDesk,
    who: Text = None,
    where: Text = None,
    act: Text = None,
    subject: Text = None,
    outcome: AuditOutcome | None = None,
    text: Text = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> StreamingResponse:
    """As JSON, the oldest first, as `lockgate audit export` writes it."""
    wanted = AuditFilter(
        who=who, where=where, act=act, subject=subject, outcome=outcome, text=text, since=since, until=until
    )
    async with desk.trail():  # one that cannot be read is said before the answer begins
        pass
    headers = {"content-disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(desk.trail(), wanted), media_type="application/jsonl", headers=headers)


async def _lines(trail: Trail, wanted: AuditFilter) -> AsyncIterator[bytes]:
    """A page at a time."""
    async with trail:
        after = FIRST
        while found := await trail.entries(limit=MOST, after=after, where=wanted):
            yield b"".join(dumps(as_json(one)) + b"\n" for one in found)
            after = found[-1].id


@router.get("/{id}", name="audit.show", summary="Show an entry", responses=answers(*READS, 404))
async def show(id: Id, caller: ForViewers, desk: AtDesk) -> AuditView:
    async with desk.trail() as trail:
        entry = await trail.find(str(id))
    if entry is None:
        raise Missing("no entry of the audit trail has this id")
    return _view(entry)


def _view(entry: AuditEntry) -> AuditView:
    return AuditView(**as_json(entry))
