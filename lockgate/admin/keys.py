"""`/api/keys`: the providers' own keys, which stand behind tokens.

A key by reference (a variable, a file, a command of the proxy's machine) is made on the command line only: whoever
could name one from afar could read that machine's files, or run programs there.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.bodies import Name, secret
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers
from lockgate.admin.paging import Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import CHANGES, MAKES, READS, Field_, Problem, answers
from lockgate.admin.tokens import Project
from lockgate.admin.views import KeyView, of_key
from lockgate.sections import Section

router = APIRouter(prefix="/keys", route_class=ActRoute, tags=["keys"])


class NewKey(Section):
    """A provider key to be kept, encrypted."""

    provider: Annotated[str, Field(min_length=1, max_length=253, examples=["anthropic"])]
    """`anthropic`, `openai`, `google`, or a model host of the configuration."""
    key: Annotated[str, Field(min_length=1, max_length=8192, json_schema_extra={"format": "password"})]
    name: Name = "main"
    project: Project | None = None
    """For this project only; null for all."""


class KeyChanges(Section):
    """Whether it is used."""

    active: bool


@router.get("", name="key.list", summary="List provider keys", responses=answers(*READS))
async def every(caller: ForViewers, desk: AtDesk, limit: Limit = 50, before: Before = None) -> Page[KeyView]:
    """The newest first, and never the keys themselves."""
    found = await desk.keys.do(lambda keys: keys.every(limit=limit + 1, before=whole(before)))
    return page(found, limit, of_key)


@router.post("", name="key.add", status_code=201, summary="Add a provider key", responses=answers(*MAKES, 404))
async def add(given: NewKey, caller: ForOperators, desk: AtDesk, request: Request) -> KeyView:
    act_of(request).subject = f"key {given.name}"
    if given.provider not in desk.providers:
        known = ", ".join(sorted(desk.providers))
        raise Problem(422, fields=[Field_(path="provider", message=f"no provider or model host here; known: {known}")])
    value = secret(given.key)
    made = of_key(
        await desk.keys.do(lambda keys: keys.add(given.provider, value, name=given.name, project=given.project))
    )
    act_of(request).after = made.told()
    return made


@router.get("/{id}", name="key.show", summary="Show a provider key", responses=answers(*READS, 404))
async def show(id: Id, caller: ForViewers, desk: AtDesk) -> KeyView:
    """And never the key itself."""
    return of_key(await desk.keys.do(lambda keys: keys.one(str(id))))


@router.patch("/{id}", name="key.update", summary="Use a provider key, or not", responses=answers(*CHANGES))
async def update(id: Id, given: KeyChanges, caller: ForOperators, desk: AtDesk, request: Request) -> KeyView:
    before, after = await desk.keys.do(lambda keys: (keys.one(str(id)), keys.set_active(str(id), active=given.active)))
    act = act_of(request)
    act.before, act.after = of_key(before).told(), of_key(after).told()
    return of_key(after)


@router.delete(
    "/{id}", name="key.remove", status_code=204, summary="Forget a provider key", responses=answers(*CHANGES)
)
async def remove(id: Id, caller: ForOperators, desk: AtDesk, request: Request) -> None:
    act_of(request).before = of_key(await desk.keys.do(lambda keys: keys.remove(str(id)))).told()
