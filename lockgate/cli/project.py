"""`lockgate project`: who tokens and provider keys belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lockgate.cli.granting import NOTHING, Grants, grant_text, json_of, opening, print_facts, print_json, print_table
from lockgate.cli.reading import ConfigFile, Json
from lockgate.errors import Error

if TYPE_CHECKING:
    from lockgate.access.records import Project

app = App(name="project", help="Projects: who tokens and provider keys belong to.")

type Named = Annotated[str, Parameter(help="Its name, or its id, whose beginning or end is enough.")]


@app.command
def create(
    name: str, /, *, notes: str = "", grants: Grants = NOTHING, json_: Json = False, config: ConfigFile = None
) -> None:
    """Make a project."""
    from lockgate.access.grant import Grant
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        made = access.create_project(name, notes=notes, grant=grants.over(Grant(), config))
    if json_:
        print_json(json_of(made))
    else:
        print(f"The project {made.name} is there. A token for it: lockgate token create {_quoted(made.name)}")


@app.command(name="list")
def list_(*, json_: Json = False, config: ConfigFile = None) -> None:
    """List all projects."""
    from lockgate.cli.shown import SHORT_ID, time_of
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        found = access.projects()
    if json_:
        print_json([json_of(one) for one in found])
    elif found:
        rows = [
            (
                one.name,
                one.id[-SHORT_ID:],
                _active(one),
                time_of(one.created_at),
                grant_text(one.grant),
            )
            for one in found
        ]
        print_table(("name", "id", "active", "created", "may"), rows)
    else:
        print("No project yet: lockgate project create NAME")


@app.command
def show(named: Named, /, *, json_: Json = False, config: ConfigFile = None) -> None:
    """Show one project."""
    from lockgate.storage.access import Access

    with opening(Access, config) as access:
        _show(access.project(named), json_=json_)


@app.command
def update(
    named: Named,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Its new name.")] = None,
    active: Annotated[bool | None, Parameter(help="Whether its tokens can be used.")] = None,
    notes: str | None = None,
    grants: Grants = NOTHING,
    json_: Json = False,
    config: ConfigFile = None,
) -> None:
    """Change a project; its tokens feel it at once."""
    from lockgate.storage.access import Access

    given = {"name": name, "active": active, "notes": notes}
    with opening(Access, config) as access:
        changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
        if grants != NOTHING:
            changes["grant"] = grants.over(access.project(named).grant, config)
        if not changes:
            raise Error("nothing to change was given: `lockgate project update --help` shows what there is")
        _show(access.update_project(named, **changes), json_=json_)


def _show(one: Project, *, json_: bool) -> None:
    from lockgate.cli.shown import time_of

    if json_:
        print_json(json_of(one))
        return
    print_facts({
        "name": one.name, "id": one.id, "active": _active(one), "created": time_of(one.created_at), "notes": one.notes,
        "may": grant_text(one.grant),
    })  # fmt: skip


def _active(one: Project) -> str:
    return "yes" if one.active else "no"


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
