"""Administrators, their keys and sessions in SQL. Secrets are kept as digests, passwords as argon2 hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, delete, func, or_, select, text, update

from lockgate.access.administrators import (
    Administrator,
    AdministratorKey,
    AdministratorSession,
    Role,
    checked_administrator,
)
from lockgate.access.audit import state_of
from lockgate.access.keyring import Keyring
from lockgate.access.token import ADMIN_PREFIX, SESSION_PREFIX, hint, make_token
from lockgate.errors import Conflict
from lockgate.records import now
from lockgate.storage.access import Row, checked_name, one, paged
from lockgate.storage.access_models import AdministratorKeyModel, AdministratorModel, AdministratorSessionModel
from lockgate.storage.acts import Acts
from lockgate.storage.audit import Book

SESSIONS = 20
"""Of one administrator; with one more, the oldest is over."""
KEYS = 50
"""Of one administrator."""
SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is known when something was used last, so that not every request writes."""


class Administrators(Acts):
    """`with Administrators(url, keyring) as people:` is how it is used. They are named by name or id."""

    def __init__(self, url: str, keyring: Keyring, book: Book | None = None) -> None:
        super().__init__(url, book)
        self._keyring = keyring

    def are_there(self) -> bool:
        """Whether there is one at all."""
        return self.do(lambda at: at.execute(select(_WHO.c.id).limit(1)).first() is not None)

    def create(self, name: str, role: Role, *, password: str | None = None, first: bool = False) -> Administrator:
        """`password` is its hash. With `first`, only where there is none yet: of several at once, one succeeds."""
        made = Administrator(name=checked_administrator(name), role=role, has_password=password is not None)
        values = {each: getattr(made, each) for each in made.__dataclass_fields__ if each != "has_password"}

        def make(at: Connection) -> Administrator:
            if first:
                _alone(at)
                if at.execute(select(_WHO.c.id).limit(1)).first():
                    raise Conflict("there is an administrator already: ask one of them")
            at.execute(_WHO.insert(), values | {"password": password})
            self.noted(at, "administrator.create", f"administrator {made.name}", None, made)
            return made

        unfit = f"there is an administrator named {made.name!r} already"
        return self.do(make, unfit=unfit, named=("administrator.create", f"administrator {made.name}"))

    def every(self, *, limit: int | None = None, before: str | None = None) -> list[Administrator]:
        """The newest first."""
        query = paged(_PEOPLE, _WHO, limit, before)
        return self.do(lambda at: [_as_administrator(row) for row in at.execute(query).mappings()])

    def one(self, named: str) -> Administrator:
        return self.do(lambda at: _as_administrator(_one(at, named)))

    def update(self, named: str, **changes: Any) -> Administrator:
        """Of `role`, `active` and `password`, a hash or None; what no longer fits ends their sessions."""

        def change(at: Connection) -> Administrator:
            _alone(at)
            before = _as_administrator(_one(at, named))
            id = before.id
            if changes:
                at.execute(update(_WHO).where(_WHO.c.id == id).values(changes))
            _require_another(at, before)
            if "password" in changes or changes.get("active") is False:
                at.execute(delete(_SESSION).where(_SESSION.c.administrator_id == id))
            after = _as_administrator(_one(at, id))
            told = state_of(after) | ({"password": "changed"} if "password" in changes else {})
            self.noted(at, "administrator.update", f"administrator {after.name}", before, told)
            return after

        return self.do(change, named=("administrator.update", f"administrator {named}"))

    def remove(self, named: str) -> Administrator:
        """With keys and sessions."""

        def change(at: Connection) -> Administrator:
            _alone(at)
            gone = _as_administrator(_one(at, named))
            at.execute(delete(_WHO).where(_WHO.c.id == gone.id))
            _require_another(at, gone)
            self.noted(at, "administrator.remove", f"administrator {gone.name}", gone)
            return gone

        return self.do(change, named=("administrator.remove", f"administrator {named}"))

    def password_of(self, name: str) -> tuple[Administrator, str | None] | None:
        """Who has this name and is active, and the hash of their password."""
        query = select(_WHO).where(_WHO.c.name == name.lower(), _WHO.c.active)

        def read(at: Connection) -> tuple[Administrator, str | None] | None:
            row = at.execute(query).mappings().one_or_none()
            return (_as_administrator(row), row["password"]) if row else None

        return self.do(read)

    # Keys

    def add_key(
        self, named: str, *, name: str = "", expires_at: datetime | None = None
    ) -> tuple[str, AdministratorKey]:
        """The key, to be shown once, and what is kept of it."""
        if name:
            checked_name(name)
        secret = make_token(ADMIN_PREFIX)

        def make(at: Connection) -> AdministratorKey:
            owner = _one(at, named)["id"]
            key = AdministratorKey(administrator_id=owner, hint=hint(secret), name=name, expires_at=expires_at)
            if len(at.execute(_KEYS.where(_KEY.c.administrator_id == owner)).all()) >= KEYS:
                raise Conflict(f"an administrator has {KEYS} keys at most: remove one")
            values = {each: getattr(key, each) for each in key.__dataclass_fields__}
            at.execute(_KEY.insert(), values | {"digest": self._keyring.digest(secret)})
            self.noted(at, "administrator_key.create", f"administrator {named}", None, key)
            return key

        return secret, self.do(make, named=("administrator_key.create", f"administrator {named}"))

    def keys(self, named: str) -> list[AdministratorKey]:
        """The newest first."""

        def read(at: Connection) -> list[AdministratorKey]:
            query = _KEYS.where(_KEY.c.administrator_id == _one(at, named)["id"]).order_by(_KEY.c.id.desc())
            return [AdministratorKey(**row) for row in at.execute(query).mappings()]

        return self.do(read)

    def remove_key(self, named: str, id: str) -> AdministratorKey:
        def change(at: Connection) -> AdministratorKey:
            query = _KEYS.where(_KEY.c.administrator_id == _one(at, named)["id"])
            gone = AdministratorKey(**one(at, query, _KEY, id, "key"))
            at.execute(delete(_KEY).where(_KEY.c.id == gone.id))
            self.noted(at, "administrator_key.remove", f"administrator {named}", gone)
            return gone

        return self.do(change, named=("administrator_key.remove", f"administrator {named}"))

    def with_key(self, secret: str) -> tuple[Administrator, AdministratorKey] | None:
        """Who shows this key, if it can be used."""
        at_time = now()
        usable = or_(_KEY.c.expires_at.is_(None), _KEY.c.expires_at > at_time)

        def read(at: Connection) -> tuple[Administrator, AdministratorKey] | None:
            found = self._owner(at, _KEY, _KEYS.where(usable), secret)
            if found is None:
                return None
            who, row = found
            _seen(at, _KEY, row, "last_used_at", at_time)
            return who, AdministratorKey(**row)

        return self.do(read)

    # Sessions

    def begin_session(self, id: str, *, client: str, lifetime: timedelta) -> tuple[str, AdministratorSession]:
        """What goes into the cookie, and what is kept of it. Sessions that are over are removed."""
        secret, begins = make_token(SESSION_PREFIX), now()
        made = AdministratorSession(
            administrator_id=id, client=client, created_at=begins, seen_at=begins, expires_at=begins + lifetime
        )
        values = {each: getattr(made, each) for each in made.__dataclass_fields__}
        newest = select(_SESSION.c.id).where(_SESSION.c.administrator_id == id).order_by(_SESSION.c.id.desc())

        def make(at: Connection) -> AdministratorSession:
            at.execute(delete(_SESSION).where(_SESSION.c.expires_at <= begins))
            at.execute(_SESSION.insert(), values | {"digest": self._keyring.digest(secret)})
            kept: Sequence[str] = at.execute(newest.limit(SESSIONS)).scalars().all()
            others = _SESSION.c.administrator_id == id, _SESSION.c.id.not_in(kept)
            at.execute(delete(_SESSION).where(*others))
            at.execute(update(_WHO).where(_WHO.c.id == id).values(last_seen_at=begins))
            return made

        return secret, self.do(make)

    def with_session(
        self, secret: str, *, idle: timedelta, is_use: bool = True
    ) -> tuple[Administrator, AdministratorSession] | None:
        """Who shows this cookie, if their session is not over; only a use makes it last longer."""
        at_time = now()
        usable = _SESSIONS.where(_SESSION.c.expires_at > at_time, _SESSION.c.seen_at > at_time - idle)

        def read(at: Connection) -> tuple[Administrator, AdministratorSession] | None:
            found = self._owner(at, _SESSION, usable, secret)
            if found is None:
                return None
            who, row = found
            if is_use:
                _seen(at, _SESSION, row, "seen_at", at_time)
            return who, AdministratorSession(**row)

        return self.do(read)

    def end_session(self, id: str) -> None:
        self.do(lambda at: at.execute(delete(_SESSION).where(_SESSION.c.id == id)))

    def _owner(
        self, at: Connection, table: Table, usable: Select[Any], secret: str
    ) -> tuple[Administrator, Row] | None:
        row = at.execute(usable.where(table.c.digest.in_(self._keyring.digests(secret)))).mappings().one_or_none()
        if row is None:
            return None
        who = at.execute(_PEOPLE.where(_WHO.c.id == row["administrator_id"], _WHO.c.active)).mappings().one_or_none()
        return (_as_administrator(who), row) if who else None


