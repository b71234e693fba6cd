from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from lockgate.bench.sessions import session
from lockgate.wire import repeats
from lockgate.wire.conversation import Conversation, split
from lockgate.wire.repeats import Repeats

LONG = "x" * repeats.LEAST_BYTES


def dumps(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def left_out(found: Conversation | None, whole: Conversation | None) -> int:
    """How many messages were left out; all else is the same."""
    assert (found is None) is (whole is None)
    if found is None or whole is None:
        return 0
    count = sum(not part.content for part in found.messages)
    messages = [replace(part, content=b"") for part in whole.messages[:count]]
    assert found == replace(whole, messages=(*messages, *whole.messages[count:]), blobs=found.blobs)
    assert found.blobs.items() <= whole.blobs.items()
    return count


def counts(*bodies: bytes, format: str = "anthropic") -> list[int]:
    known = Repeats()
    return [left_out(known.split(format, body), split(format, body)) for body in bodies]


def test_a_long_session_is_read_from_where_it_is_new() -> None:
    bodies = [request for request, _ in session(40)]
    assert counts(*bodies)[3:] == [2 * turn - 4 for turn in range(3, 40)]


def test_sessions_side_by_side_do_not_disturb_each_other() -> None:
    pairs = zip(session(12, seed=1), session(12, seed=2), strict=True)
    assert counts(*(body for pair in pairs for body, _ in pair))[-2:] == [18, 18]


ONE = said("user", f"One. {LONG}")
STEPS: list[tuple[list[Any], list[Any], int]] = [
    ([ONE], [ONE, said("assistant", "a"), said("user", "b")], 1),
    ([ONE, said("assistant", "a")], [ONE, said("assistant", "a"), said("user", "b")], 0),  # whose is what is new?
    ([ONE], [ONE], 0),
    ([ONE, 1], [ONE, 12, said("assistant", "a")], 1),
    ([ONE, said("assistant", "a")], [said("user", "Other."), ONE, said("assistant", "a")], 0),
    ([ONE, ONE, ONE, said("user", "c")], [ONE, ONE, said("assistant", "a")], 2),
    ([ONE, said("user", "\u2028é\U0001f600")], [ONE, said("user", "\u2028é\U0001f600"), said("assistant", "a")], 2),
    ([ONE, said("user", 1.5)], [ONE, said("user", 1.5), said("assistant", 12345678901234567890123)], 2),
]


@pytest.mark.parametrize(("first", "second", "count"), STEPS)
@pytest.mark.parametrize("head", [{}, {"model": "m"}, {"tools": [{"name": "messages", "x": {"messages": [1]}}]}])
def test_what_is_repeated_is_left_out(first: list[Any], second: list[Any], count: int, head: Any) -> None:
    bodies = [dumps({**head, "messages": messages, "stream": True}) for messages in (first, second)]
    assert counts(*bodies) == [0, count]


def test_other_formats() -> None:
    items = [{"type": "function_call_output", "call_id": "c", "output": LONG}, {"type": "reasoning", "id": "r"}]
    inputs = [items[:1], [*items, said("user", "b")]]
    assert counts(*(dumps({"instructions": "x", "input": one}) for one in inputs), format="openai-responses") == [0, 1]
    messages = [[ONE], [ONE, said("assistant", "a")]]
    assert counts(*(dumps({"messages": one}) for one in messages), format="openai-chat") == [0, 1]


GOOD = dumps({"messages": [ONE, said("assistant", "a"), said("user", "b")]})


@pytest.mark.parametrize(
    "body",
    [
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:-1] + b',"messages":[]}',
        GOOD.replace(b'"assistant"', b'"assistant","role":"user"'),
        GOOD.replace(b'{"messages":[', b'{"messages": ['),
        GOOD.replace(b'"a"', b'"\\u0061"'),
        GOOD.replace(b'"a"', b'"\xff"'),
        GOOD.replace(b'"a"', b'"\\ud800"'),
        GOOD.replace(b'"b"', b"NaN"),
        GOOD.replace(b'"b"', b"1e400"),
        GOOD.replace(b'"b"', b"12345678901234567890123"),
    ],
)
def test_whatever_follows_is_read_as_if_nothing_had_been_left_out(body: bytes) -> None:
    counts(dumps({"messages": [ONE]}), body, body, GOOD)


def test_bodies_changed_anywhere_are_read_alike() -> None:
    chance = random.Random(3)
    bodies = [request for request, _ in session(6)]
    changed: list[bytes] = []
    for _ in range(60):
        body = bytearray(chance.choice(bodies))
        place = chance.randrange(len(body))
        body[place : place + chance.randrange(3)] = chance.choice([b"", b'"', b",", b"]", b"}", b"1", b"\\", b"x"])
        changed += [chance.choice(bodies), bytes(body)]
    counts(*changed)


def test_memory_is_bounded() -> None:
    bodies = [dumps({"messages": [said("user", f"{number} {LONG}")]}) for number in range(20)]
    known = Repeats(limit_bytes=5 * len(bodies[-1]))
    for body in bodies:
        known.split("anthropic", body)
    assert len(known._kept) <= 5
    assert known._size == sum(len(one.body) for one in known._kept)


def test_a_conversation_takes_its_own_place() -> None:
    known = Repeats()
    for body, _ in session(10):
        known.split("anthropic", body)
    assert len(known._kept) == 2  # the first turn's marks are in its first message


def test_short_bodies_are_read_whole() -> None:
    assert counts(*(dumps({"messages": [said("user", "a")] * number}) for number in range(3))) == [0, 0, 0]
