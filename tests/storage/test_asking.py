"""An exchange waits for a person's word, from whichever process, and goes on with it once."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from lockgate.errors import StorageError
from lockgate.records import Approval, new_id, now
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import COLUMNS, ApprovalRows
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.asking import SqlApprovals
from lockgate.storage.signals import Signals
from tests.storage.logs import OwnServer, locked
from tests.storage.test_approvals import approval

PROXY = """
import asyncio, sys
from lockgate.storage.asking import SqlApprovals
from lockgate.storage.signals import Signals
from tests.storage.test_approvals import approval

async def main():
    signals = Signals(sys.argv[1])
    signals.start()
    approvals = SqlApprovals(sys.argv[1], signals)
    async def ask(number):
        asked = approval(key=f"{sys.argv[2]}{number}", rule=sys.argv[2])
        answer = await approvals.ask(asked, lambda put: print("asked", flush=True))
        return f"{answer.rule} {answer.state} {answer.decided_by} {answer.exchange_id == asked.exchange_id}"
    for line in await asyncio.gather(*(ask(number) for number in range(3))):
        print(line, flush=True)
    await approvals.close()
    await signals.close()

asyncio.run(main())
"""


class Proxy:
    """The port of one proxy, and what it put before people."""

    def __init__(self, url: str, **options: Any) -> None:
        self.signals = Signals(url)
        self.approvals = SqlApprovals(url, self.signals, **options)
        self.put: asyncio.Queue[Approval] = asyncio.Queue()

    def ask(self, **changes: Any) -> asyncio.Task[Approval]:
        return asyncio.ensure_future(self.approvals.ask(approval(**changes), self.put.put_nowait))

    async def close(self) -> None:
        await self.approvals.close()
        await self.signals.close()


@contextlib.asynccontextmanager
async def proxy(url: str, **options: Any) -> AsyncIterator[Proxy]:
    each = Proxy(url, **options)
    each.signals.start()
    yield each
    await each.close()


@pytest.fixture
async def at(database_url: str) -> AsyncIterator[Proxy]:
    schema.upgrade(database_url)
    async with proxy(database_url) as each:
        yield each


@pytest.fixture
async def desk(database_url: str, at: Proxy) -> AsyncIterator[ApprovalDesk]:
    async with ApprovalDesk(database_url) as desk:
        yield desk


@contextlib.contextmanager
def another_proxy(url: str, rule: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROXY, url, rule]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        yield other
        assert other.wait() == 0


async def becomes(desk: ApprovalDesk, id: str, holds: Callable[[Approval], bool]) -> Approval:
    """The approval when this holds; nobody tells when it does."""
    while True:
        found = await desk.find(id)
        if found and holds(found):
            return found


async def test_an_exchange_goes_on_with_what_was_decided(at: Proxy, desk: ApprovalDesk) -> None:
    answer = at.ask()
    put = await at.put.get()
    assert await desk.pending() == [put]
    await desk.decide(put.id, "denied", digest=put.digest, by="anna", note="not on a Friday")
    got = await answer
    assert (got.id, got.state, got.decided_by, got.note) == (put.id, "denied", "anna", "not on a Friday")
    found = await desk.find(put.id)
    assert found
    assert found.used_at


@pytest.mark.postgres
async def test_proxies_of_several_processes_and_whoever_decides_meet_in_the_database(postgres_url: str) -> None:
    schema.upgrade(postgres_url)
    async with ApprovalDesk(postgres_url) as desk:
        with another_proxy(postgres_url, "one") as one, another_proxy(postgres_url, "two") as two:
            for other in (one, two):
                assert other.stdout
                for _ in range(3):
                    assert await asyncio.to_thread(other.stdout.readline) == "asked\n"
            waiting = await desk.pending()
            assert sorted(each.rule for each in waiting) == ["one"] * 3 + ["two"] * 3
            for each in waiting:
                await desk.decide(each.id, "approved", digest=each.digest, by=f"by-{each.rule}")
            for other, rule in ((one, "one"), (two, "two")):
                assert other.stdout
                said = await asyncio.to_thread(other.stdout.read)
                assert said.splitlines() == [f"{rule} approved by-{rule} True"] * 3
        assert await desk.pending() == []


async def test_a_deadline_that_passes(at: Proxy, desk: ApprovalDesk) -> None:
    answer = await at.ask(deadline=now() + timedelta(milliseconds=50), by_default="approve")
    assert (answer.state, answer.by_default) == ("expired", "approve")
    [found] = await desk.decided()
    assert (found.state, bool(found.used_at)) == ("expired", True)


async def test_a_deadline_in_the_past_is_over_at_once(at: Proxy) -> None:
    answer = await at.ask(deadline=now() - timedelta(hours=1))
    assert answer.state == "expired"


async def test_a_client_that_comes_back_finds_what_waits(at: Proxy, desk: ApprovalDesk) -> None:
    first = at.ask()
    put = await at.put.get()
    first.cancel()
    left = await becomes(desk, put.id, lambda one: one.left_at is not None)
    assert left.state == "pending"
    second = at.ask(exchange_id=(came_back := new_id()))
    again = await becomes(desk, put.id, lambda one: one.exchange_id == came_back)
    assert again.left_at is None
    await desk.decide(put.id, "approved", digest=put.digest, by="anna")
    assert (await second).id == put.id
    assert at.put.empty()  # nobody was asked again


async def test_a_client_that_comes_back_to_another_proxy_finds_the_answer(
    database_url: str, at: Proxy, desk: ApprovalDesk
) -> None:
    first = at.ask()
    put = await at.put.get()
    first.cancel()
    await becomes(desk, put.id, lambda one: one.left_at is not None)
    await desk.decide(put.id, "approved", digest=put.digest, by="anna")
    async with proxy(database_url) as other:
        assert (await other.ask()).id == put.id
        third = other.ask()
        assert (await other.put.get()).id != put.id  # it counts once
        third.cancel()


async def test_a_client_that_stays_away_withdraws_it(database_url: str, at: Proxy, desk: ApprovalDesk) -> None:
    async with proxy(database_url, grace_seconds=0.0) as other:
        first = other.ask()
        put = await other.put.get()
        first.cancel()
        withdrawn = await becomes(desk, put.id, lambda one: one.state == "withdrawn")
        assert withdrawn.used_at is None
        second = other.ask()
        assert (await other.put.get()).id != put.id
        second.cancel()


async def test_two_at_once_are_asked_about_one_by_one(at: Proxy, desk: ApprovalDesk) -> None:
    """The later of two like requests takes the approval over; the earlier, whose client is still there, asks anew."""
    first = at.ask(rule="first")
    put = await at.put.get()
    second = at.ask(rule="second")
    other = await at.put.get()
    assert (other.rule, len(await desk.pending())) == ("first", 2)
    await desk.decide(put.id, "approved", digest=put.digest, by="anna")
    assert (await second).id == put.id
    assert not first.done()
    await desk.decide(other.id, "denied", digest=other.digest, by="anna")
    assert (await first).state == "denied"


async def test_a_row_that_someone_changed_is_no_answer(database_url: str, at: Proxy, desk: ApprovalDesk) -> None:
    answer = at.ask()
    put = await at.put.get()
    rows = ApprovalRows(parse(database_url))
    changes = {"arguments": '{"command": "ls"}', "state": "approved", "decided_by": "anna"}
    await rows.change(COLUMNS.id == put.id, changes)
    await rows.close()
    with pytest.raises(StorageError, match="was changed in the database since it was shown"):
        await answer


async def test_a_row_that_someone_removed_is_asked_about_again(database_url: str, at: Proxy) -> None:
    answer = at.ask()
    put = await at.put.get()
    rows = ApprovalRows(parse(database_url))
    await rows.change(COLUMNS.id == put.id, {"id": new_id()})
    await rows.close()
    assert (await at.put.get()).id != put.id
    answer.cancel()


async def test_the_end_of_a_proxy_withdraws_what_waits_there(database_url: str, at: Proxy, desk: ApprovalDesk) -> None:
    other = Proxy(database_url)
    other.signals.start()
    gone, waits = other.ask(key="gone"), other.ask(key="waits")
    ids = {(await other.put.get()).id, (await other.put.get()).id}
    gone.cancel()
    await other.close()
    assert {(one.id, one.state) for one in await desk.decided()} == {(id, "withdrawn") for id in ids}
    with pytest.raises(StorageError, match="the proxy stops"):
        await waits


async def test_nobody_is_asked_by_a_proxy_that_stops(database_url: str, at: Proxy) -> None:
    other = Proxy(database_url)
    await other.close()
    with pytest.raises(StorageError, match="the proxy stops"):
        await other.ask()


async def test_a_hundred_that_wait_at_once(at: Proxy, desk: ApprovalDesk) -> None:
    answers = [at.ask(key=f"k{number}") for number in range(100)]
    for _ in answers:
        put = await at.put.get()
        await desk.decide(put.id, "approved", digest=put.digest, by="anna")
    assert {one.state for one in await asyncio.gather(*answers)} == {"approved"}
    assert at.approvals._waiting == {}


@pytest.mark.postgres
async def test_an_answer_that_is_given_after_a_server_was_started_again(own_server: OwnServer) -> None:
    with own_server.running() as url:
        schema.upgrade(url)
        at = Proxy(url)
        at.signals.start()
        answer = at.ask()
        put = await at.put.get()
    with own_server.running() as url:
        async with ApprovalDesk(url) as desk:
            await desk.decide(put.id, "approved", digest=put.digest, by="anna")
        assert (await answer).state == "approved"
        await at.close()


async def test_a_log_that_is_being_written_does_not_keep_people_from_deciding(
    database_url: str, at: Proxy, desk: ApprovalDesk
) -> None:
    async with locked(database_url):
        answer = at.ask()
        if database_url.startswith("postgresql"):
            put = await at.put.get()
            await desk.decide(put.id, "approved", digest=put.digest, by="anna")
            assert (await answer).state == "approved"
            return
    put = await at.put.get()  # SQLite knows one writer: it waited
    await desk.decide(put.id, "approved", digest=put.digest, by="anna")
    assert (await answer).state == "approved"


async def test_without_a_table_nothing_is_let_go(sqlite_url: str) -> None:
    async with proxy(sqlite_url) as at:
        with pytest.raises(StorageError, match="cannot open database"):
            await at.ask()
