"""What operators and rules have stopped, shared by all proxies of a database.

Each call is a transaction of its own beside the writer's; a proxy makes them on a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, func, or_, select, update

from lockgate.errors import Error
from lockgate.records import Kill, KillScope, now
from lockgate.storage.access import one, one_project
from lockgate.storage.access_models import TokenModel
from lockgate.storage.acts import Acts
from lockgate.storage.early_kills import MOST
from lockgate.storage.named import names_of
from lockgate.storage.people_models import KillModel
from lockgate.storage.signals import KILLS, tell

KEPT = timedelta(days=30)
"""So long those that rules set stay after they have passed; those of operators stay for good."""
SHOWN = 1_000


class Kills(Acts):
    """`with Kills(url) as kills:` is how it is used; a proxy keeps its own, and closes it."""

    def add(self, kill: Kill) -> None:
        """Raises Error where so many are in force that no proxy would keep one more."""

        def add(connection: Connection) -> None:
            if (connection.scalar(select(func.count()).where(*_in_force())) or 0) >= MOST:
                raise Error(f"{MOST:,} kills are in force, which is the most: lift some with `lockgate kill lift`")
            row = {name: getattr(kill, name) for name in _KILL.c.keys()}  # noqa: SIM118  (not a dictionary)
            connection.execute(_KILL.insert(), row)
            old = _KILL.c.set_by.startswith("rule "), _KILL.c.until < now() - KEPT  # decisions of the log tell of them
            connection.execute(delete(_KILL).where(*old))
            self.noted(connection, "kill.create", f"kill {kill.id}", None, replace(kill, names=()))
            tell(connection, KILLS)

        self.do(add, named=("kill.create", f"{kill.scope} {kill.target}".strip()))

    def stop(self, wanted: Kill) -> Kill:
        """Add it; a session is stopped by whatever name it is called, under all of them. Gives what was added.

        Raises Error for a session, project or token that there is not: nothing would be stopped.
        """
        if wanted.scope == "session":
            id, names = self.session(wanted.target)
            wanted = replace(wanted, target=id, names=names)
        elif wanted.scope in ("project", "token"):
            wanted = replace(wanted, target=self._whole(wanted.scope, wanted.target))
        self.add(wanted)
        return wanted

    def _whole(self, scope: KillScope, named: str) -> str:
        """A project's name or a token's id, of what an operator calls it."""
        with self.begin() as connection:
            if scope == "project":
                return one_project(connection, named)["name"]
            return one(connection, select(_TOKEN), _TOKEN, named, "token")["id"]

    def session(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The id of the session that is called so, and every name that a kill of it is about. Raises Error."""
        with self.begin() as connection:
            return names_of(connection, name)

    def lift(self, id: str, by: str) -> Kill:
        """Let pass again what was stopped; the id's beginning or end is enough. Gives what was lifted. Raises Error."""

        def lift(connection: Connection) -> Kill:
            kill = _named(id, self._read(connection, *_in_force()))
            changed = update(_KILL).where(_KILL.c.id == kill.id, _KILL.c.lifted_at.is_(None))
            connection.execute(changed.values(lifted_at=now(), lifted_by=by))
            self.noted(connection, "kill.lift", f"kill {kill.id}", replace(kill, names=()), {"lifted_by": by})
            tell(connection, KILLS)
            return kill

        return self.do(lift, named=("kill.lift", f"kill {id}"))

    def in_force(self) -> Sequence[Kill]:
        """The newest first, and one more than the most where there are more."""
        with self.begin() as connection:
            return self._read(connection, *_in_force())

    def every(self) -> Sequence[Kill]:
        """The newest, whether they are in force, have passed or were lifted."""
        with self.begin() as connection:
            return self._read(connection)[:SHOWN]

    def _read(self, connection: Connection, *where: Any) -> list[Kill]:
        query = select(_KILL).where(*where).order_by(_KILL.c.id.desc()).limit(MOST + 1)
        return [Kill(**row) for row in connection.execute(query).mappings()]


def _in_force() -> tuple[Any, ...]:
    return _KILL.c.lifted_at.is_(None), or_(_KILL.c.until.is_(None), _KILL.c.until > now())


def _named(id: str, kills: Sequence[Kill]) -> Kill:
    wanted = id.strip().lower()
    found = [kill for kill in kills if wanted and (kill.id.startswith(wanted) or kill.id.endswith(wanted))]
    if len(found) != 1:
        what = "no kill in force has" if not found else "more than one kill in force has"
        raise Error(f"{what} the id {id!r}: `lockgate kill list` shows those that there are")
    return found[0]


_KILL, _TOKEN = (cast(Table, model.__table__) for model in (KillModel, TokenModel))
