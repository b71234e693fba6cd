"""Chains, branches and samples: which rules look at which exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockgate.config import RuleConfig, load_config
from lockgate.errors import ConfigError
from lockgate.policies.registry import PolicySet, load_rules
from tests.policies.chains import exchange_of, request_of


def rules(*given: dict[str, Any]) -> PolicySet:
    return load_rules([RuleConfig.model_validate(rule) for rule in given])


def noop(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "use": "noop", **fields}


def looking(policy_set: PolicySet, tool: str = "", **fields: Any) -> list[str]:
    model = fields.pop("model", "m")
    x = exchange_of(request_of(model=model), **fields)
    return [rule.name for rule in policy_set.rules if rule.looks_at(x) and (not tool or rule.match.call(x, tool))]


def test_a_chain_shares_its_conditions_and_mode() -> None:
    chain = {
        "name": "outer", "match": {"agent": "codex"}, "mode": "shadow", "on_error": "forward", "refusal": "text",
        "rules": [noop("a"), noop("b", match={"model": "gpt-*"}, on_error="block")],
    }  # fmt: skip
    policy_set = rules(noop("first"), chain, noop("last"))
    assert looking(policy_set, agent="codex", model="gpt-5") == ["first", "outer/a", "outer/b", "last"]
    assert looking(policy_set, agent="codex") == ["first", "outer/a", "last"]
    assert looking(policy_set, agent="claude-code", model="gpt-5") == ["first", "last"]
    assert [(r.mode, r.on_error, r.refusal) for r in policy_set.rules[1:3]] == [
        ("shadow", "forward", "text"), ("shadow", "block", "text")
    ]  # fmt: skip


def test_the_first_branch_that_holds_is_taken() -> None:
    policy_set = rules({"name": "by-model", "branches": [
        {"when": {"model": "*haiku*"}, "rules": [noop("small")]},
        {"when": {"model": "claude-*"}, "rules": [noop("large"), noop("too")]},
        {"rules": [noop("other")]},
    ]})  # fmt: skip
    assert looking(policy_set, model="claude-haiku") == ["by-model/small"]
    assert looking(policy_set, model="claude-opus") == ["by-model/large", "by-model/too"]
    assert looking(policy_set, model="gpt") == ["by-model/other"]


def test_branches_may_depend_on_the_tool_and_stand_in_chains() -> None:
    branches = [{"when": {"tool": "Bash"}, "rules": [noop("shell")]}, {"rules": [noop("rest")]}]
    policy_set = rules({"name": "o", "match": {"agent": "codex"}, "rules": [{"name": "t", "branches": branches}]})
    assert looking(policy_set, "Bash", agent="codex") == ["o/t/shell"]
    assert looking(policy_set, "Read", agent="codex") == ["o/t/rest"]
    assert looking(policy_set, "Read", agent="other") == []


def test_a_session_is_in_a_sample_whole_or_not_at_all() -> None:
    policy_set = rules({"name": "o", "sample": 0.5, "rules": [noop("a"), noop("b")]}, noop("c", sample=0.5))
    drawn: set[tuple[str, ...]] = set()
    for number in range(200):
        first = looking(policy_set, session_id=f"s{number}")
        assert looking(policy_set, session_id=f"s{number}") == first
        drawn.add(tuple(first))
    assert drawn == {("o/a", "o/b", "c"), ("o/a", "o/b"), ("c",), ()}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"name": "r"}, "rule 'r' has either 'use', or 'rules', or 'branches'"),
        ({"name": "r", "use": "noop", "rules": [noop("a")]}, "rule 'r' has either"),
        ({"name": "r", "rules": [noop("a")], "with": {"x": 1}}, "'with' belongs to a rule"),
        ({"name": "r", "branches": [{"rules": [noop("a")]}, {"rules": [noop("b")]}]}, "can never apply"),
        ({"name": "r", "rules": [noop("a"), noop("a")]}, "rule 'r/a': the name is used twice"),
        ({"name": "r", "rules": [{"name": "a", "use": "nope"}]}, "rule 'r/a': unknown policy 'nope'"),
        ({"name": "r", "match": {"modle": "x"}, "rules": [noop("a")]}, "unknown condition 'modle'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ConfigError, ValueError)) as error:
        rules(rule)
    assert sentence in str(error.value)


def test_paths_are_relative_to_the_file_also_inside(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "rules:\n"
        "  - name: o\n    rules:\n      - {name: i, use: './mine.py:Mine', with: {key_file: k}}\n"
        "  - name: t\n    use: tools\n    with: {deny: [{arguments: {target_file: '\\.env$'}}]}\n"
        "  - name: p\n    use: protocol\n    with:\n      monitors: [{use: './mine.py:Mine', with: {key_file: k}}]\n"
    )
    given = load_config(tmp_path / "c.yaml").rules
    assert given
    assert (given[0].rules[0].use, given[0].rules[0].options) == (
        f"{tmp_path / 'mine.py'}:Mine", {"key_file": str(tmp_path / "k")}
    )  # fmt: skip
    assert given[1].options["deny"][0]["arguments"] == {"target_file": r"\.env$"}
    assert given[2].options["monitors"][0] == {
        "use": f"{tmp_path / 'mine.py'}:Mine", "with": {"key_file": str(tmp_path / "k")}
    }  # fmt: skip


def test_files_of_rules_and_keys_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "rules:\n"
        "  - {name: s, use: secret_guard, with: {rules: [own.toml, /abs.toml]}}\n"
        "  - {name: f, use: flow_rules, with: {file: flows.yaml}}\n"
        "  - {name: i, use: injection_scan, with: {judge: {key_file: k}}}\n"
        "  - {name: a, use: approval, with: {webhook: {key_file: k}}}\n"
        "  - {name: o, use: './mine.py:Mine', with: {file: '*.py'}}\n"
    )
    given = load_config(tmp_path / "c.yaml").rules
    assert given
    key = {"key_file": str(tmp_path / "k")}
    assert [rule.options for rule in given] == [
        {"rules": [str(tmp_path / "own.toml"), "/abs.toml"]},
        {"file": str(tmp_path / "flows.yaml")},
        {"judge": key},
        {"webhook": key},
        {"file": "*.py"},
    ]
