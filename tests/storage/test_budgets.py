"""What was used of budgets, on both databases."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from lockgate.access.budgets import Key, Sum
from lockgate.records import new_id, now
from lockgate.storage.access import Access
from lockgate.storage.access_store import SqlAccess
from tests.storage.test_access import DAY, RING
from tests.storage.test_access_store import store, url

__all__ = ["store", "url"]


async def test_sums_are_added_up(store: SqlAccess):
    day, life, none = Key(id := new_id(), "2026-11-21"), Key(id, "life"), Key(new_id(), "life")
    assert await store.sums([day, life]) == {}
    assert await store.add({day: Sum(1, 2), life: Sum(3, 2**40)}) == {day: Sum(1, 2), life: Sum(3, 2**40)}
    assert await store.add({day: Sum(10, 20)}) == {day: Sum(11, 22)}
    assert await store.sums([day, life, none]) == {day: Sum(11, 22), life: Sum(3, 2**40)}


async def test_sums_of_what_is_gone_are_removed(store: SqlAccess, url: str):
    with Access(url, RING) as access:
        project = access.create_project("shop")
        _, token = access.create_token("shop", lifetime=DAY)
        kept, gone = Key(project.id, "life"), Key(token.id, "life")
        await store.add({kept: Sum(1), gone: Sum(1)})
        access.clean_up(ended_before=now())
        assert set(await store.sums([kept, gone])) == {kept, gone}
        access.clean_up(ended_before=now() + timedelta(days=2))
    assert set(await store.sums([kept, gone])) == {kept}


ADDING = """
import asyncio, sys
from lockgate.access.budgets import Budgets, lines_of
from lockgate.access.budgets import Sum
from lockgate.access.grant import Budget, Grant
from lockgate.access.keyring import Keyring
from lockgate.exchange import now
from lockgate.storage.access_store import SqlAccess

async def main(url, subject):
    store = SqlAccess(url, Keyring([b"r" * 32]))
    budgets = Budgets(store)
    lines = lines_of("token", subject, Grant(budgets=[Budget(per="life", tokens=10**9)]), now())
    for _ in range(100):
        await budgets.read(lines)
        budgets.settle(budgets.reserve(lines, Sum(9, 9)), Sum(1, 2))
        await budgets.write()
    await budgets.write()
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_lose_nothing(store: SqlAccess, url: str):
    subject = new_id()
    running = [await asyncio.create_subprocess_exec(sys.executable, "-c", ADDING, url, subject) for _ in range(2)]
    assert [await each.wait() for each in running] == [0, 0]
    key = Key(subject, "life")
    assert await store.sums([key]) == {key: Sum(200, 400)}
