"""Tokens as they are shown, over a store that counts what it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from lockgate.access import tokens as module
from lockgate.access.keyring import Keyring
from lockgate.access.records import Token
from lockgate.access.token import make_token
from lockgate.access.tokens import DENIED, ENDED, Tokens, Used
from lockgate.errors import AccessError, StorageError
from lockgate.records import now

RING = Keyring([b"n" * 32, b"o" * 32])
SECRET = make_token()
START = now()


@dataclass
class Store:
    """One token, under the digest by the older secret."""

    token: Token | None
    asked: int = 0
    charged: int = 0
    used: list[Mapping[str, Used]] = field(default_factory=list[Mapping[str, Used]])
    is_away: bool = False

    async def find(self, digests: Sequence[bytes]) -> Token | None:
        self.asked += 1
        if self.is_away:
            raise StorageError("the database is away")
        return self.token if RING.digests(SECRET)[1] in digests else None

    async def charge(self, id: str) -> bool:
        assert self.token
        assert self.token.request_quota
        if self.charged == self.token.request_quota:
            return False
        self.charged += 1
        return True

    async def give_back(self, id: str) -> None:
        self.charged -= 1

    async def clean_up(self, *, ended_before: datetime) -> int:
        return 0

    async def add_used(self, used: Mapping[str, Used]) -> None:
        if self.is_away:
            raise StorageError("the database is away")
        self.used.append(used)


def a_token(**fields: object) -> Token:
    token = Token(project_id="p", project="shop", hint="lg_…", expires_at=START + timedelta(hours=1), created_at=START)
    return replace(token, **fields)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def store() -> Store:
    return Store(a_token())


@pytest.fixture
def tokens(store: Store) -> Tokens:
    return Tokens(store, RING, clock=lambda: START)


async def test_a_token_is_looked_up_once(tokens: Tokens, store: Store):
    assert tokens.known(SECRET) is None
    assert await tokens.look_up(SECRET) is store.token
    assert tokens.known(SECRET) is store.token
    assert await tokens.look_up(SECRET) is store.token
    assert store.asked == 1


async def test_what_is_malformed_and_what_is_unknown_is_told_alike(tokens: Tokens, store: Store):
    for secret in ("", "lg_", SECRET[:-1], SECRET[:-1] + ("a" if SECRET[-1] != "a" else "b")):
        with pytest.raises(AccessError) as refused:
            await tokens.look_up(secret)
        assert str(refused.value) == DENIED
    assert store.asked == 0
    unknown = make_token()
    for _ in range(2):
        with pytest.raises(AccessError) as refused:
            await tokens.look_up(unknown)
        assert str(refused.value) == DENIED
    assert store.asked == 1


@pytest.mark.parametrize(
    ("fields", "standing"),
    [
        ({"expires_at": START}, "expired"),
        ({"revoked_at": START}, "revoked"),
        ({"project_active": False}, "inactive"),
    ],
)
async def test_a_token_that_ended_says_how(tokens: Tokens, store: Store, fields: dict[str, object], standing: str):
    store.token = a_token(**fields)
    for _ in range(2):
        with pytest.raises(AccessError) as refused:
            await tokens.look_up(SECRET)
        assert str(refused.value) == ENDED[standing]  # pyright: ignore[reportArgumentType]


async def test_a_token_that_is_known_withers_all_the_same(store: Store):
    at = [START]
    tokens = Tokens(store, RING, clock=lambda: at[0])
    await tokens.look_up(SECRET)
    at[0] += timedelta(hours=1)
    with pytest.raises(AccessError, match="expired"):
        tokens.known(SECRET)


async def test_a_change_is_felt_with_the_next_look(tokens: Tokens, store: Store):
    await tokens.look_up(SECRET)
    store.token = a_token(revoked_at=START)
    tokens.forget()
    with pytest.raises(AccessError, match="revoked"):
        await tokens.look_up(SECRET)


async def test_what_was_read_before_a_change_is_not_remembered(tokens: Tokens, store: Store):
    asked = store.find

    async def changed_meanwhile(digests: Sequence[bytes]) -> Token | None:
        found = await asked(digests)
        store.token = a_token(revoked_at=START)
        tokens.forget()
        return found

    store.find = changed_meanwhile  # pyright: ignore[reportAttributeAccessIssue]
    await tokens.look_up(SECRET)
    assert tokens.known(SECRET) is None


async def test_where_the_database_is_away_only_what_is_known_passes(tokens: Tokens, store: Store):
    await tokens.look_up(SECRET)
    store.is_away = True
    assert await tokens.look_up(SECRET) is store.token
    with pytest.raises(StorageError):
        await tokens.look_up(make_token())


async def test_what_is_known_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KNOWN_TOKENS", 2)
    await tokens.look_up(SECRET)
    for secret in (first := make_token(), make_token()):
        with pytest.raises(AccessError):
            await tokens.look_up(secret)
    assert tokens.known(SECRET) is None
    with pytest.raises(AccessError):
        tokens.known(first)


async def test_a_quota_is_counted_by_the_store_alone(store: Store):
    store.token = a_token(request_quota=2, requests=2)
    tokens = Tokens(store, RING, clock=lambda: START)
    token = await tokens.look_up(SECRET)
    await tokens.charge(token)
    await tokens.charge(token)
    with pytest.raises(AccessError, match="used up"):
        await tokens.charge(token)
    await tokens.give_back(token)
    await tokens.charge(token)
    await tokens.write_used()
    assert store.used == [{token.id: Used(0, START)}]


async def test_use_without_a_quota_is_added_up_and_survives_a_database_that_is_away(tokens: Tokens, store: Store):
    token = await tokens.look_up(SECRET)
    await tokens.charge(token)
    await tokens.charge(token)
    await tokens.give_back(token)
    store.is_away = True
    with pytest.raises(StorageError):
        await tokens.write_used()
    await tokens.charge(token)
    store.is_away = False
    await tokens.write_used()
    await tokens.write_used()
    assert store.used == [{token.id: Used(2, START)}]
