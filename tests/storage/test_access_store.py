"""Tokens looked up and counted, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from lockgate.access.tokens import Used
from lockgate.errors import StorageError
from lockgate.records import now
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.access_store import SqlAccess
from lockgate.storage.provider_keys import ProviderKeys
from tests.storage.test_access import DAY, RING


@pytest.fixture
def url(database_url: str) -> str:
    schema.upgrade(database_url)
    return database_url


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlAccess]:
    store = SqlAccess(url, RING)
    yield store
    await store.close()


async def test_a_token_is_found_by_any_of_its_digests(url: str, store: SqlAccess):
    with Access(url, RING) as access:
        access.create_project("shop")
        secret, made = access.create_token("shop", lifetime=DAY)
    assert await store.find([b"x" * 32, RING.digest(secret)]) == made
    assert await store.find([b"x" * 32]) is None


async def test_a_quota_is_counted_exactly_by_two_proxies_at_once(url: str, store: SqlAccess):
    with Access(url, RING) as access:
        access.create_project("shop")
        _, made = access.create_token("shop", lifetime=DAY, request_quota=25)
        other = SqlAccess(url, RING)
        asked = [each.charge(made.id) for _ in range(20) for each in (store, other)]
        assert (await asyncio.gather(*asked)).count(True) == 25
        await other.give_back(made.id)
        assert [await store.charge(made.id) for _ in range(2)] == [True, False]
        await other.close()
        assert access.token(made.id).requests == 25


async def test_nothing_is_given_back_that_was_not_charged(url: str, store: SqlAccess):
    with Access(url, RING) as access:
        access.create_project("shop")
        _, made = access.create_token("shop", lifetime=DAY, request_quota=1)
        await store.give_back(made.id)
        assert access.token(made.id).requests == 0


async def test_use_is_added_up_and_the_latest_time_kept(url: str, store: SqlAccess):
    at = now()
    with Access(url, RING) as access:
        access.create_project("shop")
        ids = [access.create_token("shop", lifetime=DAY)[1].id for _ in range(2)]
        await store.add_used({ids[0]: Used(2, at), ids[1]: Used(1, at)})
        await store.add_used({ids[0]: Used(3, at - timedelta(minutes=1))})
        found = [access.token(id) for id in ids]
    assert [(one.requests, one.last_used_at) for one in found] == [(5, at), (1, at)]


async def test_a_database_that_is_not_there_is_a_sentence(tmp_path: object):
    store = SqlAccess(f"sqlite:///{tmp_path}/none/lockgate.db", RING)
    with pytest.raises(StorageError, match=r"lockgate\.db"):
        await store.find([b"x"])
    await store.close()


async def test_keys_in_use_are_read_with_what_they_hold(url: str, store: SqlAccess):
    with ProviderKeys(url, RING) as keys:
        kept = keys.add("anthropic", "sk-one", name="main")
        named = keys.add("openai", "VARIABLE", name="by name", source="environment")
        keys.set_active(keys.add("openai", "sk-off", name="off").id, active=False)
    found = {key.id: (key.provider, key.source, key.value) for key in await store.keys()}
    assert found == {
        kept.id: ("anthropic", "kept", "sk-one"),
        named.id: ("openai", "environment", "VARIABLE"),
    }
    assert "sk-one" not in repr(await store.keys())


async def test_a_proxy_removes_tokens_that_ended(url: str, store: SqlAccess):
    with Access(url, RING) as access:
        access.create_project("shop")
        _, ended = access.create_token("shop", lifetime=DAY)
        _, lives = access.create_token("shop", lifetime=DAY)
        access.revoke_token(ended.id)
        assert await store.clean_up(ended_before=now() + timedelta(minutes=1)) == 1
        assert [token.id for token in access.tokens()] == [lives.id]
