"""What was released is found again: after a restart, and by another proxy on the same database."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from lockgate.history import history as module
from lockgate.history.history import History, Remembered
from lockgate.records import ExchangeRow, Record, TurnRow
from lockgate.storage.log import SqlLog
from lockgate.storage.released import SqlArchive
from tests.history.talks import Client, assistant, user, works
from tests.storage.logs import written
from tests.storage.records import exchange_row

type Start = Callable[..., SqlLog]


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[History]:
    """A history as a proxy that starts now has it."""
    archive = SqlArchive(url)
    yield History(archive)
    await archive.close()


def rows(client: Client) -> list[Record]:
    """What the client's exchanges tell the log, with the exchanges that they belong to."""
    ids = dict.fromkeys(record.exchange_id for record in client.records if isinstance(record, TurnRow))
    return [*(exchange_row(id=id) for id in ids), *client.records]


async def tell(log: SqlLog, *clients: Client) -> None:
    for client in clients:
        log.put(rows(client))
        client.records = []
    await written(log)


async def test_a_conversation_goes_on_after_a_restart(database_url: str, start: Start):
    log = start(database_url)
    async with proxy(database_url) as first:
        client = Client(first, marker="m")
        begun = await works(client, "One thing.", "Two things.", "Three things.")
        await tell(log, client)
    async with proxy(database_url) as client.history:
        standing = await client.say("go on")
        assert (standing.attested, standing.session_id) == ("attested", begun[0].session_id)
        assert standing.continues
        assert not standing.records
        assert (await client.say("more")).attested == "attested"
    assert await log.close() == []


async def test_forks_shortened_and_changed_histories_are_seen_after_a_restart(database_url: str, start: Start):
    log = start(database_url)
    async with proxy(database_url) as first:
        client = Client(first, marker="m")
        begun = await works(client, "One thing.", "Two things.", "Three things.", "Four things.")
        await tell(log, client)
    whole = copy.deepcopy(client.messages)
    changed = copy.deepcopy(whole)
    changed[5] = assistant("Six things.")
    cases: list[tuple[list[Any], str, str]] = [
        ([*whole[:4], user("or else")], "attested", "forked_from"),
        ([user("so far"), *whole[5:], user("go on")], "compacted", "compacted_from"),
        ([*changed, user("go on")], "altered", ""),
        ([user("hi"), assistant("Elsewhere."), user("go on")], "foreign", ""),
    ]
    for messages, attested, relation in cases:
        async with proxy(database_url) as client.history:
            standing = await client.asks(*messages)
        assert standing.attested == attested
        assert standing.session
        if relation:
            row = standing.session.row
            assert (row.relation, row.parent_id) == (relation, begun[0].session_id)
    assert await log.close() == []


async def test_two_proxies_on_one_database_know_what_the_other_released(postgres_url: str, start: Start):
    logs = [start(postgres_url), start(postgres_url)]
    async with proxy(postgres_url) as one, proxy(postgres_url) as two:
        agents = [Client(one, marker="a"), Client(two, marker="b")]
        sessions: list[set[str]] = [set(), set()]
        for turn in range(6):
            for number, agent in enumerate(agents):
                agent.history = (one, two)[(number + turn) % 2]
                standing = await agent.say("go on" if turn else "go", reply=f"Thing {turn}.")
                sessions[number].add(standing.session_id)
                assert standing.attested == "attested"
                await tell(logs[(number + turn) % 2], agent)
    assert [len(ids) for ids in sessions] == [1, 1]
    assert sessions[0] != sessions[1]
    for log in logs:
        assert await log.close() == []


async def test_a_reply_is_found_by_its_name(database_url: str, start: Start):
    import json

    from lockgate.history.asked import Asked
    from lockgate.records import new_id

    async def ask(history: History, **document: Any) -> Any:
        return await history.stand(Asked(exchange_id=new_id(), format="openai-responses", document=document))

    log = start(database_url)
    async with proxy(database_url) as first:
        standing = await ask(first, input="hi")
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]}
        reply = json.dumps({"id": "resp_1", "output": [said]}).encode()
        turns = first.release(standing, reply, comm_id=new_id(), complete=True, veto=False)
        log.put([exchange_row(id=standing.asked.exchange_id), *standing.records, *turns])
        await written(log)
    async with proxy(database_url) as second:
        again = await ask(second, input="more", previous_response_id="resp_1")
        assert (again.attested, again.session_id) == ("attested", standing.session_id)
    assert await log.close() == []


async def test_a_database_that_takes_too_long_makes_no_request_wait(monkeypatch: pytest.MonkeyPatch):
    import asyncio

    class Slow:
        async def find(self, **_: Any) -> Remembered:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(module, "ARCHIVE_SECONDS", 0.01)
    client = Client(History(Slow()))
    assert (await client.asks(user("hi"), assistant("Elsewhere."), user("go on"))).attested == "unknown"


async def test_rows_that_lead_in_circles_or_nowhere_do_no_harm(database_url: str, start: Start):
    log = start(database_url)
    async with proxy(database_url) as first:
        client = Client(first, marker="m")
        await works(client, "One thing.", "Two things.")
        turns = [record for record in client.records if isinstance(record, TurnRow)]
        circle = replace(turns[1], id=turns[0].id, node=turns[1].parent, parent=turns[1].node)
        lost = replace(turns[1], session_id="gone")
        log.put([*(exchange_row(id=one.exchange_id) for one in turns), *client.records[:1], circle, lost])
        await written(log)
    async with proxy(database_url) as client.history:
        assert (await client.say("go on")).attested in ("altered", "foreign", "attested")
    assert await log.close() == []


async def test_what_is_deleted_with_its_exchange_is_foreign(database_url: str, start: Start):
    log = start(database_url)
    async with proxy(database_url) as first:
        client = Client(first)
        await works(client, "One thing.", "Two things.")
    log.put([record for record in rows(client) if not isinstance(record, ExchangeRow | TurnRow)])
    await written(log)
    async with proxy(database_url) as client.history:
        assert (await client.say("go on")).attested == "foreign"
    assert await log.close() == []
