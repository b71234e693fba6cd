"""`lockgate log label` and `lockgate log note`: what people leave on exchanges and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lockgate.cli.reading import ConfigFile, Id, ask, no_such
from lockgate.config import load_config
from lockgate.errors import Error

if TYPE_CHECKING:
    from pathlib import Path

    from lockgate.storage.notes import About

type WholeSession = Annotated[
    bool, Parameter(name="--session", negative=(), help="The session of that exchange, rather than the exchange.")
]


def label(
    id: Id,
    /,
    *changes: Annotated[str, Parameter(help="+name adds a label, -name removes it.", allow_leading_hyphen=True)],
    session: WholeSession = False,
    config: ConfigFile = None,
) -> None:
    """Label an exchange or its session, or show the labels that they have."""
    from lockgate.storage.notes import Notes

    add, remove = _sorted(changes)
    about, target = _target(config, id, session=session)
    with Notes(load_config(config).database) as notes:
        notes.label(about, target, add=add, remove=remove)
    row = ask(config, lambda log: log.find(id))
    marks = ask(config, lambda log: log.marks([row] if row else []))
    for name, labels in (("exchange", "labels"), ("session", "session_labels")):
        found = [word for one in marks.values() for word in getattr(one, labels)]
        print(f"{name}: {', '.join(found) or 'no labels'}")


def note(
    id: Id,
    text: Annotated[str, Parameter(help="What to remember.")],
    /,
    *,
    session: WholeSession = False,
    config: ConfigFile = None,
) -> None:
    """Write a note about an exchange or its session."""
    from lockgate.storage.notes import Notes

    about, target = _target(config, id, session=session)
    with Notes(load_config(config).database) as notes:
        notes.note(about, target, text)
    print(f"Noted; `lockgate log show {id}` shows it.")


def _sorted(changes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    for change in changes:
        if change[:1] not in ("+", "-"):
            raise Error(f"{change!r}: write +{change} to add the label, -{change} to remove it")
    return [one[1:] for one in changes if one[0] == "+"], [one[1:] for one in changes if one[0] == "-"]


def _target(config: Path | None, id: str, *, session: bool) -> tuple[About, str]:
    row = ask(config, lambda log: log.find(id))
    if row is None:
        raise no_such(id)
    if session and not row.session_id:
        raise Error(f"the exchange {id!r} belongs to no session that is known")
    return ("session", row.session_id) if session else ("exchange", row.id)
