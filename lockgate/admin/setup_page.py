"""`/setup`: where the set-up link leads. A form without scripts, which does what `POST /api/setup` does."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, Response

from lockgate.access.administrators import PASSWORD_CHARACTERS
from lockgate.access.token import SETUP_PREFIX, is_token
from lockgate.admin.acts import ActRoute
from lockgate.admin.identity import AtDesk, anyone
from lockgate.admin.problems import Problem, problem_of
from lockgate.admin.session import USED, FirstAdministrator, first_administrator
from lockgate.errors import Error

router = APIRouter(route_class=ActRoute, include_in_schema=False, dependencies=[Depends(anyone)])

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Lockgate</title>
<h1>Lockgate</h1>
{body}
"""
_FORM = """<p>{said}</p>
<form method="post" action="/setup">
<input type="hidden" name="token" value="{token}">
<p><label>Name <input name="name" autocomplete="username" required value="{name}"></label>
<p><label>Password
<input name="password" type="password" autocomplete="new-password" minlength="{least}" required></label>
<p><button>Make the first administrator</button>
</form>"""


@router.get("/setup", name="setup.show", response_class=HTMLResponse)
async def show(desk: AtDesk, token: str = "") -> Response:
    """Looking at it does not use the link up."""
    if not is_token(token, SETUP_PREFIX) or not desk.setup.fits(token):
        return _page(f"<p>{escape(USED[:1].upper() + USED[1:])}.</p>", 403)
    return _form("Who is the first administrator?", token)


@router.post("/setup", name="setup", response_class=HTMLResponse)
async def make(request: Request, desk: AtDesk) -> Response:
    values = await _fields(request)
    try:
        made = await first_administrator(desk, request, FirstAdministrator.model_validate(values))
    except (Error, Problem, ValidationError) as error:
        problem = problem_of(error) if isinstance(error, Error | Problem) else Problem(422)
        return _form(problem.message, values["token"], values["name"], problem.status_code)
    return _page(f"<p>{escape(made.name)} is an administrator now. This link is used up.</p>", 201)


async def _fields(request: Request) -> dict[str, str]:
    """What a form says; of too many fields, nothing."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        given = parse_qs(body, max_num_fields=10, keep_blank_values=True)
    except ValueError:
        given: dict[str, list[str]] = {}
    return {name: given.get(name, [""])[0] for name in FirstAdministrator.model_fields}


def _form(said: str, token: str, name: str = "", status: int = 200) -> Response:
    least = PASSWORD_CHARACTERS[0]
    return _page(_FORM.format(said=escape(said), token=escape(token), name=escape(name), least=least), status)


def _page(body: str, status: int) -> Response:
    return HTMLResponse(_PAGE.format(body=body), status)
