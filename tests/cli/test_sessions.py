"""`lockgate log sessions` and `lockgate log session`, and what the other commands say of sessions and histories."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.errors import Error
from tests.cli.remembered import database, remember, said
from tests.storage.records import comm, exchange_row
from tests.storage.test_sessions import session_row

__all__ = ["database", "said"]

ENDPOINT = "POST /v1/messages"
ASKED = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"What is\\nin it?\\u001b[31m"}]}'


@pytest.fixture
def rows(database: str) -> list[Any]:
    first = session_row("Fix the cart", marker="m-1")
    fork = session_row("Fix the cart", parent_id=first.id, relation="forked_from", marker="m-2")
    one, two = (
        exchange_row(session_id=first.id, attested="attested"),
        exchange_row(session_id=fork.id, attested="altered"),
    )
    side = exchange_row(session_id=first.id, purpose="side", attested="attested")
    remember(database, [first, fork, one, two, side, comm(one.id, endpoint=ENDPOINT, content=ASKED)])
    return [first, fork, one, two, side]


def test_sessions_are_a_tree(said: Any, rows: list[Any]):
    head, first, fork = said("sessions").splitlines()
    assert head.split() == ["began", "id", "session", "agent", "turns", "tokens", "cost", "blocked", "history"]
    assert "Fix the cart" in first
    assert first.rstrip().endswith("attested")
    assert "  fork: Fix the cart" in fork
    assert fork.rstrip().endswith("altered")
    told = json.loads(said("sessions", "--json"))
    assert [(one["id"], one["depth"], one["exchanges"], one["side"]) for one in told] == [
        (rows[0].id, 0, 2, 1), (rows[1].id, 1, 1, 0),
    ]  # fmt: skip
    assert said("sessions", "--agent", "aider") == "No session yet.\n"


def test_a_sum_without_all_prices_says_so(said: Any, rows: list[Any], database: str):
    """`claude-x` has none."""
    assert "$" not in said("sessions") + said("session", "m-1")
    remember(database, [exchange_row(session_id=rows[0].id, model="claude-haiku-4-5")])
    _, first, fork = said("sessions").splitlines()
    assert "  at least $0.000163  " in first
    assert "$" not in fork
    assert "cost         at least $0.000163, 2 exchanges have no known price\n" in said("session", "m-1")


def test_a_session_is_found_by_id_and_marker_and_told(said: Any, rows: list[Any]):
    for name in (rows[0].id, rows[0].id[-8:], "m-1"):
        told = said("session", name)
        assert "title        Fix the cart" in told
        assert "exchanges    2, 1 of them side calls" in told
        assert "fork: Fix the cart" in told
        assert "  user       What is\n             in it?\\u001b[31m" in told
        assert rows[2].id[-8:] in told
        assert rows[4].id[-8:] not in told
    assert f"came         forked from {rows[0].id}" in said("session", "m-2")
    told = json.loads(said("session", "m-1", "--json"))
    assert [one["exchange"]["id"] for one in told["conversation"]] == [rows[2].id]
    with pytest.raises(Error, match="no session is called 'nothing'"):
        said("session", "nothing")


def test_lists_choose_by_session_and_history(said: Any, rows: list[Any]):
    def listed(*words: str) -> list[str]:
        return [row["id"] for row in json.loads(said("list", "--json", *words))]

    assert listed("--session", "m-2") == [rows[3].id]
    assert listed("--session", rows[0].id[-8:]) == [rows[2].id, rows[4].id]
    assert listed("--attested", "altered") == [rows[3].id]
    assert " altered " in said("list", "--attested", "altered")
    assert "history      altered" in said("show", rows[3].id)
    assert "purpose      side" in said("show", rows[4].id)
    assert "came         " not in said("session", "m-1")


def test_an_empty_log_says_so(said: Any, database: str):
    remember(database, [exchange_row()])
    assert said("sessions") == "No session yet.\n"
