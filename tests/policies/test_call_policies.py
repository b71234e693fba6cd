"""`rewrite_call`, `loop_breaker` and `test_tampering`: small policies of tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import ToolCall
from lockgate.policies.base import Blocked
from lockgate.policies.registry import Rule, load_rules
from lockgate.policies.rewrite_call import Options as RewriteOptions
from lockgate.policies.rewrite_call import rewritten
from tests.policies.chains import exchange_of


def call(name: str, arguments: Any, *, custom: bool = False) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(block=1, id="c", name=name, arguments=text, custom=custom)


def bash(command: str) -> ToolCall:
    return call("Bash", {"command": command})


def rule_of(use: str, **options: Any) -> Rule:
    return load_rules([RuleConfig.model_validate({"name": "r", "use": use, "with": options})]).rules[0]


async def out_of(rule: Rule, given_call: ToolCall, **exchange: Any) -> ToolCall | str:
    """The call that goes on, or why none does."""
    try:
        (out,) = await rule.policy(rule.options, rule.shared).on_tool_call(given_call, exchange_of(**exchange))
    except Blocked as refusal:
        return refusal.reason
    assert isinstance(out, ToolCall)
    return out


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pip install x", "uv pip install x"),
        ("cd a && pip3 install -r r.txt && ls", "cd a && uv pip install -r r.txt && ls"),
        ("python -m pip install x", "uv pip install x"),
        ("rm -rf build", "trash build"),
        ("rm a.txt; echo rm", "trash a.txt; echo rm"),
        ("echo 'pip install x'", "echo 'pip install x'"),
        ("sudo rm x", "sudo rm x"),
        ("pip list", "pip list"),
        ("rm a; rm ab; rm a", "trash a; trash ab; trash a"),
        ("rm a; echo 'x; rm a ; y'", "rm a; echo 'x; rm a ; y'"),
        ("rm a; echo 'rm a'", "trash a; echo 'rm a'"),
        ("rm -f -- -rf x", "trash -- -rf x"),
        ("rm\t-rf\tbuild", "trash\tbuild"),
        ('rm --opt="a b" c', 'rm --opt="a b" c'),
        ("A=1 B=x rm -r y", "A=1 B=x trash y"),
    ],
)
def test_rewrites(command: str, expected: str):
    assert rewritten(command, RewriteOptions().rewrites) == expected


async def test_a_rewritten_call_keeps_its_id_and_shape():
    rule = rule_of("rewrite_call")
    out = await out_of(rule, call("shell", {"command": ["bash", "-lc", "pip install x"], "workdir": "/w"}))
    assert isinstance(out, ToolCall)
    assert (out.id, out.name) == ("c", "shell")
    assert json.loads(out.arguments) == {"command": ["bash", "-lc", "uv pip install x"], "workdir": "/w"}
    same = call("Read", {"file_path": "x"})
    assert await out_of(rule, same) is same


async def test_repeated_calls_are_stopped_in_one_session_only():
    rule = rule_of("loop_breaker", same=2)
    for _ in range(2):
        assert isinstance(await out_of(rule, bash("make"), session_id="s"), ToolCall)
    assert await out_of(rule, bash("make"), session_id="s") == "more than 2 times the same among the last 3 calls"
    assert isinstance(await out_of(rule, bash("make"), session_id="t"), ToolCall)
    assert isinstance(await out_of(rule, bash("ls"), session_id="s"), ToolCall)


@pytest.mark.parametrize("options", [{"same": 10, "last": 10}, {"same": 2, "near": 12, "last": 12}])
def test_a_bound_that_can_never_apply_is_refused(options: dict[str, int]):
    with pytest.raises(ConfigError, match="can never apply"):
        rule_of("loop_breaker", **options)


async def test_calls_that_differ_in_numbers_only_are_near():
    rule = rule_of("loop_breaker", near=2)
    answers = [await out_of(rule, bash(f"sleep {n}"), session_id="s") for n in range(3)]
    assert answers[2] == "more than 2 times nearly the same among the last 3 calls"


async def test_too_many_calls_at_once():
    rule = rule_of("loop_breaker", at_once=2, same=0, near=0)
    policy = rule.policy(rule.options, rule.shared)
    for _ in range(2):
        await policy.on_tool_call(bash("ls"), exchange_of())
    with pytest.raises(Blocked, match="No more than 2 calls"):
        await policy.on_tool_call(bash("ls"), exchange_of())


def edit(path: str, old: str, new: str) -> ToolCall:
    return call("Edit", {"file_path": path, "old_string": old, "new_string": new})


@pytest.mark.parametrize(
    ("given_call", "reason"),
    [
        (bash("rm tests/test_a.py"), "it removes ./tests/test_a.py"),
        (bash("rm -rf tests"), "it removes ./tests"),
        (bash("git rm src/a.spec.ts"), "it removes ./src/a.spec.ts"),
        (call("apply_patch", "*** Begin Patch\n*** Delete File: tests/a.py\n*** End Patch", custom=True),
         "it removes tests/a.py"),
        (edit("tests/test_a.py", "def test_a():", "@pytest.mark.skip\ndef test_a():"), "it skips tests in"),
        (edit("src/a.test.ts", "it('a'", "it.skip('a'"), "it skips tests in"),
        (edit("pkg/a_test.go", "x := 1", "t.Skip()\nx := 1"), "it skips tests in"),
        (edit("tests/test_a.py", "assert a == 1\nassert b", "assert b"), "it takes checks out of"),
        (edit("tests/test_a.py", "assert a == 1", "assert True"), "it takes checks out of"),
        (call("apply_patch", "*** Begin Patch\n*** Update File: tests/a.py\n@@\n-assert x\n+pass\n*** End Patch",
              custom=True), "it takes checks out of tests/a.py"),
        (call("apply_patch", "*** Begin Patch\n*** Update File: src/a.py\n@@\n-x\n+assert x\n"
              "*** Update File: tests/a.py\n@@\n-assert x\n+pass\n*** End Patch", custom=True),
         "it takes checks out of tests/a.py"),
        (edit(".github/workflows/ci.yml", "run: pytest -q", "run: pytest -q || true"), "it has checks in"),
        (edit(".github/workflows/ci.yml", "- run: make", "- run: make\n  continue-on-error: true"), "it has checks in"),
        (edit("package.json", '"test": "jest"', '"test": "jest --ci || exit 0"'), "it has checks in"),
        (bash("git commit -am x --no-verify"), "git commit --no-verify goes past"),
        (bash("cd a && HUSKY=0 git push"), "git push goes past"),
        (bash("git commit -n -m x"), "git commit --no-verify goes past"),
    ],
)  # fmt: skip
async def test_tampering_with_tests(given_call: ToolCall, reason: str):
    answer = await out_of(rule_of("test_tampering"), given_call)
    assert isinstance(answer, str)
    assert answer.startswith(reason)


@pytest.mark.parametrize(
    "given_call",
    [
        edit("src/a.py", "assert a", "pass"),
        edit("tests/test_a.py", "assert a == 1", "assert a == 2"),
        edit("tests/test_a.py", "x = 1", "x = 2\nassert x"),
        bash("rm -rf build && pytest tests"),
        bash("rm src/a.py"),
        bash("git commit -m 'no --no-verify here' && git push -n"),
        bash("pytest -q || true"),
        edit("docs/ci.md", "a", "pytest || true"),
        edit("package.json", '"test": "jest || true"', '"test": "jest || true", "a": "b"'),
        call("Read", {"file_path": "tests/test_a.py"}),
        bash("rm -rf tests/__pycache__ .pytest_cache tests/.cache"),
        call("MultiEdit", {"file_path": "tests/test_a.py", "edits": [
            {"old_string": "assert a", "new_string": ""}, {"old_string": "b", "new_string": "b\nassert a"},
        ]}),
        call("apply_patch", "*** Begin Patch\n*** Update File: src/a.py\n@@\n-assert x\n+check(x)\n"
             "*** Update File: tests/test_a.py\n@@\n-x = 1\n+x = 2\n*** End Patch", custom=True),
        call("apply_patch", "*** Begin Patch\n*** Update File: tests/test_a.py\n@@\n-assert x\n"
             "*** Add File: tests/test_b.py\n+assert x\n*** End Patch", custom=True),
        bash("git apply <<'X'\n--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-assert x\n+y\n"
             "--- a/tests/test_a.py\n+++ b/tests/test_a.py\n@@ -1 +1 @@\n-x\n+y\nX"),
    ],
)  # fmt: skip
async def test_ordinary_edits(given_call: ToolCall):
    assert await out_of(rule_of("test_tampering"), given_call) is given_call
