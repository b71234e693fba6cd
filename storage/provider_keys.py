"""Provider keys in SQL: encrypted, or by reference to where they stand. What is read back never holds a key."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Connection, Table, delete, select, update

from lockgate.access.keyring import Keyring
from lockgate.access.keys import KeptKey
from lockgate.access.records import KeySource, ProviderKey
from lockgate.errors import Error
from lockgate.storage.access import PROJECT, Row, as_project, checked_name, one, one_project, paged, told, values_of
from lockgate.storage.access_models import ProviderKeyModel
from lockgate.storage.acts import Acts
from lockgate.storage.audit import Book

LONG_KEY = 20


class ProviderKeys(Acts):
    """`with ProviderKeys(url, keyring) as keys:` is how it is used. A key is named by its id, whose end is enough."""

    def __init__(self, url: str, keyring: Keyring, book: Book | None = None) -> None:
        super().__init__(url, book)
        self._keyring = keyring

    def add(
        self, provider: str, value: str, *, name: str, source: KeySource = "kept", project: str | None = None
    ) -> ProviderKey:
        """`value` is the key itself, which is encrypted, or the variable, file or command that gives it."""
        if not value or not value.isprintable() or value != value.strip():
            raise Error("a provider key is one line without spaces around it; this one is not")

        def make(at: Connection) -> ProviderKey:
            owner = as_project(one_project(at, project)) if project is not None else None
            key = ProviderKey(
                provider=provider, name=checked_name(name), source=source,
                hint=_end_of(value) if source == "kept" else value,
                project_id=owner.id if owner else None, project=owner.name if owner else "",
            )  # fmt: skip
            kept = self._keyring.encrypt(value, key.id) if source == "kept" else None
            at.execute(_KEY.insert(), values_of(key, without=("project",)) | {"kept": kept})
            self.noted(at, "key.create", f"key {key.id}", None, key)
            return key

        return self.do(lambda at: told(at, make), named=("key.create", f"key {name} for {provider}"))

    def every(self, *, limit: int | None = None, before: str | None = None) -> list[ProviderKey]:
        """All of them, by provider; with a limit, the newest first, older than the one whose whole id is `before`."""
        query = _KEYS.order_by(_KEY.c.provider, _KEY.c.id)
        if limit is not None:
            query = paged(_KEYS, _KEY, limit, before)
        return self.do(lambda at: [_as_key(row) for row in at.execute(query).mappings()])

    def one(self, id: str) -> ProviderKey:
        return self.do(lambda at: _as_key(one(at, _KEYS, _KEY, id, "provider key")))

    def set_active(self, id: str, *, active: bool) -> ProviderKey:
        def change(at: Connection) -> ProviderKey:
            found = _as_key(one(at, _KEYS, _KEY, id, "provider key"))
            at.execute(update(_KEY).where(_KEY.c.id == found.id).values(active=active))
            changed = _as_key(one(at, _KEYS, _KEY, found.id, "provider key"))
            self.noted(at, called, f"key {found.id}", found, changed)
            return changed

        called = f"key.{'enable' if active else 'disable'}"
        return self.do(lambda at: told(at, change), named=(called, f"key {id}"))

    def remove(self, id: str) -> ProviderKey:
        def change(at: Connection) -> ProviderKey:
            found = _as_key(one(at, _KEYS, _KEY, id, "provider key"))
            at.execute(delete(_KEY).where(_KEY.c.id == found.id))
            self.noted(at, "key.remove", f"key {found.id}", found)
            return found

        return self.do(lambda at: told(at, change), named=("key.remove", f"key {id}"))

    def reencrypt(self) -> int:
        """How many keys were encrypted with an older secret, and are now with the one in use."""

        def change(at: Connection) -> int:
            rows = at.execute(select(_KEY.c.id, _KEY.c.kept).where(_KEY.c.kept.is_not(None))).all()
            old = [(id, kept) for id, kept in rows if not self._keyring.is_current(kept)]
            for id, kept in old:
                new = self._keyring.encrypt(self._keyring.decrypt(kept, id), id)
                at.execute(update(_KEY).where(_KEY.c.id == id).values(kept=new))
            self.noted(at, "key.reencrypt", "keys", None, {"count": len(old)})
            return len(old)

        return self.do(lambda at: told(at, change), named=("key.reencrypt", "keys"))


def usable(at: Connection, keyring: Keyring) -> list[KeptKey]:
    """The keys that are in use, with what they hold. Raises ConfigError where one cannot be decrypted."""
    return [
        KeptKey(
            id=row.id, provider=row.provider, project_id=row.project_id, source=row.source,
            value=keyring.decrypt(row.kept, row.id) if row.kept is not None else row.hint,
        )
        for row in at.execute(select(_KEY).where(_KEY.c.active).order_by(_KEY.c.id))
    ]  # fmt: skip


def _end_of(key: str) -> str:
    """The last characters of a key, for whoever has several; nothing of a short one."""
    return f"…{key[-4:]}" if len(key) >= LONG_KEY else ""


def _as_key(row: Row) -> ProviderKey:
    values: dict[str, Any] = dict(row) | {"project": row["project"] or ""}
    return ProviderKey(**values)


_KEY = cast(Table, ProviderKeyModel.__table__)
_KEYS = select(*(column for column in _KEY.c if column.name != "kept"), PROJECT.c.name.label("project")).outerjoin(
    PROJECT, PROJECT.c.id == _KEY.c.project_id
)
