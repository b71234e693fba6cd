"""Administrators, their keys and sessions, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from lockgate.access.administrators import AdministratorSession, checked_administrator, checked_password
from lockgate.access.keyring import Keyring
from lockgate.access.token import ADMIN_PREFIX, SESSION_PREFIX, is_token
from lockgate.errors import Conflict, Error, Missing
from lockgate.records import now
from lockgate.storage import administrators, schema
from lockgate.storage.access_models import AdministratorSessionModel
from lockgate.storage.administrators import Administrators

RING = Keyring([b"r" * 32])
HOUR = timedelta(hours=1)
IDLE = timedelta(minutes=30)


@pytest.fixture
def people(database_url: str) -> Iterator[Administrators]:
    schema.upgrade(database_url)
    with Administrators(database_url, RING) as people:
        yield people


def test_administrators_are_made_found_changed_and_removed(people: Administrators):
    assert not people.are_there()
    ada = people.create("Ada", "admin", password="hash")
    assert (ada.name, ada.has_password) == ("ada", True)
    assert people.are_there()
    assert people.one("ADA") == people.one(ada.id) == people.one(ada.id[-8:]) == ada
    assert people.password_of("ada") == (ada, "hash")
    bob = people.create("bob", "viewer")
    assert people.every() == [bob, ada]
    assert people.every(limit=1, before=bob.id) == [ada]
    assert people.update("bob", role="operator").role == "operator"
    people.update("bob", active=False, password="other")
    assert people.password_of("bob") is None
    assert people.remove("bob").id == bob.id
    with pytest.raises(Missing):
        people.one("bob")
    with pytest.raises(Conflict, match="named 'ada' already"):
        people.create("ADA", "viewer")


@pytest.mark.parametrize("name", ["", " ada", "a b", "аda", "ada\n", "-ada", "<b>", "a" * 101, "a'; --"])
def test_a_name_that_is_none(name: str):
    with pytest.raises(Error, match="no name of an administrator"):
        checked_administrator(name)


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 1025])
def test_a_password_that_is_none_is_not_repeated(password: str):
    with pytest.raises(Error, match="12 to 1,024") as refused:
        checked_password(password)
    assert password == "" or password not in str(refused.value)


def test_the_last_one_who_may_let_others_in_stays(people: Administrators):
    people.create("bob", "viewer")
    assert people.update("bob", role="operator").role == "operator"  # there was no admin before either
    people.create("ada", "admin")
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(Conflict, match="the last active"):
            people.update("ada", **change)
    with pytest.raises(Conflict, match="the last active"):
        people.remove("ada")
    assert people.one("ada").active
    people.update("bob", role="admin")
    assert not people.update("ada", active=False).active


def test_of_several_first_ones_at_once_one_is_made(database_url: str):
    schema.upgrade(database_url)

    def first(number: int) -> bool:
        with Administrators(database_url, RING) as people:
            try:
                people.create(f"a{number}", "admin", first=True)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(first, range(6))) == 1


def test_two_who_remove_each_other_do_not_both_succeed(database_url: str):
    schema.upgrade(database_url)
    with Administrators(database_url, RING) as people:
        people.create("ada", "admin")
        people.create("bob", "admin")

    def demote(name: str) -> bool:
        with Administrators(database_url, RING) as people:
            try:
                people.update(name, role="viewer")
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(demote, ("ada", "bob"))) == 1


def test_a_key_is_kept_as_its_digest_and_ends(people: Administrators):
    ada = people.create("ada", "admin")
    secret, key = people.add_key("ada", name="deploy")
    assert is_token(secret, ADMIN_PREFIX)
    assert not is_token(secret)
    found = people.with_key(secret)
    assert found is not None
    assert found[0].id == ada.id
    assert people.keys("ada")[0].last_used_at is not None
    assert people.with_key(secret[:-1] + ("a" if secret[-1] != "a" else "b")) is None
    rows = people.do(lambda at: repr(at.execute(text("SELECT * FROM administrator_key")).all()))
    assert secret not in rows
    ended, _ = people.add_key("ada", expires_at=now() - HOUR)
    assert people.with_key(ended) is None
    people.create("bob", "admin")
    people.update("ada", active=False)
    assert people.with_key(secret) is None
    people.update("ada", active=True)
    with pytest.raises(Missing):
        people.remove_key("bob", key.id)
    assert people.remove_key("ada", key.id).id == key.id
    assert people.with_key(secret) is None


def test_a_session_ends_by_itself_by_idleness_and_with_its_administrator(people: Administrators):
    ada = people.create("ada", "admin", password="hash")
    secret, made = people.begin_session(ada.id, client="127.0.0.1", lifetime=HOUR)
    assert is_token(secret, SESSION_PREFIX)
    assert people.with_session(secret, idle=IDLE) is not None
    over, _ = people.begin_session(ada.id, client="127.0.0.1", lifetime=-HOUR)
    assert people.with_session(over, idle=IDLE) is None
    table = AdministratorSessionModel.__table__
    idle = update(table).where(table.c.id == made.id).values(seen_at=now() - IDLE)  # pyright: ignore[reportArgumentType]
    people.do(lambda at: at.execute(idle))
    assert people.with_session(secret, idle=IDLE) is None
    for change in ({"password": "new"}, {"active": True, "password": None}):
        secret, _ = people.begin_session(ada.id, client="", lifetime=HOUR)
        people.update("ada", **change)
        assert people.with_session(secret, idle=IDLE) is None
    secret, made = people.begin_session(ada.id, client="", lifetime=HOUR)
    people.end_session(made.id)
    assert people.with_session(secret, idle=IDLE) is None


def test_sessions_and_keys_are_bounded(people: Administrators, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(administrators, "SESSIONS", 3)
    monkeypatch.setattr(administrators, "KEYS", 2)
    ada, bob = people.create("ada", "admin"), people.create("bob", "viewer")
    others, _ = people.begin_session(bob.id, client="", lifetime=HOUR)
    begun: list[tuple[str, AdministratorSession]] = [
        people.begin_session(ada.id, client="", lifetime=HOUR) for _ in range(5)
    ]
    assert [people.with_session(secret, idle=IDLE) is not None for secret, _ in begun] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert people.with_session(others, idle=IDLE) is not None
    people.add_key("ada")
    people.add_key("ada")
    with pytest.raises(Conflict, match="2 keys at most"):
        people.add_key("ada")
