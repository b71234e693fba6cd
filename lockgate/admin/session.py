"""`/api/session`: logging in and out with a password, and who one is. `/api/setup`: the first administrator."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from lockgate.access.administrators import Administrator, Role, checked_password
from lockgate.access.token import SETUP_PREFIX, is_token
from lockgate.admin.acts import ActRoute, act_of, address_of
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForViewers, anyone, cookie_name, csrf_token, is_secure
from lockgate.admin.problems import MAKES, READS, Problem, answers
from lockgate.errors import Error
from lockgate.sections import Section

router = APIRouter(route_class=ActRoute, tags=["session"])

WRONG = "the name or the password is wrong"
USED = "this set-up link is not good any more: a new start of the proxy prints another one"

type GivenName = Annotated[str, Field(max_length=200, examples=["ada"])]
type Password = Annotated[
    str,
    Field(max_length=1024, examples=["four quiet words here"], json_schema_extra={"format": "password"}),
]


class Login(Section):
    """A name and a password."""

    name: GivenName
    password: Password


class FirstAdministrator(Login):
    """Who sets Lockgate up."""

    token: Annotated[str, Field(max_length=200, examples=["lgx_…"])]
    """Of the set-up link."""


class PasswordChange(Section):
    """The old password and the new one."""

    old: Password
    new: Password


class Self(Section):
    """Who asks."""

    name: str = Field(examples=["ada"])
    role: Role
    via: str = Field(examples=["session"])
    """`session` or `key`."""
    csrf_token: str = ""
    """For the header `x-csrf-token`; only for sessions."""
    expires_at: datetime | None = None
    """When the session is over in any case."""


@router.post(
    "/api/session", name="session.begin", status_code=201, dependencies=[Depends(anyone)], summary="Log in",
    responses=answers(*MAKES, 429),
)  # fmt: skip
async def begin(given: Login, request: Request, response: Response, desk: AtDesk) -> Self:
    """The cookie of the session is in the answer's header; its token for changes is in the answer."""
    _slow_down(request, desk, given.name)
    found = await desk.people.do(lambda people: people.password_of(given.name))
    if found:
        act_of(request).subject = f"administrator {found[0].name}"
    fits = await desk.passwords.fits(found[1] if found else None, given.password)
    if not found or not fits:
        raise Problem(401, WRONG)
    desk.pairs.forget(_pair(request, given.name))
    act_of(request).who = found[0].name
    return await _begun(desk, request, response, found[0])


@router.get("/api/session", name="session.show", summary="Who am I", responses=answers(*READS))
async def show(caller: ForViewers) -> Self:
    session = caller.session
    return Self(
        name=caller.name, role=caller.administrator.role, via="session" if session else "key",
        csrf_token=caller.csrf_token, expires_at=session.expires_at if session else None,
    )  # fmt: skip


@router.delete("/api/session", name="session.end", status_code=204, summary="Log out", responses=answers(*READS))
async def end(caller: ForViewers, desk: AtDesk, response: Response) -> None:
    if (session := caller.session) is not None:
        await desk.people.do(lambda people: people.end_session(session.id))
    response.delete_cookie(cookie_name(desk), secure=is_secure(desk), httponly=True, samesite="strict")


@router.post(
    "/api/session/password", name="session.password", status_code=204, summary="Change one's password",
    responses=answers(*MAKES, 429),
)  # fmt: skip
async def change_password(given: PasswordChange, caller: ForViewers, request: Request, desk: AtDesk) -> None:
    """All sessions are over, this one too."""
    _slow_down(request, desk, caller.name)
    found = await desk.people.do(lambda people: people.password_of(caller.name))
    if not await desk.passwords.fits(found[1] if found else None, given.old):
        raise Problem(403, "the old password is wrong", code="wrong_password")
    desk.pairs.forget(_pair(request, caller.name))
    kept = await desk.passwords.hashed(checked_password(given.new))
    await desk.people.do(lambda people: people.update(caller.administrator.id, password=kept))


@router.post(
    "/api/setup", name="setup", status_code=201, dependencies=[Depends(anyone)], summary="Make the first administrator",
    responses=answers(*MAKES, 429),
)  # fmt: skip
async def set_up(given: FirstAdministrator, request: Request, response: Response, desk: AtDesk) -> Self:
    """With the token of the link that the first start prints. It logs in, too."""
    made = await first_administrator(desk, request, given)
    return await _begun(desk, request, response, made)


async def first_administrator(desk: Desk, request: Request, given: FirstAdministrator) -> Administrator:
    """Raises Problem where the token is not good."""
    if wait := desk.addresses.wait(address_of(request)):
        raise _too_many(wait)
    if not is_token(given.token, SETUP_PREFIX) or not desk.setup.take(given.token):
        raise Problem(403, USED, code="link_used")
    try:
        kept = await desk.passwords.hashed(checked_password(given.password))
        made = await desk.people.do(lambda people: people.create(given.name, "admin", password=kept, first=True))
    except Error:
        desk.setup.give_back(given.token)
        raise
    act_of(request).who = made.name
    act_of(request).subject = f"administrator {made.name}"
    return made


async def _begun(desk: Desk, request: Request, response: Response, who: Administrator) -> Self:
    lifetime, client = timedelta(hours=desk.settings.session_hours), address_of(request)
    cookie, session = await desk.people.do(
        lambda people: people.begin_session(who.id, client=client, lifetime=lifetime)
    )
    response.set_cookie(
        cookie_name(desk), cookie, max_age=int(lifetime.total_seconds()), path="/",
        secure=is_secure(desk), httponly=True, samesite="strict",
    )  # fmt: skip
    return Self(
        name=who.name, role=who.role, via="session", csrf_token=csrf_token(desk.keyring, cookie),
        expires_at=session.expires_at,
    )  # fmt: skip


def _slow_down(request: Request, desk: Desk, name: str) -> None:
    """Raises Problem 429 for a name, or an address, that was tried too often; whether there is that name or not."""
    address = address_of(request)
    if wait := desk.addresses.wait(address) or desk.pairs.wait(_pair(request, name)) or desk.names.wait(name.lower()):
        raise _too_many(wait)


def _too_many(wait: int) -> Problem:
    return Problem(429, f"too many attempts: wait {wait} seconds", headers={"retry-after": str(wait)})


def _pair(request: Request, name: str) -> str:
    return f"{address_of(request)} {name.lower()}"
