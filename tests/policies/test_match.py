"""Which exchanges and calls a rule looks at."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.errors import ConfigError
from lockgate.policies.match import compile_match
from tests.policies.chains import exchange_of, request_of

X = exchange_of(
    request_of(model="claude-x", max_tokens=5, tools=[{"name": "Bash"}]),
    agent="claude-code",
    session_id="s1",
    labels=("night", "ci/main"),
)


@pytest.mark.parametrize(("conditions", "expected"), [
    ({}, True),
    ({"provider": "anthropic"}, True),
    ({"provider": "openai"}, False),
    ({"provider": ["openai", "anthropic"]}, True),
    ({"model": "claude-*", "agent": "claude-*"}, True),
    ({"model": "claude-*", "agent": "codex"}, False),
    ({"any": [{"agent": "codex"}, {"session": "s1"}]}, True),
    ({"all": [{"agent": "codex"}, {"session": "s1"}]}, False),
    ({"not": {"agent": "codex"}}, True),
    ({"request.max_tokens": {">": 4, "<=": 5}}, True),
    ({"request.max_tokens": {">": 5}}, False),
    ({"request.temperature": {">": 0}}, False),
    ({"request.tools.0.name": "Bash"}, True),
    ({"request.tools.7.name": "Bash"}, False),
    ({"stream": True}, True),
    ({"format": "openai*"}, False),
    ({"purpose": ""}, True),
    ({"label": "ci/*"}, True),
    ({"label": ["day", "night"]}, True),
    ({"label": "day"}, False),
    ({"not": {"label": "day"}}, True),
])  # fmt: skip
def test_conditions(conditions: dict[str, Any], expected: bool) -> None:
    assert compile_match(conditions, "rule").exchange(X) is expected


def test_a_condition_on_the_tool_is_decided_call_by_call() -> None:
    match = compile_match({"any": [{"tool": "Bash"}, {"tool": "mcp__*"}], "provider": "anthropic"}, "rule")
    assert match.per_tool
    assert match.exchange(X)
    assert [match.call(X, tool) for tool in ("Bash", "mcp__git", "Read")] == [True, True, False]


@pytest.mark.parametrize(("conditions", "named"), [
    ({"modle": "x"}, "unknown condition 'modle'"),
    ({"provider": "anthropc"}, "'provider' is never 'anthropc', so nothing would match; it takes: anthropic"),
    ({"not": {"attested": ["altered", "forged"]}}, "'attested' is never 'forged'"),
    ({"format": "openai"}, "it takes: anthropic, openai-chat, openai-responses"),
    ({"purpose": "sidecall"}, "'purpose' is never 'sidecall'"),
    ({"stream": "yes"}, "'stream' takes true or false, not 'yes'"),
    ({"project": 7}, "'project' is text, which 7 is not: put it in quotes"),
    ({"any": {"model": "x"}}, "'any' takes a list"),
    ({"not": ["x"]}, "a condition is a mapping"),
    ({"request.max_tokens": {"above": 3}}, "unknown comparator 'above'"),
    ({"request.max_tokens": {}}, "no comparator; it takes: <"),
    ({"request.max_tokens": {">": [3]}}, "'>' takes a number or text, not [3]"),
    ({"request.max_tokens": {">": True}}, "'>' takes a number or text"),
    ({"request.max_tokens": {">": 3, "<": "x"}}, "nothing is both"),
    ({"request.temperature": {">": 1, "<=": 1}}, "no value is > 1 and <= 1"),
    ({"model": {">": 3}}, "'model' is no number"),
    ({"model": {"in": "gpt"}}, "'in' takes a list of values, with one or more"),
    ({"model": []}, "'model' takes a list of values, with one or more"),
    ({"any": []}, "'any' takes a list of conditions, with one or more"),
])  # fmt: skip
def test_a_wrong_condition_is_named(conditions: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match="rule 'r'") as caught:
        compile_match(conditions, "rule 'r'")
    assert named in str(caught.value)
