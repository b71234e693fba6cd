"""Projects, tokens and provider keys, on both databases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from lockgate.access.grant import Allow, Budget, Grant, Limits
from lockgate.access.keyring import Keyring
from lockgate.access.token import is_token
from lockgate.errors import Error
from lockgate.records import now
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.provider_keys import ProviderKeys

RING = Keyring([b"r" * 32])
DAY = timedelta(days=1)
GRANT = Grant(
    allow=Allow(models=("claude-*",), parameters={"service_tier": ("auto", None)}),
    limits=Limits(requests_per_minute=60), budgets=(Budget(per="day", usd=2.5),),
)  # fmt: skip


@pytest.fixture
def access(database_url: str) -> Iterator[Access]:
    schema.upgrade(database_url)
    with Access(database_url, RING) as access:
        yield access


@pytest.fixture
def keys(access: Access) -> Iterator[ProviderKeys]:
    with ProviderKeys(access.address.url, RING) as keys:
        yield keys


def everything(url: str) -> str:
    """All that the tables of access hold."""
    engine = writer_engine(parse(url))
    with contextlib.closing(engine.connect()) as connection:
        rows: list[Any] = [
            list(connection.execute(text(f"SELECT * FROM {name}"))) for name in ("project", "token", "provider_key")
        ]
    engine.dispose()
    return repr(rows)


def test_a_project_is_kept_and_found_by_name_and_by_both_ends_of_its_id(access: Access):
    made = access.create_project("shop", notes="<b>\x00\ud800", grant=GRANT)
    assert access.projects() == [made]
    assert [access.project(name) for name in ("shop", made.id, made.id[:8], made.id[-8:].upper())] == [made] * 4


def test_a_name_is_taken_once(access: Access):
    access.create_project("shop")
    other = access.create_project("other")
    with pytest.raises(Error, match="there is a project named 'shop' already"):
        access.create_project("shop")
    with pytest.raises(Error, match="there is a project named 'shop' already"):
        access.update_project(other.id, name="shop")


@pytest.mark.parametrize("name", ["", " a", "a\nb", "x" * 201, "-rf", "a\x1b[0m", "<script>"])
def test_what_is_no_name(access: Access, name: str):
    with pytest.raises(Error, match="is no name"):
        access.create_project(name)


def test_a_project_is_changed(access: Access):
    access.create_project("shop")
    changed = access.update_project("shop", name="store", active=False, notes="n", grant=GRANT)
    assert (changed.name, changed.active, changed.notes, changed.grant) == ("store", False, "n", GRANT)
    assert access.projects() == [changed]


def test_what_is_not_there_is_named(access: Access):
    for name in ("none", "abc", "'; DROP TABLE project; --", "%%%%%%%%", "______"):
        with pytest.raises(Error, match=r"no project is called .* `lockgate project list`"):
            access.project(name)
    with pytest.raises(Error, match=r"no token is called '0123456789'"):
        access.token("0123456789")


def test_a_token_is_told_once_and_kept_as_a_digest(access: Access):
    access.create_project("shop")
    secret, made = access.create_token("shop", lifetime=DAY, name="ci", labels=("a", "b"), request_quota=3, grant=GRANT)
    assert is_token(secret)
    assert access.tokens() == [made]
    assert access.token(made.id[-8:]) == made
    assert (made.project, made.hint, made.labels, made.request_quota) == ("shop", secret[:7] + "…", ("a", "b"), 3)
    assert made.expires_at - made.created_at == DAY
    assert secret[8:] not in everything(access.address.url)


@pytest.mark.parametrize("lifetime", [timedelta(seconds=59), timedelta(days=365, seconds=1), timedelta(days=-1)])
def test_a_lifetime_has_bounds(access: Access, lifetime: timedelta):
    access.create_project("shop")
    with pytest.raises(Error, match="1 minute to 365 days"):
        access.create_token("shop", lifetime=lifetime)


def test_a_quota_has_a_bound(access: Access):
    access.create_project("shop")
    with pytest.raises(Error, match="a quota is 1 request or more, and not 0"):
        access.create_token("shop", lifetime=DAY, request_quota=0)


def test_a_refreshed_token_is_another_secret_of_the_same_id(access: Access):
    access.create_project("shop")
    secret, made = access.create_token("shop", lifetime=timedelta(minutes=1), name="ci")
    new, again = access.refresh_token(made.id, lifetime=DAY)
    assert is_token(new)
    assert new != secret
    assert (again.id, again.name, again.hint) == (made.id, "ci", new[:7] + "…")
    assert again.expires_at > made.expires_at


def test_a_revoked_token_stays_so(access: Access):
    access.create_project("shop")
    _, made = access.create_token("shop", lifetime=DAY)
    revoked = access.revoke_token(made.id)
    assert revoked.standing(now()) == "revoked"
    assert access.revoke_token(made.id) == revoked
    with pytest.raises(Error, match="was revoked, which cannot be taken back"):
        access.refresh_token(made.id, lifetime=DAY)


def test_many_are_revoked_by_project_and_by_age(access: Access):
    for name in ("one", "two"):
        access.create_project(name)
        for _ in range(2):
            access.create_token(name, lifetime=DAY)
    oldest, *_, newest = reversed(access.tokens())
    assert access.revoke_tokens(before=newest.created_at, project="one") == 2
    assert [token.project for token in access.tokens() if token.revoked_at is None] == ["two", "two"]
    assert access.revoke_tokens(before=oldest.created_at) == 0
    assert access.revoke_tokens(project="two") == 2
    with pytest.raises(Error, match="say which tokens"):
        access.revoke_tokens()


def test_ended_tokens_are_cleaned_up(access: Access):
    access.create_project("shop")
    _, ended = access.create_token("shop", lifetime=DAY)
    _, kept = access.create_token("shop", lifetime=DAY)
    access.revoke_token(ended.id)
    assert access.clean_up(ended_before=now() - DAY) == 0
    assert access.clean_up(ended_before=now() + timedelta(minutes=1)) == 1
    assert [token.id for token in access.tokens()] == [kept.id]


def test_a_token_stands_as_its_project_does(access: Access):
    access.create_project("shop")
    _, made = access.create_token("shop", lifetime=DAY)
    assert made.standing(now()) == "active"
    assert made.standing(now() + 2 * DAY) == "expired"
    access.update_project("shop", active=False)
    assert access.token(made.id).standing(now()) == "inactive"


def test_a_provider_key_is_encrypted_and_its_end_shown(access: Access, keys: ProviderKeys):
    access.create_project("shop")
    secret = "sk-ant-api03-" + "k" * 30 + "WXYZ"
    made = keys.add("anthropic", secret, name="main", project="shop")
    other = keys.add("openai", "OPENAI_API_KEY", name="by name", source="environment")
    assert keys.every() == [made, other]
    assert (made.hint, made.project, other.hint, other.project_id) == ("…WXYZ", "shop", "OPENAI_API_KEY", None)
    assert "kkkk" not in everything(access.address.url)
    assert "kkkk" not in repr(keys.every())


@pytest.mark.parametrize("value", ["", "sk\nx: y", "sk\r", " sk", "sk\x00"])
def test_a_key_with_a_newline_is_none(keys: ProviderKeys, value: str):
    with pytest.raises(Error, match="one line without spaces"):
        keys.add("anthropic", value, name="main")


def test_keys_are_taken_out_put_back_and_removed(keys: ProviderKeys):
    made = keys.add("anthropic", "sk-short", name="main")
    assert made.hint == ""
    assert not keys.set_active(made.id[-8:], active=False).active
    assert keys.set_active(made.id, active=True).active
    assert keys.remove(made.id).id == made.id
    assert keys.every() == []


def test_after_a_rotation_keys_are_encrypted_anew(access: Access, keys: ProviderKeys):
    keys.add("anthropic", "sk-one", name="main")
    keys.add("openai", "VARIABLE", name="by name", source="environment")
    with ProviderKeys(access.address.url, Keyring([b"n" * 32, b"r" * 32])) as rotated:
        assert rotated.reencrypt() == 1
        assert rotated.reencrypt() == 0
    with ProviderKeys(access.address.url, Keyring([b"n" * 32])) as alone:
        assert alone.reencrypt() == 0
