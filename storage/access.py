"""Projects and tokens in SQL: what people change of them.

A change is told to every proxy (`signals`) as it is committed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.sql.elements import ColumnElement

from lockgate.access.grant import Grant
from lockgate.access.keyring import Keyring
from lockgate.access.records import Project, ProviderKey, Token
from lockgate.access.token import hint, make_token
from lockgate.access.tokens import Used
from lockgate.errors import Conflict, Error, Missing
from lockgate.records import now
from lockgate.storage.access_models import ProjectModel, TokenModel
from lockgate.storage.acts import Acts
from lockgate.storage.audit import Book
from lockgate.storage.budgets import forget_gone
from lockgate.storage.signals import ACCESS, tell

type Row = Mapping[Any, Any]

LIFETIMES = (timedelta(minutes=1), timedelta(days=365))
NAME_CHARACTERS = 200
ID_DIGITS = 6
"""A shorter beginning or end names no row."""
_WHOLE_ID = re.compile("[0-9a-f]{32}")
_NAME = re.compile(r"[\w.][\w .:/@+-]*")


class Access(Acts):
    """`with Access(url, keyring) as access:` is how it is used.

    Projects are named by id or name, tokens by id; of an id its beginning or end is enough. Raises Error for
    what is not there or does not fit.
    """

    def __init__(self, url: str, keyring: Keyring, book: Book | None = None) -> None:
        super().__init__(url, book)
        self._keyring = keyring

    # Projects

    def create_project(self, name: str, *, notes: str = "", grant: Grant | None = None) -> Project:
        project = Project(name=checked_name(name), notes=notes, grant=grant or Grant())
        row = values_of(project)

        def make(at: Connection) -> Project:
            at.execute(PROJECT.insert(), row)
            self.noted(at, "project.create", f"project {name}", None, project)
            return project

        return self._change(
            make, unfit=f"there is a project named {name!r} already", named=("project.create", f"project {name}")
        )

    def projects(self, *, limit: int | None = None, before: str | None = None) -> list[Project]:
        """All of them, by name; with a limit, the newest first, older than the one whose whole id is `before`."""
        query = select(PROJECT).order_by(PROJECT.c.name)
        if limit is not None:
            query = paged(select(PROJECT), PROJECT, limit, before)
        return self.do(lambda at: [as_project(row) for row in at.execute(query).mappings()])

    def project(self, named: str) -> Project:
        return self.do(lambda at: as_project(one_project(at, named)))

    def update_project(self, named: str, **changes: Any) -> Project:
        """Of `name`, `active`, `notes` and `grant`."""
        if "name" in changes:
            checked_name(changes["name"])
        values = stored(changes)

        def change(at: Connection) -> Project:
            before = as_project(one_project(at, named))
            if values:
                at.execute(update(PROJECT).where(PROJECT.c.id == before.id).values(values))
            after = as_project(one_project(at, before.id))
            self.noted(at, "project.update", f"project {before.name}", before, after)
            return after

        return self._change(
            change,
            unfit=f"there is a project named {changes.get('name')!r} already",
            named=("project.update", f"project {named}"),
        )

    # Tokens

    def create_token(
        self,
        project: str,
        *,
        lifetime: timedelta,
        name: str = "",
        labels: tuple[str, ...] = (),
        request_quota: int | None = None,
        grant: Grant | None = None,
    ) -> tuple[str, Token]:
        """The token, to be shown once, and what is kept of it."""
        if name:
            checked_name(name)
        if request_quota is not None and request_quota < 1:
            raise Error(f"a quota is 1 request or more, and not {request_quota}; leave it out for any number")
        secret, begins = make_token(), now()
        ends = begins + checked_lifetime(lifetime)

        def make(at: Connection) -> Token:
            owner = as_project(one_project(at, project))
            token = Token(
                project_id=owner.id, project=owner.name, project_active=owner.active, project_grant=owner.grant,
                hint=hint(secret), name=name,
                labels=labels, request_quota=request_quota, grant=grant or Grant(), created_at=begins, expires_at=ends,
            )  # fmt: skip
            values = values_of(token, without=("project", "project_active", "project_grant"))
            at.execute(_TOKEN.insert(), values | {"digest": self._keyring.digest(secret)})
            self.noted(at, "token.create", f"token {token.id}", None, values | {"project": owner.name})
            return token

        return secret, self._change(make, named=("token.create", f"project {project}"))

    def tokens(self, *, project: str | None = None, limit: int | None = None, before: str | None = None) -> list[Token]:
        """The newest first, also those that cannot be used any more; older than the one whose whole id is `before`."""

        def read(at: Connection) -> list[Token]:
            query = paged(_TOKENS, _TOKEN, limit, before)
            if project is not None:
                query = query.where(_TOKEN.c.project_id == one_project(at, project)["id"])
            return [as_token(row) for row in at.execute(query).mappings()]

        return self.do(read)

    def token(self, id: str) -> Token:
        return self.do(lambda at: as_token(one(at, _TOKENS, _TOKEN, id, "token")))

    def refresh_token(self, id: str, *, lifetime: timedelta) -> tuple[str, Token]:
        """A new secret and a new time in the place of the old ones: what used the old secret is cut off."""
        secret, ends = make_token(), now() + checked_lifetime(lifetime)

        def change(at: Connection) -> Token:
            found = as_token(one(at, _TOKENS, _TOKEN, id, "token"))
            if found.revoked_at is not None:
                raise Conflict(f"the token {id} was revoked, which cannot be taken back: create another one")
            values = {"digest": self._keyring.digest(secret), "hint": hint(secret), "expires_at": ends}
            at.execute(update(_TOKEN).where(_TOKEN.c.id == found.id).values(values))
            return self._changed(at, "token.refresh", found)

        return secret, self._change(change, named=("token.refresh", f"token {id}"))

    def update_token(self, id: str, **changes: Any) -> Token:
        """Of `name`, `labels`, `request_quota` and `grant`."""
        if changes.get("name"):
            checked_name(changes["name"])
        values = stored(changes)

        def change(at: Connection) -> Token:
            found = as_token(one(at, _TOKENS, _TOKEN, id, "token"))
            if values:
                at.execute(update(_TOKEN).where(_TOKEN.c.id == found.id).values(values))
            return self._changed(at, "token.update", found)

        return self._change(change, named=("token.update", f"token {id}"))

    def revoke_token(self, id: str) -> Token:
        """Cannot be taken back; one that is revoked stays so."""

        def change(at: Connection) -> Token:
            found = as_token(one(at, _TOKENS, _TOKEN, id, "token"))
            _revoke(at, _TOKEN.c.id == found.id)
            return self._changed(at, "token.revoke", found)

        return self._change(change, named=("token.revoke", f"token {id}"))

    def revoke_tokens(self, *, project: str | None = None, before: datetime | None = None) -> int:
        """How many were revoked: those of a project, those created before a time, or those that are both."""
        if project is None and before is None:
            raise Error("say which tokens: those of a project, those created before a time, or both")

        def change(at: Connection) -> int:
            where: list[ColumnElement[bool]] = []
            if project is not None:
                where.append(_TOKEN.c.project_id == one_project(at, project)["id"])
            if before is not None:
                where.append(_TOKEN.c.created_at < before)
            count = _revoke(at, *where)
            self.noted(at, "token.revoke", which, None, {"count": count, "created_before": before})
            return count

        which = f"tokens of project {project}" if project is not None else "tokens"
        return self._change(change, named=("token.revoke", which))

    def clean_up(self, *, ended_before: datetime) -> int:
        """How many tokens were removed: those that expired, or were revoked, before this time."""

        def clean(at: Connection) -> int:
            count = clean_up(at, ended_before)
            self.noted(at, "token.clean", "tokens", None, {"count": count, "ended_before": ended_before})
            return count

        return self.do(clean, named=("token.clean", "tokens"))

    def _change[Result](
        self, act: Callable[[Connection], Result], *, named: tuple[str, str], unfit: str = ""
    ) -> Result:
        return self.do(lambda at: told(at, act), unfit=unfit, named=named)

    def _changed(self, at: Connection, act: str, before: Token) -> Token:
        """The token as it is now, after that was noted."""
        after = as_token(one(at, _TOKENS, _TOKEN, before.id, "token"))
        self.noted(at, act, f"token {before.id}", before, after)
        return after


def token_with(at: Connection, digests: Sequence[bytes]) -> Token | None:
    """The token that is kept as one of these digests."""
    found = at.execute(_TOKENS.where(_TOKEN.c.digest.in_(digests))).mappings().one_or_none()
    return as_token(found) if found else None


def clean_up(at: Connection, ended_before: datetime) -> int:
    """Remove tokens that expired, or were revoked, before this time; nobody has to hear of it."""
    ended = or_(_TOKEN.c.expires_at < ended_before, _TOKEN.c.revoked_at < ended_before)
    removed = at.execute(delete(_TOKEN).where(ended)).rowcount
    forget_gone(at)
    return removed


def count(at: Connection, id: str, requests: int) -> bool:
    """Count requests of a token with a quota, or take them back; False where the quota leaves none."""
    after = _TOKEN.c.requests + requests
    statement = update(_TOKEN).where(_TOKEN.c.id == id, after >= 0, after <= _TOKEN.c.request_quota)
    return at.execute(statement.values(requests=after)).rowcount == 1


def add_used(at: Connection, used: Mapping[str, Used]) -> None:
    """Add up requests, and the latest use of each token."""
    ordered = sorted(used.items())  # so that two proxies never wait for each other
    rows = [{"token": id, "more": one.requests, "at": one.at} for id, one in ordered]
    at_time: BindParameter[datetime] = bindparam("at")
    last = func.coalesce(_TOKEN.c.last_used_at, at_time)
    latest = case((last < at_time, at_time), else_=last)
    more = _TOKEN.c.requests + bindparam("more")
    at.execute(update(_TOKEN).where(_TOKEN.c.id == bindparam("token")).values(requests=more, last_used_at=latest), rows)


def told[Result](at: Connection, act: Callable[[Connection], Result]) -> Result:
    """What the act gives; every proxy hears of it once it is committed."""
    result = act(at)
    tell(at, ACCESS)
    return result


def checked_name(name: str) -> str:
    """Raises Error for what is no name."""
    if _WHOLE_ID.fullmatch(name.replace("-", "").lower()):
        raise Error(f"{name!r} is no name: it could be taken for an id")
    if not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise Error(
            f"{name[:NAME_CHARACTERS]!r} is no name: it begins with a letter, digit or full stop, then also "
            f"spaces and : / @ + _ -, {NAME_CHARACTERS} characters at most"
        )
    return name


def checked_lifetime(lifetime: timedelta) -> timedelta:
    """Raises Error for what is too short or too long."""
    if not LIFETIMES[0] <= lifetime <= LIFETIMES[1]:
        raise Error("a token lives for 1 minute to 365 days: 30m, 12h, 90d")
    return lifetime


def paged(query: Select[Any], table: Table, limit: int | None, before: str | None) -> Select[Any]:
    """The newest first."""
    query = query.order_by(table.c.id.desc()).limit(limit)
    return query if before is None else query.where(table.c.id < before)


def _revoke(at: Connection, *where: ColumnElement[bool]) -> int:
    return at.execute(update(_TOKEN).where(_TOKEN.c.revoked_at.is_(None), *where).values(revoked_at=now())).rowcount


def one_project(at: Connection, named: str) -> Row:
    found = at.execute(select(PROJECT).where(PROJECT.c.name == named)).mappings().one_or_none()
    return found or one(at, select(PROJECT), PROJECT, named, "project")


def one(at: Connection, query: Select[Any], table: Table, id: str, what: str) -> Row:
    """The row whose id begins or ends like this. Raises Error."""
    digits = id.replace("-", "").lower()
    if _WHOLE_ID.fullmatch(digits):  # its index knows it
        found = list(at.execute(query.where(table.c.id == digits)).mappings())
        return _only(found, id, what)
    text = func.replace(func.lower(sql_cast(table.c.id, Text())), "-", "")
    found: list[Row] = []
    if len(digits) >= ID_DIGITS and digits.isalnum() and digits.isascii():
        like = or_(text.like(f"{digits}%"), text.like(f"%{digits}"))
        found = list(at.execute(query.where(like).limit(2)).mappings())
    return _only(found, id, what)


def _only(found: list[Row], id: str, what: str) -> Row:
    if not found:
        raise Missing(f"no {what} is called {id!r}: `lockgate {what.split()[-1]} list` shows those that there are")
    if len(found) > 1:
        raise Conflict(f"more than one {what} is called {id!r}: write more of its id")
    return found[0]


def values_of(record: Project | Token | ProviderKey, without: tuple[str, ...] = ()) -> dict[str, Any]:
    return stored({name: getattr(record, name) for name in record.__dataclass_fields__ if name not in without})


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    grant = values.get("grant")
    return dict(values) | ({"grant": grant.model_dump(mode="json", exclude_defaults=True)} if grant is not None else {})


def as_project(row: Row) -> Project:
    return Project(**_read_grant(row))


def as_token(row: Row) -> Token:
    values = _read_grant(row)
    values["project_grant"] = Grant.model_validate(row["project_grant"])
    return Token(**values)


def _read_grant(row: Row) -> dict[str, Any]:
    return dict(row) | {"grant": Grant.model_validate(row["grant"])}


PROJECT, _TOKEN = (cast(Table, model.__table__) for model in (ProjectModel, TokenModel))
_TOKENS = select(
    *(column for column in _TOKEN.c if column.name != "digest"),
    PROJECT.c.name.label("project"),
    PROJECT.c.active.label("project_active"),
    PROJECT.c.grant.label("project_grant"),
).join(PROJECT, PROJECT.c.id == _TOKEN.c.project_id)