def _seen(at: Connection, table: Table, row: Row, column: str, at_time: datetime) -> None:
    """Write down that it is used, and its owner with it, where that was not done within the last minute."""
    last: datetime | None = row[column]
    if last is None or at_time - last >= SEEN_EVERY:
        at.execute(update(table).where(table.c.id == row["id"]).values({column: at_time}))
        at.execute(update(_WHO).where(_WHO.c.id == row["administrator_id"]).values(last_seen_at=at_time))


def _alone(at: Connection) -> None:
    """Nobody else changes administrators until this transaction ends; SQLite has one writer, once it has written."""
    if at.dialect.name == "postgresql":
        at.execute(text("LOCK TABLE administrator IN SHARE ROW EXCLUSIVE MODE"))
    else:
        at.execute(update(_WHO).where(_WHO.c.id.is_(None)).values(active=True))


def _require_another(at: Connection, before: Administrator) -> None:
    """Raises Conflict where this was the last one who could let others in."""
    could = before.active and before.may("admin")
    if could and not at.execute(select(func.count()).where(_WHO.c.role == "admin", _WHO.c.active)).scalar():
        raise Conflict("the last active administrator with the role admin stays: make another one before")


def _one(at: Connection, named: str) -> Row:
    found = at.execute(_PEOPLE.where(_WHO.c.name == named.lower())).mappings().one_or_none()
    return found or one(at, _PEOPLE, _WHO, named, "administrator")


def _as_administrator(row: Row) -> Administrator:
    values = {name: value for name, value in row.items() if name != "password"}
    return Administrator(**values, has_password=row["password"] is not None)


_WHO, _KEY, _SESSION = (
    cast(Table, model.__table__) for model in (AdministratorModel, AdministratorKeyModel, AdministratorSessionModel)
)
_PEOPLE = select(_WHO)
_KEYS, _SESSIONS = (select(*(column for column in table.c if column.name != "digest")) for table in (_KEY, _SESSION))
