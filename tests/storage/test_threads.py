"""Messages once: what a conversation costs in the database, and how it comes back."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event

from lockgate.bench.sessions import session
from lockgate.records import Comm, Record, new_id
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.answers import Joined
from lockgate.storage.engine import writer_engine
from lockgate.storage.log import SqlLog
from lockgate.storage.migrations import run
from lockgate.storage.packing import unpack
from lockgate.storage.queries import Queries
from lockgate.storage.threads import Threads
from lockgate.storage.writer import Writer
from tests.storage.records import comm, exchange_row
from tests.storage.talks import (
    IMAGE,
    detail_of,
    dumps,
    exchange,
    execute,
    remember,
    rows_in,
    says,
    user,
)


def written(url: str, exchanges: Iterable[Sequence[Record]]) -> list[tuple[int, ...]]:
    """The rows that there are after each exchange was written."""
    counts: list[tuple[int, ...]] = []
    schema.upgrade(url)
    with Writer(parse(url)) as writer:
        for records in exchanges:
            writer.write(records)
            counts.append(rows_in(url))
    return counts


async def test_a_long_session_costs_rows_only_for_what_is_new(database_url: str) -> None:
    exchanges = [exchange(*turn) for turn in session(300)]
    counts = written(database_url, exchanges[:40])
    assert counts[0] == (30, 30, 0)  # three system blocks, 25 tools, what was asked and what was answered
    growth = {tuple(b - a for a, b in zip(*pair, strict=True)) for pair in pairwise(counts)}
    assert growth == {(2, 2, 0)}
    await remember(database_url, *exchanges[40:])
    assert rows_in(database_url) == (628, 628, 0)
    last = await detail_of(database_url, exchanges[-1][0].id)
    assert last.comms == tuple(exchanges[-1][1:3])
    assert list(last.joined.values()) == [Joined(as_sent=True), Joined(as_sent=True)]


def test_another_session_with_the_same_system_and_tools_costs_only_its_messages(database_url: str) -> None:
    document = json.loads(next(iter(session(1)))[0])
    other = {**document, "messages": [user("Something else.")]}
    counts = written(database_url, [exchange(document), exchange(other)])
    assert (counts[0][:2], counts[1][:2]) == ((29, 29), (30, 30))


def test_tools_that_change_in_the_midst_of_a_conversation_leave_its_thread_alone(database_url: str) -> None:
    tools = [{"name": name} for name in "abc"]
    messages = [user("One."), says("Two."), user("Three.")]
    first, second = ({"messages": messages, "tools": given} for given in (tools[:2], tools))
    assert written(database_url, [exchange(first), exchange(second)]) == [(5, 5, 0), (6, 6, 0)]


async def test_forks_and_rewinds_share_what_comes_before(database_url: str) -> None:
    start = [user("One."), says("Two."), user("Three."), says("Four.")]
    histories = [[*start, user("Five.")], [*start, user("Other five.")], [*start[:2], user("Other three.")], start[:1]]
    exchanges = [exchange({"messages": history}) for history in histories]
    assert written(database_url, exchanges) == [(5, 5, 0), (6, 6, 0), (7, 7, 0), (7, 7, 0)]
    for records in exchanges:
        assert (await detail_of(database_url, records[0].id)).comms == (records[1],)
    forks = execute(database_url, "SELECT count(*) FROM thread GROUP BY parent HAVING count(*) > 1 ORDER BY 1")
    assert forks == [(2,), (2,)]


async def test_a_proxy_that_knows_nothing_finds_what_is_there(database_url: str) -> None:
    turns = [exchange(*turn) for turn in session(4)]
    for turn in turns:
        await remember(database_url, turn)
    assert rows_in(database_url) == (30 + 3 * 2, 30 + 3 * 2, 0)


async def test_a_reply_that_comes_after_a_restart_follows_its_request(database_url: str) -> None:
    document = {"messages": [user("One.")]}
    records = exchange(document, {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "Two."}]})
    await remember(database_url, records[:2])
    await remember(database_url, records[2:])
    await remember(database_url, exchange({"messages": [user("One."), says("Two."), user("Three.")]}))
    assert rows_in(database_url) == (3, 3, 0)
    assert execute(database_url, "SELECT max(depth) FROM thread") == [(2,)]


FORMATS: list[tuple[str, list[Any], list[Any]]] = [
    (
        "openai-chat",
        [
            {"model": "g", "messages": [user("One.")], "tools": [{"type": "function", "function": {"name": "a"}}]},
            {"model": "g", "messages": [user("One."), says("Two."), user("Three.")], "stream": True},
        ],
        [{"id": f"c{n}", "choices": [{"index": 0, "message": says(word)}]} for n, word in enumerate(("Two.", "Four."))],
    ),
    (
        "openai-responses",
        [
            {"model": "g", "instructions": "Be brief.", "input": "One."},
            {"model": "g", "input": [user("One."), {"type": "message", "id": "m0", **says([])}, user("Three.")]},
        ],
        [{"id": f"r{n}", "output": [{"type": "message", "id": f"m{n}", **says([])}]} for n in range(2)],
    ),
]


@pytest.mark.parametrize(("format", "requests", "replies"), FORMATS)
async def test_every_format_is_stored_once_and_comes_back(
    database_url: str, format: str, requests: list[Any], replies: list[Any]
) -> None:
    exchanges = [exchange(*turn, format=format) for turn in zip(requests, replies, strict=True)]
    await remember(database_url, *exchanges)
    assert rows_in(database_url) == (5, 5, 0)
    for records in exchanges:
        assert (await detail_of(database_url, records[0].id)).comms == tuple(records[1:3])


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_request_that_names_a_reply_goes_on_from_it(database_url: str, restarted: bool) -> None:
    reply = {"id": "resp_1", "output": [{"type": "message", "id": "m", **says("Two.")}]}
    first = exchange({"input": [user("One.")]}, reply, format="openai-responses")
    second = exchange({"input": [user("Three.")], "previous_response_id": "resp_1"}, format="openai-responses")
    lost = exchange({"input": [user("Three.")], "previous_response_id": "resp_0"}, format="openai-responses")
    for batch in ((first,), (second,), (lost,)) if restarted else ((first, second, lost),):
        await remember(database_url, *batch)
    assert rows_in(database_url)[:2] == (3, 4)
    depths = execute(database_url, "SELECT t.depth FROM comm c JOIN thread t ON t.hash = c.thread ORDER BY c.id")
    assert depths == [(0,), (1,), (2,), (0,)]
    for records in (second, lost):
        assert (await detail_of(database_url, records[0].id)).comms == (records[1],)


async def test_a_file_is_stored_once_as_bytes(database_url: str) -> None:
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
    turns = [{"messages": [user([block, {"type": "text", "text": str(n)}]) for n in range(turn)]} for turn in (1, 2, 3)]
    exchanges = [exchange(document) for document in turns]
    await remember(database_url, *exchanges)
    assert rows_in(database_url) == (3, 3, 1)
    assert execute(database_url, "SELECT length(content) FROM blob") == [(256 * 20,)]
    assert (await detail_of(database_url, exchanges[-1][0].id)).comms == (exchanges[-1][1],)


ODD: list[bytes] = [
    dumps({"messages": [user("a\x00b \ud800 c")], "model": "\x00"}).replace(b"\xed\xa0\x80", b"\\ud800"),
    b'{"messages":[{"role":"user\\u0000","content":["\\u0000",123456789012345678901234567890,1.0,NaN]}]}',
    dumps({"messages": [user("0123456789" * 1_000_000)]}),
    dumps({"messages": []}),
    dumps({"messages": [{"role": "user" * 100, "content": None}, None, 1, "x"], "system": "s"}),
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_any_message_comes_back_byte_for_byte(database_url: str, body: bytes) -> None:
    records = exchange(body)
    await remember(database_url, records)
    detail = await detail_of(database_url, records[0].id)
    assert detail.comms == (records[1],)
    assert detail.joined == {records[1].id: Joined(as_sent=True)}
    assert execute(database_url, "SELECT count(*) FROM comm WHERE content IS NULL") == [(1,)]


async def test_a_spelling_that_cannot_be_given_back_is_told(database_url: str) -> None:
    document = {"messages": [user("Grüße")], "temperature": 1.0}
    records = exchange(json.dumps(document, indent=2).encode())
    await remember(database_url, records)
    detail = await detail_of(database_url, records[0].id)
    assert json.loads(detail.comms[0].content or b"") == document
    assert detail.joined == {records[1].id: Joined(as_sent=False)}


async def test_what_is_no_conversation_is_stored_whole(database_url: str) -> None:
    other = exchange(b'{"input_tokens":7}', b'{"error":{}}')
    await remember(database_url, other)
    detail = await detail_of(database_url, other[0].id)
    assert (detail.comms, detail.joined) == (tuple(other[1:3]), {})
    assert rows_in(database_url) == (0, 0, 0)


async def test_a_body_that_breaks_the_taking_apart_is_stored_whole(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(format: str, body: bytes) -> None:
        raise RuntimeError

    monkeypatch.setattr("lockgate.storage.threads.split", broken)
    records = exchange({"messages": [user("One.")]})
    await remember(sqlite_url, records)
    assert (await detail_of(sqlite_url, records[0].id)).comms == (records[1],)


async def test_requests_and_replies_that_rules_changed_are_kept_as_they_were_and_became(database_url: str) -> None:
    row = exchange_row()
    bodies = [{"messages": [user(word), user("b")]} for word in ("secret", "***")]
    replies = [{"id": "m", "role": "assistant", "content": [{"type": "text", "text": word}]} for word in ("x", "y")]
    sent, passed = (comm(row.id, content=dumps(body)) for body in bodies)
    came, gave = (comm(row.id, type="RESPONSE", content=dumps(reply)) for reply in replies)
    await remember(database_url, [row, sent, passed], [came, gave])
    assert (await detail_of(database_url, row.id)).comms == (sent, passed, came, gave)
    following = exchange({"messages": [user("secret"), user("b"), says("y"), user("c")]})
    before = rows_in(database_url)
    await remember(database_url, following)
    assert [b - a for a, b in zip(before, rows_in(database_url), strict=True)] == [1, 1, 0]


async def test_what_an_original_and_a_final_share_is_read_once(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = {"role": "user", "content": [{"type": "text", "text": "again", "cache_control": {"type": "ephemeral"}}]}
    again = {"role": "user", "content": [{"type": "text", "text": "again"}]}
    row, bodies = exchange_row(), [{"messages": [user(word), again, marked, again]} for word in ("secret", "***")]
    sent, passed = (comm(row.id, content=dumps(body)) for body in bodies)
    await remember(sqlite_url, [row, sent, passed])
    read: list[bytes] = []

    def counted(packed: bytes) -> bytes:
        read.append(packed)
        return unpack(packed)

    monkeypatch.setattr("lockgate.storage.bodies.unpack", counted)
    detail = await detail_of(sqlite_url, row.id)
    assert detail.comms == (sent, passed)  # each with its marks, though the message is the same three times
    assert list(detail.joined.values()) == [Joined(as_sent=True), Joined(as_sent=True)]
    assert len(read) == len(set(read)) == 3


async def test_what_others_deleted_is_written_again(database_url: str) -> None:
    first, second = exchange({"messages": [user("One.")]}), exchange({"messages": [user("One."), says("Two.")]})
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        writer.write(first)
        execute(database_url, "DELETE FROM comm", "DELETE FROM thread", "DELETE FROM message")
        writer.write(second)
    assert rows_in(database_url) == (2, 2, 0)
    assert (await detail_of(database_url, second[0].id)).comms == (second[1],)


async def test_what_was_not_committed_is_not_known(database_url: str) -> None:
    records = exchange({"messages": [user("One.")]}, {"role": "assistant", "content": []})
    schema.upgrade(database_url)
    with Writer(parse(database_url)) as writer:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "_statements", [(Comm, None, broken_row)])
            with pytest.raises(ZeroDivisionError):
                writer.write(records)
        assert rows_in(database_url) == (0, 0, 0)
        writer.write(records)
    assert (await detail_of(database_url, records[0].id)).comms == tuple(records[1:3])


def broken_row(record: Record) -> dict[str, Any]:
    raise ZeroDivisionError


async def test_two_proxies_write_the_same_conversation_at_once(database_url: str) -> None:
    schema.upgrade(database_url)
    turns = list(session(25))
    failures: list[Exception] = []

    def write(exchanges: list[list[Record]]) -> None:
        async def all_() -> None:
            log = SqlLog(database_url)
            log.start()
            for records in exchanges:
                log.put(records)
            assert await log.close(60) == []

        try:
            asyncio.run(all_())
        except Exception as error:
            failures.append(error)

    both = [[exchange(*turn) for turn in turns] for _ in range(2)]
    threads = [threading.Thread(target=write, args=[exchanges]) for exchanges in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert failures == []
    assert rows_in(database_url) == (30 + 24 * 2, 30 + 24 * 2, 0)


DAMAGE: list[tuple[str, str]] = [
    ("DELETE FROM thread WHERE depth = 1", "node [0-9a-f]{64} is missing"),
    ("UPDATE thread SET parent = NULL WHERE depth = 1", "node before its first is missing"),
    ("UPDATE thread SET parent = hash WHERE depth = 1", "node [0-9a-f]{64} does not follow from its parent"),
    (
        "UPDATE thread SET parent = (SELECT hash FROM thread WHERE depth = 2) WHERE depth = 0",
        "node [0-9a-f]{64} does not follow from its parent",
    ),
    (
        "UPDATE thread SET message = (SELECT message FROM thread WHERE depth = 2) WHERE depth = 1",
        "node [0-9a-f]{64} does not follow from its parent and its message",
    ),
    ("DELETE FROM message WHERE role = 'assistant'", "message [0-9a-f]{64} is missing"),
    ("UPDATE message SET kind = 'tools' WHERE role = 'assistant'", "message [0-9a-f]{64} was changed"),
    ("UPDATE message SET blobs = NULL", "message [0-9a-f]{64} was changed"),
    ("DELETE FROM blob", "file [0-9a-f]{64} is missing or was changed"),
    ("UPDATE comm SET form = envelope", "its parts do not fit together"),
    ("UPDATE comm SET thread = NULL", "node before its first is missing"),
]


@pytest.mark.parametrize(("harm", "told"), DAMAGE)
async def test_what_others_changed_in_the_database_is_told(database_url: str, harm: str, told: str) -> None:
    block = {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    records = exchange({"messages": [user([block]), says("Two."), user("Three.")]})
    await remember(database_url, records)
    execute(database_url, harm)
    detail = await detail_of(database_url, records[0].id)
    assert isinstance(records[1], Comm)
    assert detail.comms[0].content is None
    assert re.search(told, detail.joined[records[1].id].damage)


async def test_a_list_reads_no_messages(database_url: str) -> None:
    await remember(database_url, exchange({"messages": [user("One.")]}))
    statements: list[str] = []
    async with Queries(database_url) as queries:

        @event.listens_for(queries._engine.sync_engine, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
            statements.append(statement)

        await queries.exchanges()
        await queries.summary()
    assert statements
    assert not [one for one in statements if "message" in one or "thread" in one or "envelope" in one]


def insert_as_before(url: str, id: str, body: bytes) -> None:
    """An exchange with one request, as the first version of the tables has them."""
    sqlite = url.startswith("sqlite")
    content = f"X'{body.hex()}'" if sqlite else f"'\\x{body.hex()}'::bytea"
    exchange_id, comm_id = (one.replace("-", "") if sqlite else one for one in (id, new_id()))
    when, words = (
        "'2026-11-21 09:30:00'",
        "'model', 'anthropic', 'host', '/v1/messages', 'm', 'a', 's', '', '', '', '', ''",
    )
    execute(
        url,
        f"INSERT INTO exchange VALUES ('{exchange_id}', {when}, {words}, {'0' if sqlite else 'false'}, 200, 'passed',"
        " '', NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, '[]', '')",
        f"INSERT INTO comm VALUES ('{comm_id}', '{exchange_id}', '', 'REQUEST', 'client', 'host', '/v1/messages',"
        f" '{{}}', '[]', '', NULL, {when}, {content})",
    )


async def test_what_an_older_lockgate_wrote_is_still_read(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    older = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(run.command, "upgrade", lambda config, head: older(config, "0001"))
        schema.upgrade(database_url)
    assert schema.version(parse(database_url)) == "0001"
    body = b'{"messages":[{"role":"user","content":"Old."}]}'
    exchange_id = new_id()
    insert_as_before(database_url, exchange_id, body)
    assert schema.upgrade(database_url) == "0001"
    detail = await detail_of(database_url, exchange_id)
    assert (detail.comms[0].content, detail.joined) == (body, {})
    new = exchange({"messages": [user("Old."), says("New.")]})
    await remember(database_url, new)
    assert (await detail_of(database_url, new[0].id)).comms == (new[1],)


def test_the_memory_of_what_is_known_is_bounded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.storage.threads.KNOWN_HASHES", 10)
    schema.upgrade(sqlite_url)
    address = parse(sqlite_url)
    threads, engine = Threads(address), writer_engine(address)
    body = dumps({"messages": [user(str(number)) for number in range(100)]})
    with engine.begin() as connection:
        threads.write(connection, [comm(new_id(), content=body)])
    threads.committed()
    engine.dispose()
    assert len(threads._known) == 10
