"""A session by any of its names, and under which names it and what came of it are known. Only reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, or_, select

from lockgate.errors import Error
from lockgate.storage.models import SessionModel

PART = re.compile("[0-9a-fA-F-]{6,36}")
"""The beginning or the end of an id, as it may be given instead of the whole."""
DEPTH = 32
MOST = 2_000
IDS_PER_QUERY = 500

_SESSION = SessionModel.__table__.columns


def names_of(connection: Connection, name: str) -> tuple[str, tuple[str, ...]]:
    """The newest session that is called so, and all names of it and of those that came of it: forks, sub-agents …

    `name` is its whole id, its agent's own marker, or the beginning or end of an id that no other has. Raises Error.
    """
    whole = _called(connection, or_(_SESSION.id == name, _SESSION.marker == name)) if name else ()
    found: Sequence[tuple[str, str]] = whole
    if not found and PART.fullmatch(name):
        part = name.lower()
        found = _called(connection, or_(_SESSION.id.like(f"{part}%"), _SESSION.id.like(f"%{part}")))
        if len(found) > 1:
            raise Error(f"{len(found)} sessions have ids that begin or end with {name!r}: give more of the one")
    if not found:
        raise Error(f"no session is called {name!r}: `lockgate log sessions` shows those that there are")
    ids = [id for id, _ in found]
    names = dict.fromkeys(each for session in found for each in session)
    for _ in range(DEPTH):
        below = [session for some in _some(ids) for session in _called(connection, _SESSION.parent_id.in_(some))]
        ids = [id for id, _ in below if id not in names]
        names |= dict.fromkeys(each for session in below for each in session)
        if not ids or len(names) > MOST:
            break
    return found[0][0], tuple(each for each in list(names)[:MOST] if each)


def _called(connection: Connection, condition: ColumnElement[bool]) -> Sequence[tuple[str, str]]:
    """Ids and markers, the newest first."""
    query = select(_SESSION.id, _SESSION.marker).where(condition).order_by(_SESSION.id.desc()).limit(MOST)
    return [(row[0], row[1]) for row in connection.execute(query)]


def _some(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + IDS_PER_QUERY] for start in range(0, len(ids), IDS_PER_QUERY)]
