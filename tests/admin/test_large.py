"""What is large is read and written down beside the loop of the proxy, a few at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lockgate.admin import large
from lockgate.admin.problems import Problem
from lockgate.records import Comm, Record, Relation, new_id
from lockgate.storage import bodies, shapes, turns
from lockgate.storage.queries import Queries
from tests.admin.conversations import conversation
from tests.admin.desks import Office
from tests.storage.logs import remember

WORDS = "one of many words "


class Turning:
    """Holds up whoever calls until the loop has turned: on the loop itself that never comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.calls = 0

    def before[**P, R](self, act: Callable[P, R]) -> Callable[P, R]:
        def held(*args: P.args, **kwargs: P.kwargs) -> R:
            self.calls += 1
            turned = threading.Event()
            self._loop.call_soon_threadsafe(turned.set)
            assert turned.wait(60), "the loop stood still"
            return act(*args, **kwargs)

        return held


@pytest.fixture
async def turning(monkeypatch: pytest.MonkeyPatch) -> Turning:
    """Around what takes long of a large exchange: putting a body together, reading it as a document, its blocks."""
    found = Turning()
    for module, name in ((bodies, "join"), (shapes, "document"), (turns, "blocks_of"), (turns, "part_of")):
        monkeypatch.setattr(module, name, found.before(getattr(module, name)))
    return found


PATHS = (
    "/api/exchanges/{id}", "/api/exchanges/{id}/diff", "/api/exchanges/{id}/export", "/exchanges/{id}",
    "/api/exchanges/{id}/export?format=markdown", "/api/exchanges/{id}/export?format=har", "/exchanges/{id}/curl",
    "/exchanges/{id}/changes", "/exchanges/{id}/raw/{comm}", "/exchanges/{id}/texts/answered/0",
    "/sessions/{session}", "/sessions/{session}/turns", "/api/sessions/{session}/conversation",
)  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("count", "size", "paths"), [(120_000, 10_000_000, PATHS[:1]), (100, 0, PATHS)], ids=["10 MB", "all"]
)
async def test_the_loop_turns_while_an_exchange_is_shown(
    here: Office, turning: Turning, count: int, size: int, paths: Sequence[str]
) -> None:
    records = conversation(2, text=WORDS * count)
    if paths is PATHS:
        records += changed([one for one in records if isinstance(one, Comm) and one.type == "REQUEST"][-1])
    await remember(here.url, records)
    async with here.client(here.hire("vera", "viewer")) as client:
        listed = (await client.get("/api/exchanges?limit=1")).json()["items"][0]
        whole = (await client.get(f"/api/exchanges/{listed['id']}")).content
        assert len(whole) > size
        where = {"id": listed["id"], "session": listed["session_id"], "comm": comm_of(records, listed["id"])}
        for path in paths:
            before = turning.calls
            answer = await client.get(path.format(**where))
            assert answer.status_code == 200, (path, answer.text[:200])
            assert turning.calls > before, path


def changed(asked: Comm) -> list[Record]:
    """What a rule made of a request."""
    final = replace(asked, id=new_id(), content=(asked.content or b"").replace(b"tidy up", b"sweep"))
    return [final, Relation(from_comm_id=asked.id, to_comm_id=final.id, type="modified_to")]


def comm_of(records: list[Any], exchange_id: str) -> str:
    return next(one.id for one in records if getattr(one, "exchange_id", "") == exchange_id and hasattr(one, "headers"))


@pytest.fixture
async def reading(sqlite_url: str) -> AsyncIterator[large.Large]:
    opened = large.Large(sqlite_url)
    yield opened
    await opened.close()


async def test_only_so_many_are_under_way_or_wait(reading: large.Large, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "MOST", large.AT_ONCE + 1)
    began, go_on = asyncio.Semaphore(0), threading.Event()
    loop, most, under_way = asyncio.get_running_loop(), 0, 0

    async def act(log: Queries) -> int:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        loop.call_soon_threadsafe(began.release)
        await asyncio.to_thread(go_on.wait)
        under_way -= 1
        return 1

    asked = [asyncio.create_task(reading.do(act)) for _ in range(large.MOST)]
    for _ in range(large.AT_ONCE):
        await began.acquire()
    with pytest.raises(Problem) as refused:
        await reading.do(act)
    assert refused.value.status_code == 503
    go_on.set()
    assert await asyncio.gather(*asked) == [1] * large.MOST
    assert most == large.AT_ONCE
    assert await reading.do(act) == 1


async def test_what_fails_there_is_told_here_and_the_end_gives_up_what_is_under_way(reading: large.Large) -> None:
    async def fail(log: Queries) -> None:
        raise KeyError("there")

    with pytest.raises(KeyError, match="there"):
        await reading.do(fail)
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stay(log: Queries) -> None:
        loop.call_soon_threadsafe(began.set)
        await asyncio.Event().wait()

    staying = asyncio.create_task(reading.do(stay))
    await began.wait()
    await reading.close()
    with pytest.raises(asyncio.CancelledError):
        await staying
