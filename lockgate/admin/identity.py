"""Who asks: by a key in `Authorization: Bearer`, or by the cookie of a session. Every route says who may use it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from lockgate.access.administrators import ROLES, Administrator, AdministratorSession, Role
from lockgate.access.keyring import Keyring
from lockgate.access.token import ADMIN_PREFIX, SESSION_PREFIX, is_token
from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.desk import Desk
from lockgate.admin.guard import CHANGES_NOTHING
from lockgate.admin.problems import Problem
from lockgate.config import is_loopback

COOKIE, SAFE_COOKIE = "lockgate_session", "__Host-lockgate_session"
"""Browsers take the second over HTTPS only, and from no other host or path."""
CSRF_HEADER = "x-csrf-token"
CHALLENGE = {"www-authenticate": 'Bearer realm="lockgate"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An administrator who asks for something."""

    administrator: Administrator
    session: AdministratorSession | None = None
    """None for one who shows a key."""
    csrf_token: str = ""

    @property
    def name(self) -> str:
        return self.administrator.name


def desk_of(request: Request) -> Desk:
    """The desk of the app that serves this request."""
    return request.app.state.desk


class Needs:
    """The dependency of a route that is for administrators of a role, or more."""

    def __init__(self, role: Role, *, is_use: bool = True) -> None:
        """What a page asks by itself, again and again, is no use of a session."""
        self.role: Role = role
        self._is_use = is_use

    async def __call__(self, request: Request) -> Caller:
        caller = await caller_of(request, is_use=self._is_use)
        act_of(request).who = caller.name
        if not caller.administrator.may(self.role):
            raise Problem(403, f"this is for administrators with the role {self.role}; yours is "
                          f"{caller.administrator.role}")  # fmt: skip
        if caller.session is not None and request.method not in CHANGES_NOTHING:
            _check_csrf(request)
        return caller


def anyone() -> None:
    """The dependency of a route that is for everyone who reaches the address."""


ForViewers = Annotated[Caller, Depends(Needs("viewer"))]
ForWatchers = Annotated[Caller, Depends(Needs("viewer", is_use=False))]
"""Viewers, where a page asks by itself."""
ForOperators = Annotated[Caller, Depends(Needs("operator"))]
ForAdmins = Annotated[Caller, Depends(Needs("admin"))]
AtDesk = Annotated[Desk, Depends(desk_of)]


async def caller_of(request: Request, *, is_use: bool = True) -> Caller:
    """Raises Problem 401; what is wrong with a key or a cookie is not told."""
    desk = desk_of(request)
    if (given := request.headers.get("authorization")) is not None:
        scheme, _, key = given.partition(" ")
        found = None
        if scheme.lower() == "bearer" and is_token(key.strip(), ADMIN_PREFIX):
            found = await desk.people.do(lambda people: people.with_key(key.strip()))
        if found is not None:
            return Caller(administrator=found[0])
        raise Problem(401, headers=CHALLENGE)
    cookie = request.cookies.get(cookie_name(desk), "")
    if is_token(cookie, SESSION_PREFIX):
        idle = timedelta(minutes=desk.settings.idle_minutes)
        if found := await desk.people.do(lambda people: people.with_session(cookie, idle=idle, is_use=is_use)):
            return Caller(administrator=found[0], session=found[1], csrf_token=csrf_token(desk.keyring, cookie))
    raise Problem(401, headers=CHALLENGE)


async def stands(request: Request) -> bool:
    """Whether who asked may still read; that somebody waits for an answer is no use of a session."""
    try:
        await caller_of(request, is_use=False)
    except Problem:
        return False
    return True


def csrf_token(keyring: Keyring, cookie: str) -> str:
    """What proves that a request was made by a page that could read an answer of this session's.

    It is another text each time, as answers are compressed: random bytes, then the session's own token over them.
    """
    own = keyring.digest(f"csrf {cookie}")
    mask = secrets.token_bytes(len(own))
    return (mask + _over(mask, own)).hex()


def _fits(keyring: Keyring, cookie: str, given: str) -> bool:
    own = keyring.digest(f"csrf {cookie}")
    try:
        text = bytes.fromhex(given)
    except ValueError:
        return False
    mask, rest = text[: len(own)], text[len(own) :]
    return len(rest) == len(own) and hmac.compare_digest(_over(mask, rest), own)


def _over(mask: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, text, strict=True))


def cookie_name(desk: Desk) -> str:
    return SAFE_COOKIE if is_secure(desk) else COOKIE


def is_secure(desk: Desk) -> bool:
    """Whether the cookie is for HTTPS only."""
    if desk.settings.secure_cookies is not None:
        return desk.settings.secure_cookies
    return not is_loopback(desk.settings.listen.rpartition(":")[0].strip("[]"))


def routes_of(app: FastAPI) -> Iterator[tuple[RouteContext, Role | Literal[""]]]:
    """Every route, and the role that it is for, "" for everyone.

    Raises ValueError for one that does not say who may use it, or whose acts are not noted: better at the start than
    never.
    """
    for route in iter_route_contexts(app.routes):
        role = _role_of(route) if isinstance(route.original_route, APIRoute) else None
        if role is None:
            raise ValueError(f"the route {route.path!r} does not say who may use it: see Needs")
        if not isinstance(route.original_route, ActRoute) and (
            role or not CHANGES_NOTHING.issuperset(route.methods or ())
        ):
            raise ValueError(f"the route {route.path!r} is not noted: its router takes route_class=ActRoute")
        yield route, role


def _role_of(route: RouteContext) -> Role | Literal[""] | None:
    found = [call for call in _calls(route.dependant) if isinstance(call, Needs) or call is anyone]
    needed: list[Role] = [call.role for call in found if isinstance(call, Needs)]
    return max(needed, key=ROLES.index) if needed else "" if found else None


def _calls(dependant: Dependant) -> list[object]:
    calls: list[object] = []
    for inner in dependant.dependencies:
        calls += [inner.call, *_calls(inner)]
    return calls


def _check_csrf(request: Request) -> None:
    desk = desk_of(request)
    if not _fits(desk.keyring, request.cookies.get(cookie_name(desk), ""), request.headers.get(CSRF_HEADER, "")):
        raise Problem(403, f"a session's changes need its token in the header {CSRF_HEADER}", code="csrf")
