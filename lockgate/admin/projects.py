"""`/api/projects`: who tokens and provider keys belong to."""

from __future__ import annotations

from fastapi import APIRouter, Request

from lockgate.access.grant import Grant
from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.bodies import Changes, Name, Notes
from lockgate.admin.identity import AtDesk, ForOperators, ForViewers
from lockgate.admin.paging import Before, Id, Limit, Page, page, whole
from lockgate.admin.problems import CHANGES, MAKES, READS, answers
from lockgate.admin.views import ProjectView
from lockgate.sections import Section

router = APIRouter(prefix="/projects", route_class=ActRoute, tags=["projects"])


class NewProject(Section):
    """A project to be made."""

    name: Name
    notes: Notes = ""
    grant: Grant = Grant()


class ProjectChanges(Changes):
    """A project's grant is changed whole."""

    name: Name = ""
    active: bool = True
    notes: Notes = ""
    grant: Grant = Grant()


@router.get("", name="project.list", summary="List projects", responses=answers(*READS))
async def every(caller: ForViewers, desk: AtDesk, limit: Limit = 50, before: Before = None) -> Page[ProjectView]:
    """The newest first."""
    found = await desk.access.do(lambda access: access.projects(limit=limit + 1, before=whole(before)))
    return page(found, limit, ProjectView.model_validate)


@router.post("", name="project.create", status_code=201, summary="Make a project", responses=answers(*MAKES))
async def create(given: NewProject, caller: ForOperators, desk: AtDesk, request: Request) -> ProjectView:
    act_of(request).subject = f"project {given.name}"
    made = ProjectView.model_validate(
        await desk.access.do(lambda access: access.create_project(given.name, notes=given.notes, grant=given.grant))
    )
    act_of(request).after = made.told()
    return made


@router.get("/{id}", name="project.show", summary="Show a project", responses=answers(*READS, 404))
async def show(id: Id, caller: ForViewers, desk: AtDesk) -> ProjectView:
    return ProjectView.model_validate(await desk.access.do(lambda access: access.project(str(id))))


@router.patch("/{id}", name="project.update", summary="Change a project", responses=answers(*CHANGES))
async def update(id: Id, given: ProjectChanges, caller: ForOperators, desk: AtDesk, request: Request) -> ProjectView:
    """Its tokens feel it at once, on every proxy within two seconds."""
    before, after = await desk.access.do(
        lambda access: (access.project(str(id)), access.update_project(str(id), **given.given()))
    )
    act, made = act_of(request), ProjectView.model_validate(after)
    act.subject = f"project {before.name}"
    act.before, act.after = ProjectView.model_validate(before).told(), made.told()
    return made
