"""Labels and notes, which people leave on exchanges and sessions: the one thing in the log that they write themselves.

Each call is an act of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, cast

from sqlalchemy import Connection, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from lockgate.errors import Error
from lockgate.records import new_id, now
from lockgate.storage.acts import Acts
from lockgate.storage.people_models import LabelModel, NoteModel

type About = Literal["exchange", "session"]

NOTE_CHARACTERS = 100_000
_NAME = re.compile(r"\w[\w.:/@-]{0,63}")


class Notes(Acts):
    """`with Notes(url) as notes:` is how it is used. An id is the whole one."""

    def label(self, about: About, id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Add and remove labels; one that is there, or is not, stays so. Raises Error for what is no label."""
        add, remove = [_checked(name) for name in add], [_checked(name) for name in remove]
        key = f"{about}_id"
        rows = [_about(about, id) | {"name": name} for name in add]

        def change(connection: Connection) -> None:
            if rows:
                insert = (sqlite.insert if self.address.kind == "sqlite" else postgresql.insert)(_LABEL)
                connection.execute(insert.on_conflict_do_nothing(index_elements=[key, "name"]), rows)
            if remove:
                connection.execute(delete(_LABEL).where(_LABEL.c[key] == id, _LABEL.c.name.in_(remove)))

        self._do(change, id)

    def note(self, about: About, id: str, text: str) -> str:
        """Write a note, and give its id. Raises Error for an empty or an endless one."""
        if not text.strip() or len(text) > NOTE_CHARACTERS:
            raise Error(f"a note has text, and at most {NOTE_CHARACTERS:,} characters of it")
        row = _about(about, id) | {"text": text}
        self._do(lambda connection: connection.execute(_NOTE.insert(), row), id)
        return row["id"]

    def remove_note(self, note_id: str) -> None:
        self._do(lambda connection: connection.execute(delete(_NOTE).where(_NOTE.c.id == note_id)), note_id)

    def _do(self, change: Callable[[Connection], object], id: str) -> None:
        self.do(change, unfit=f"no exchange has the id {id!r}")


def _about(about: About, id: str) -> dict[str, Any]:
    ids = {"exchange_id": None, "session_id": None, f"{about}_id": id}
    return {"id": new_id(), "created_at": now(), **ids}


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Error(f"{name!r} is no label: it begins with a letter or digit, then also . : / @ _ -, 64 at most")
    return name


_LABEL, _NOTE = (cast(Table, model.__table__) for model in (LabelModel, NoteModel))
