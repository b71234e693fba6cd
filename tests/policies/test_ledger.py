"""What a rule remembers of sessions."""

from __future__ import annotations

import json

from lockgate.exchange import Exchange
from lockgate.policies import ledger
from lockgate.policies.ledger import Sessions, session_keys
from lockgate.wire.anthropic import FORMAT
from tests.policies.chains import exchange_of


def asked(*said: str, **fields: str) -> Exchange:
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    document = {"model": "m", "max_tokens": 1, "messages": messages}
    return exchange_of(FORMAT.read_request(json.dumps(document).encode()), **fields)


def test_a_session_is_known_by_its_name_or_by_its_beginning() -> None:
    [first] = session_keys(asked("a", client="1.2.3.4"))
    assert session_keys(asked("a", client="1.2.3.4", session_id="s")) == ["s", first]
    assert session_keys(asked("a", "b", "c", client="1.2.3.4")) == [first]
    assert session_keys(asked("other", client="1.2.3.4")) != [first]
    assert session_keys(asked("a", client="4.3.2.1")) != [first]


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
