"""`/api/tokens`: credentials that wither, in the place of provider keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from lockgate.access.grant import Grant
from lockgate.access.records import Token
from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.bodies import Changes, Labels, Name, Quota, Seconds
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers
from lockgate.admin.paging import Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import CHANGES, MAKES, READS, Problem, answers
from lockgate.admin.views import TokenMade, TokenView, made_token, of_token
from lockgate.sections import Section

router = APIRouter(prefix="/tokens", route_class=ActRoute, tags=["tokens"])

type Project = Annotated[str, Field(min_length=1, max_length=200, examples=["shop"])]
"""A project's name or whole id."""


class NewToken(Section):
    """A token to be made."""

    project: Project
    lifetime_seconds: Seconds = 86_400
    name: Name | None = None
    labels: Labels = ()
    request_quota: Quota | None = None
    """How many requests it is good for; null for any number."""
    grant: Grant = Grant()


class TokenChanges(Changes):
    """A token's grant is changed whole. How long it lives is changed by a refresh."""

    name: Name = ""
    labels: Labels = ()
    request_quota: Quota | None = None
    grant: Grant = Grant()


class Refresh(Section):
    """How long the new one lives."""

    lifetime_seconds: Seconds = 86_400


class Revocation(Section):
    """Tokens of a project, tokens made before a time, or those that are both."""

    project: Project | None = None
    created_before: AwareDatetime | None = None


class Revoked(BaseModel):
    """How many."""

    count: int


@router.get("", name="token.list", summary="List tokens", responses=answers(*READS, 404))
async def every(
    caller: ForViewers,
    desk: AtDesk,
    project: Annotated[str | None, Query(max_length=200, description="Only of this project: its name or id.")] = None,
    limit: Limit = 50,
    before: Before = None,
) -> Page[TokenView]:
    """The newest first, also those that cannot be used any more."""
    found = await desk.access.do(lambda access: access.tokens(project=project, limit=limit + 1, before=whole(before)))
    return page(found, limit, of_token)


@router.post("", name="token.create", status_code=201, summary="Make a token", responses=answers(*MAKES, 404))
async def create(given: NewToken, caller: ForOperators, desk: AtDesk, request: Request) -> TokenMade:
    """The token is shown this once."""
    act_of(request).subject = f"project {given.project}"
    secret, made = await desk.access.do(
        lambda access: access.create_token(
            given.project, lifetime=timedelta(seconds=given.lifetime_seconds), name=given.name or "",
            labels=given.labels, request_quota=given.request_quota, grant=given.grant,
        )
    )  # fmt: skip
    _note(request, None, made)
    return made_token(secret, made)


@router.post("/revoke", name="token.revoke", summary="Revoke many tokens", responses=answers(*CHANGES))
async def revoke_many(given: Revocation, caller: ForOperators, desk: AtDesk, request: Request) -> Revoked:
    """Streams that they opened are cut."""
    if given.project is None and given.created_before is None:
        raise Problem(422, "say which tokens: those of a project, those created before a time, or both")
    act = act_of(request)
    act.subject = "tokens" if given.project is None else f"tokens of project {given.project}"
    count = await desk.access.do(
        lambda access: access.revoke_tokens(project=given.project, before=given.created_before)
    )
    act.after = given.model_dump(mode="json", exclude_none=True) | {"count": count}
    return Revoked(count=count)


@router.get("/{id}", name="token.show", summary="Show a token", responses=answers(*READS, 404))
async def show(id: Id, caller: ForViewers, desk: AtDesk) -> TokenView:
    return of_token(await desk.access.do(lambda access: access.token(str(id))))


@router.patch("/{id}", name="token.update", summary="Change a token", responses=answers(*CHANGES))
async def update(id: Id, given: TokenChanges, caller: ForOperators, desk: AtDesk, request: Request) -> TokenView:
    before, after = await desk.access.do(
        lambda access: (access.token(str(id)), access.update_token(str(id), **given.given()))
    )
    _note(request, before, after)
    return of_token(after)


@router.post("/{id}/refresh", name="token.refresh", summary="Put a new token in its place", responses=answers(*CHANGES))
async def refresh(
    id: Id, caller: ForOperators, desk: AtDesk, request: Request, given: Refresh | None = None
) -> TokenMade:
    """The new one is shown this once; the old one cannot be used from then on."""
    lifetime = timedelta(seconds=(given or Refresh()).lifetime_seconds)
    before, (secret, after) = await desk.access.do(
        lambda access: (access.token(str(id)), access.refresh_token(str(id), lifetime=lifetime))
    )
    _note(request, before, after)
    return made_token(secret, after)


@router.post("/{id}/revoke", name="token.revoke", summary="Revoke a token", responses=answers(*CHANGES))
async def revoke(id: Id, caller: ForOperators, desk: AtDesk, request: Request) -> TokenView:
    """It cannot be taken back. Streams that it opened are cut."""
    before, after = await desk.access.do(lambda access: (access.token(str(id)), access.revoke_token(str(id))))
    _note(request, before, after)
    return of_token(after)


def _note(request: Request, before: Token | None, after: Token) -> None:
    act = act_of(request)
    act.subject, act.before, act.after = f"token {after.id}", before and of_token(before).told(), of_token(after).told()
