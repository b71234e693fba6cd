"""A conversation turn by turn: only what is new, whatever the format, and what cannot be told said so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from lockgate.records import Record, Relation
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.queries import Queries
from lockgate.storage.turns import NEW_MESSAGES, Turn
from tests.storage.logs import remember
from tests.storage.records import comm, decision, exchange_row
from tests.storage.talks import ENDPOINTS, dumps, says, user


def exchange(request: Any, reply: Any, format: str = "anthropic") -> list[Record]:
    row = exchange_row(endpoint=ENDPOINTS[format])
    asked = comm(row.id, endpoint=row.endpoint, content=request if isinstance(request, bytes) else dumps(request))
    answered = comm(row.id, type="RESPONSE", endpoint=row.endpoint, content=dumps(reply))
    return [row, asked, answered, Relation(from_comm_id=asked.id, to_comm_id=answered.id, type="request_response")]


def asks(*messages: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 1, "messages": list(messages)}


def answers(text: str, id: str = "msg_1") -> dict[str, Any]:
    said = [{"type": "text", "text": text}]
    return {"id": id, "type": "message", "role": "assistant", "model": "m", "content": said, "stop_reason": "end_turn"}


async def turns_in(url: str, records: Sequence[Record]) -> list[Turn]:
    schema.upgrade(url)
    await remember(url, records)
    async with Queries(url) as log:
        return await log.turns((await log.exchanges())[::-1])


def texts(turn: Turn) -> tuple[list[str], list[str]]:
    return [each.text for each in turn.asked], [each.text for each in turn.answered]


async def test_only_what_is_new_is_told(database_url: str):
    records = [
        *exchange(asks(user("one"), user("two")), answers("first")),
        *exchange(asks(user("one"), user("two"), says("first"), user("three")), answers("second", "msg_2")),
        *exchange(asks(user("one"), user("two"), says("first"), user("three")), answers("again", "msg_3")),
    ]
    records.append(decision(records[0].id, rule="r", action="forwarded"))  # pyright: ignore[reportAttributeAccessIssue]
    records.append(decision(records[0].id, rule="s"))  # pyright: ignore[reportAttributeAccessIssue]
    found = await turns_in(database_url, records)
    assert [texts(turn) for turn in found] == [
        (["one", "two"], ["first"]),
        (["three"], ["second"]),
        (["three"], ["again"]),
    ]
    assert [turn.repeats for turn in found] == [False, False, True]
    assert [(one.rule, one.given) for one in found[0].decisions] == [("s", b"")]


async def test_the_other_formats(database_url: str):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = {"role": "assistant", "content": "hello", "tool_calls": [call]}
    choice = {"index": 0, "message": chat, "finish_reason": "tool_calls"}
    item = {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}", "id": "fc_1"}
    reply = {"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": [item]}
    output = {"type": "function_call_output", "call_id": "c2", "output": "out"}
    later: Any = {"id": "resp_2", "object": "response", "model": "m", "status": "completed", "output": []}
    found = await turns_in(
        database_url,
        [
            *exchange(asks(user("hi")), {"id": "x", "object": "chat.completion", "choices": [choice]}, "openai-chat"),
            *exchange({"model": "m", "input": "hi"}, reply, "openai-responses"),
            *exchange({"model": "m", "previous_response_id": "resp_1", "input": [output]}, later, "openai-responses"),
        ],
    )
    assert [texts(turn) for turn in found] == [(["hi"], ["hello", "{}"]), (["hi"], ["{}"]), (["out"], [])]
    assert [found[1].answered[0].call_id, found[2].asked[0].call_id] == ["c2", "c2"]


async def test_the_request_as_it_came_and_the_reply_as_it_went(database_url: str):
    records = exchange(asks(user("secret")), answers("bad"))
    row: Any = records[0]
    passed = comm(row.id, endpoint=row.endpoint, content=dumps(asks(user("hidden"))))
    given = comm(row.id, type="RESPONSE", endpoint=row.endpoint, content=dumps(answers("good")))
    changes = [
        Relation(from_comm_id=first.id, to_comm_id=second.id, type="modified_to")  # pyright: ignore[reportAttributeAccessIssue]
        for first, second in ((records[1], passed), (records[2], given))
    ]
    (turn,) = await turns_in(database_url, [*records, passed, given, *changes])
    assert texts(turn) == (["secret"], ["good"])


async def test_a_long_beginning_is_cut_and_what_is_no_conversation_is_told_as_it_is(database_url: str):
    long = asks(*(user(f"n {at}") for at in range(NEW_MESSAGES + 5)))
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    cut, odd, empty = await turns_in(
        database_url,
        [*exchange(long, error), *exchange(b"{not json", error), exchange_row(endpoint="POST /v1/messages")],
    )
    assert cut.is_cut
    assert [texts(cut)[0][0], len(cut.asked)] == ["n 5", NEW_MESSAGES]
    assert json.loads(cut.answered[0].text) == error
    assert [each.text for each in odd.asked] == ["{not json"]
    assert (empty.asked, empty.answered, empty.damage) == ((), (), "")


async def test_what_others_changed_is_not_told(sqlite_url: str):
    await turns_in(sqlite_url, exchange(asks(user("one")), answers("first")))
    with sqlite3.connect(parse(sqlite_url).path) as connection:
        connection.execute("UPDATE message SET role = 'user', content = X'7b7d'")
    connection.close()
    async with Queries(sqlite_url) as log:
        (turn,) = await log.turns(await log.exchanges())
    assert (turn.asked, turn.answered) == ((), ())
    assert "was changed" in turn.damage
