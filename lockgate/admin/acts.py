"""Every administrative act is noted, however it ends: who wanted what, from where, and what was before and after."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from lockgate.admin.guard import CHANGES_NOTHING
from lockgate.admin.problems import Problem, problem_of
from lockgate.records import AuditOutcome

if TYPE_CHECKING:
    from lockgate.admin.desk import Desk


@dataclass(slots=True)
class Act:
    """What is under way. Handlers fill in what they learn."""

    name: str
    who: str = ""
    subject: str = ""
    """The id of what it is about."""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = ""
    is_question: bool = False
    """Whether nothing is changed, whatever the method: then it is noted only where it is denied."""


def act_of(request: Request) -> Act:
    """The act that this request is."""
    return request.state.act


class ActRoute(APIRoute):
    """Notes what changes something, and what is denied. The name of the route is the name of the act."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def noted(request: Request) -> Response:
            kind, id = self.name.partition(".")[0], next(iter(request.path_params.values()), "")
            act = request.state.act = Act(self.name, subject=f"{kind} {id}" if id else "")
            try:
                response = await handle(request)
            except BaseException as error:
                _note_failure(request, act, error)
                raise
            if response.status_code >= 400:
                _note_failure(request, act, Problem(response.status_code))
            elif request.method not in CHANGES_NOTHING and not act.is_question:
                _note(request, act, "success")
            return response

        return noted


def address_of(request: Request) -> str:
    """Who is at the other end of the connection; what headers say of that is not believed."""
    return request.client.host if request.client else ""


def _note_failure(request: Request, act: Act, error: BaseException) -> None:
    problem = problem_of(error) if isinstance(error, Exception) else Problem(500)
    denied = problem.status_code in (401, 403, 429)
    if denied or (request.method not in CHANGES_NOTHING and not act.is_question):
        act.reason = act.reason or problem.code
        _note(request, act, "denied" if denied else "error")


def _note(request: Request, act: Act, outcome: AuditOutcome) -> None:
    desk: Desk = request.app.state.desk
    desk.audit.note(
        who=act.who, where=address_of(request), act=act.name, subject=act.subject, outcome=outcome,
        before=act.before, after=act.after, reason=act.reason,
    )  # fmt: skip
