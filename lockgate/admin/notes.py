"""Labels and notes on exchanges and sessions: `/api/exchanges/{id}/labels`, `/api/sessions/{id}/notes` …"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForOperators
from lockgate.admin.problems import Problem, answers
from lockgate.sections import Section
from lockgate.storage.notes import NOTE_CHARACTERS, About

router = APIRouter(route_class=ActRoute, tags=["notes"])
type Place = Literal["exchanges", "sessions"]


class NewLabel(Section):
    """A word that people find an exchange or a session by."""

    name: str = Field(min_length=1, max_length=64, examples=["incident-12"])


class NewNote(Section):
    """What to remember. No secrets: whoever may read the log reads it."""

    text: str = Field(min_length=1, max_length=NOTE_CHARACTERS)


class MadeNote(Section):
    """The name of a new note."""

    id: str


@router.post("/api/{place}/{id}/labels", name="label.add", status_code=204, responses=answers(401, 403, 404, 422, 503))
async def label(request: Request, caller: ForOperators, desk: AtDesk, place: Place, id: str, new: NewLabel) -> Response:
    """Add a label; one that is there stays."""
    about, target = await _target(request, desk, place, id)
    await desk.notes.do(lambda notes: notes.label(about, target, add=[new.name]))
    act_of(request).after = {"label": new.name}
    return Response(status_code=204)


@router.delete(
    "/api/{place}/{id}/labels/{name:path}", name="label.remove", status_code=204,
    responses=answers(401, 403, 404, 422, 503),
)  # fmt: skip
async def unlabel(request: Request, caller: ForOperators, desk: AtDesk, place: Place, id: str, name: str) -> Response:
    """Remove a label."""
    about, target = await _target(request, desk, place, id)
    await desk.notes.do(lambda notes: notes.label(about, target, remove=[name]))
    act_of(request).before = {"label": name}
    return Response(status_code=204)


@router.post("/api/{place}/{id}/notes", name="note.add", status_code=201, responses=answers(401, 403, 404, 422, 503))
async def note(request: Request, caller: ForOperators, desk: AtDesk, place: Place, id: str, new: NewNote) -> MadeNote:
    """Write a note."""
    about, target = await _target(request, desk, place, id)
    return MadeNote(id=await desk.notes.do(lambda notes: notes.note(about, target, new.text)))


@router.delete("/api/notes/{id}", name="note.remove", status_code=204, responses=answers(401, 403, 422, 503))
async def unnote(caller: ForOperators, desk: AtDesk, id: Annotated[UUID, "of the note"]) -> Response:
    """Remove a note; one that is not there is not missed."""
    await desk.notes.do(lambda notes: notes.remove_note(str(id)))
    return Response(status_code=204)


async def _target(request: Request, desk: Desk, place: Place, id: str) -> tuple[About, str]:
    """What is meant, by its whole id. Raises Problem 404, and Error for what is no id."""
    if place == "exchanges":
        row = await desk.log.find(id)
        found = row and row.id
    else:
        sessions = await desk.log.session(id)
        found = sessions[0].row.id if sessions else None
    if not found:
        raise Problem(404, f"no {place.removesuffix('s')} has this id")
    act_of(request).subject = found
    return ("exchange" if place == "exchanges" else "session"), found
