"""`/api/administrators`: who manages Lockgate, for those with the role admin."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, Field

from lockgate.access.administrators import NAME_CHARACTERS, Administrator, Role, checked_password
from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.bodies import Changes, Name
from lockgate.admin.identity import AtDesk, ForAdmins
from lockgate.admin.paging import Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import CHANGES, MAKES, READS, answers
from lockgate.admin.session import Password
from lockgate.admin.views import AdministratorKeyMade, AdministratorKeyView, AdministratorView
from lockgate.sections import Section

router = APIRouter(prefix="/administrators", route_class=ActRoute, tags=["administrators"])

type AdministratorName = Annotated[
    str, Field(max_length=NAME_CHARACTERS, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._@+-]*$", examples=["ada"])
]


class NewAdministrator(Section):
    """An administrator to be made."""

    name: AdministratorName
    role: Role
    password: Password | None = None
    """Without one, they can use keys only."""


class AdministratorChanges(Changes):
    """A new password, or `active: false`, ends their sessions."""

    role: Role = "viewer"
    active: bool = True
    password: Password | None = None
    """null takes the password away."""


class NewAdministratorKey(Section):
    """A key to be made."""

    name: Name | None = None
    expires_at: AwareDatetime | None = None


@router.get("", name="administrator.list", summary="List administrators", responses=answers(*READS))
async def every(caller: ForAdmins, desk: AtDesk, limit: Limit = 50, before: Before = None) -> Page[AdministratorView]:
    """The newest first."""
    found = await desk.people.do(lambda people: people.every(limit=limit + 1, before=whole(before)))
    return page(found, limit, AdministratorView.model_validate)


@router.post(
    "", name="administrator.create", status_code=201, summary="Make an administrator", responses=answers(*MAKES)
)
async def create(given: NewAdministrator, caller: ForAdmins, desk: AtDesk, request: Request) -> AdministratorView:
    act_of(request).subject = f"administrator {given.name}"
    kept = await desk.passwords.hashed(checked_password(given.password)) if given.password is not None else None
    made = await desk.people.do(lambda people: people.create(given.name, given.role, password=kept))
    return _note(request, None, made)


@router.get("/{id}", name="administrator.show", summary="Show an administrator", responses=answers(*READS, 404))
async def show(id: Id, caller: ForAdmins, desk: AtDesk) -> AdministratorView:
    return AdministratorView.model_validate(await desk.people.do(lambda people: people.one(str(id))))


@router.patch("/{id}", name="administrator.update", summary="Change an administrator", responses=answers(*CHANGES))
async def update(
    id: Id, given: AdministratorChanges, caller: ForAdmins, desk: AtDesk, request: Request
) -> AdministratorView:
    """The last active one with the role admin stays so."""
    changes = given.given()
    if given.password is not None:
        changes["password"] = await desk.passwords.hashed(checked_password(given.password))
    before, after = await desk.people.do(lambda people: (people.one(str(id)), people.update(str(id), **changes)))
    if "password" in changes:
        act_of(request).reason = "with a password" if given.password is not None else "without a password"
    return _note(request, before, after)


@router.delete(
    "/{id}", name="administrator.remove", status_code=204, summary="Remove an administrator",
    responses=answers(*CHANGES),
)  # fmt: skip
async def remove(id: Id, caller: ForAdmins, desk: AtDesk, request: Request) -> None:
    """With keys and sessions. The last active one with the role admin stays."""
    gone = await desk.people.do(lambda people: people.remove(str(id)))
    act_of(request).subject = f"administrator {gone.name}"
    act_of(request).before = AdministratorView.model_validate(gone).told()


@router.get("/{id}/keys", name="administrator_key.list", summary="List their keys", responses=answers(*READS, 404))
async def keys(id: Id, caller: ForAdmins, desk: AtDesk) -> Page[AdministratorKeyView]:
    """The newest first; there are never many."""
    found = await desk.people.do(lambda people: people.keys(str(id)))
    return Page(items=[AdministratorKeyView.model_validate(key) for key in found])


@router.post(
    "/{id}/keys", name="administrator_key.create", status_code=201, summary="Make a key for an administrator",
    responses=answers(*MAKES, 404),
)  # fmt: skip
async def add_key(
    id: Id, given: NewAdministratorKey, caller: ForAdmins, desk: AtDesk, request: Request
) -> AdministratorKeyMade:
    """The key is shown this once."""
    secret, made = await desk.people.do(
        lambda people: people.add_key(str(id), name=given.name or "", expires_at=given.expires_at)
    )
    shown = AdministratorKeyView.model_validate(made)
    act_of(request).after = shown.told()
    return AdministratorKeyMade(key=secret, **shown.model_dump())


@router.delete(
    "/{id}/keys/{key}", name="administrator_key.remove", status_code=204, summary="End a key",
    responses=answers(*CHANGES),
)  # fmt: skip
async def remove_key(id: Id, key: Annotated[UUID, Path()], caller: ForAdmins, desk: AtDesk, request: Request) -> None:
    gone = await desk.people.do(lambda people: people.remove_key(str(id), str(key)))
    act_of(request).before = AdministratorKeyView.model_validate(gone).told()


def _note(request: Request, before: Administrator | None, after: Administrator) -> AdministratorView:
    act, shown = act_of(request), AdministratorView.model_validate(after)
    act.subject = f"administrator {after.name}"
    act.before = before and AdministratorView.model_validate(before).told()
    act.after = shown.told()
    return shown
