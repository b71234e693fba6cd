"""What a rule remembers of sessions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from lockgate.exchange import Exchange
from lockgate.policies import ledger
from lockgate.policies.ledger import Sessions, all_keys, session_keys
from lockgate.records import SessionRow, now
from lockgate.wire.anthropic import FORMAT
from tests.policies.chains import exchange_of


def asked(*said: Any, **fields: str) -> Exchange:
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    document = {"model": "m", "max_tokens": 1, "messages": messages}
    return exchange_of(FORMAT.read_request(json.dumps(document).encode()), **fields)


def test_a_session_is_known_by_its_name_or_by_its_beginning() -> None:
    [first] = session_keys(asked("a", client="1.2.3.4"))
    assert session_keys(asked("a", client="1.2.3.4", session_id="s")) == ["s", first]
    assert session_keys(asked("a", "b", "c", client="1.2.3.4")) == [first]
    assert session_keys(asked("other", client="1.2.3.4")) != [first]
    assert session_keys(asked("a", client="4.3.2.1")) != [first]


def test_sessions_that_the_agent_names_are_told_apart_though_they_begin_alike() -> None:
    one, other = (
        replace(asked("<reminder>", session_id=name), session=SessionRow(id=name, started_at=now(), marker=f"m-{name}"))
        for name in "ab"
    )
    assert list(session_keys(one)) == ["a", "m-a"]
    assert not set(session_keys(one)) & set(all_keys(other))
    assert set(session_keys(asked("<reminder>"))) < set(all_keys(one))


def test_all_that_was_said_before_the_first_reply_is_the_beginning() -> None:
    first, second = ([{"type": "text", "text": "The rules"}, {"type": "text", "text": text}] for text in "ab")
    assert session_keys(asked(first)) != session_keys(asked(second))
    assert session_keys(asked(first)) == session_keys(asked(first, "b", "c"))


def test_an_ended_session_may_begin_again_later() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    assert not sessions.is_ended(["x", "s"])
    sessions.end(["s"], 10)
    now[0] = 9.9
    assert sessions.is_ended(["x", "s"])
    assert not sessions.is_ended(["t"])
    now[0] = 10
    assert not sessions.is_ended(["x", "s"])


def test_what_is_remembered_is_bounded() -> None:
    sessions = Sessions()
    for number in range(ledger.SESSIONS + 1):
        sessions.spend([str(number)], 1)
    sessions.spend(["1", "y"], 2)
    assert (sessions.spent(["0"]), sessions.spent(["y", "1"])) == (0, 3)
