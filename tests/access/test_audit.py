"""Entries of the audit trail: bounded, valid text, and without secrets, whatever they are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.access.audit import NAME_CHARACTERS, REASON_CHARACTERS, STATE_BYTES, as_json, difference, entry_of
from lockgate.access.grant import Allow, Grant
from lockgate.access.records import Project
from lockgate.access.token import make_token
from lockgate.records import AuditEntry

SECRET = make_token()


def entry(**fields: Any) -> AuditEntry:
    known: dict[str, Any] = {"who": "ada", "where": "local", "act": "a.b", "subject": "s", "outcome": "success"}
    return entry_of(**known | fields)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=5), inner, max_size=9),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=9))
def test_any_state_is_json_text_of_bounded_size(state: Mapping[str, Any]) -> None:
    made = entry(before=state)
    assert len(made.before.encode()) <= STATE_BYTES
    assert made.after == ""
    json.loads(made.before or "{}")


def test_what_is_too_large_is_cut_and_says_so() -> None:
    made = entry(who="w" * 9_999, reason="r" * 9_999, before={"a": "x" * 9_999, "b": [1] * 99}, after={"c": "y" * 400})
    assert (len(made.who), made.who[-1], len(made.reason)) == (NAME_CHARACTERS, "…", REASON_CHARACTERS)
    before = json.loads(made.before)
    assert (len(before["a"]), before["a"][-1], before["b"][-1]) == (500, "…", "… 49 more")
    assert json.loads(made.after) == {"c": "y" * 400}
    assert json.loads(entry(before={str(n): {str(k): "x" * 99 for k in range(99)} for n in range(99)}).before) == {
        "…": "99 values, too large to be kept"
    }


def test_what_is_nested_too_deep_is_left_out() -> None:
    state: Any = "deep"
    for _ in range(500):
        state = {"a": state}
    assert "deep" not in entry(before=state).before


@pytest.mark.parametrize("name", ["who", "where", "act", "subject", "reason"])
def test_no_text_holds_a_token(name: str) -> None:
    for given_ in (
        SECRET,
        f"see {SECRET}.",
        "x" * (NAME_CHARACTERS - 9) + SECRET,
        "x" * (REASON_CHARACTERS - 9) + SECRET,
    ):
        made = entry(**{name: given_}, after={"a": [given_], given_: {"b": given_}})
        assert SECRET[:11] not in repr(made)


def test_what_is_called_like_a_secret_is_not_kept() -> None:
    made = entry(
        before={"Password": "hunter2", "nested": [{"key": {"a": "hunter2"}, "digest": b"hunter2"}], "hint": "…k"}
    )
    assert "hunter2" not in made.before
    assert json.loads(made.before)["hint"] == "…k"


def test_any_text_can_be_encoded() -> None:
    made = entry(who="a\ud800b\x00\x1b[31m", after={"x": "\udfff"})
    assert made.who == "a?b\x00\x1b[31m"
    repr(made).encode()
    json.dumps(as_json(made), ensure_ascii=False).encode()


def test_of_two_records_what_differs_is_told() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    one = Project(name="shop", notes="n", created_at=at)
    other = Project(name="shop", active=False, id=one.id, created_at=at, grant=Grant(allow=Allow(models=("gpt-*",))))
    before, after = difference(one, other, ("name",))
    assert before == {"name": "shop", "active": True, "notes": "n"}
    assert after == {"name": "shop", "active": False, "grant": {"allow": {"models": ["gpt-*"]}}}
    assert difference({}, {"a": None, "at": at, "b": (1,)}) == ({}, {"at": at.isoformat(), "b": [1]})


def test_a_program_reads_documents() -> None:
    made = entry(after={"a": 1})
    assert as_json(made) | {"at": ""} == {
        "id": made.id, "at": "", "last_at": None, "who": "ada", "where": "local", "act": "a.b", "subject": "s",
        "outcome": "success", "reason": "", "before": None, "after": {"a": 1}, "count": 1,
    }  # fmt: skip
