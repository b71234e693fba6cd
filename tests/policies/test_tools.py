"""`tools`: which calls pass, by name and arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import ToolCall
from lockgate.policies.arguments import strings_of, texts_of, values_at
from lockgate.policies.base import Blocked
from lockgate.policies.commands import Unreadable
from lockgate.policies.registry import load_rules
from tests.policies.chains import exchange_of


def call(name: str, arguments: Any = "{}", *, custom: bool = False) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(block=1, id="c", name=name, arguments=text, custom=custom)


async def verdict(options: dict[str, Any], given_call: ToolCall) -> str | None:
    """The sentence with which the call is denied; None where it passes as it came."""
    rule = load_rules([RuleConfig.model_validate({"name": "r", "use": "tools", "with": options})]).rules[0]
    try:
        (out,) = await rule.policy(rule.options, rule.shared).on_tool_call(given_call, exchange_of())
    except Blocked as refusal:
        return refusal.sentence
    assert out is given_call
    return None


TOUCH = {"deny": [{"tool": "*", "arguments": {"**": r"\btouch\b"}}]}
COMMAND = {"deny": [{"arguments": {"command": r"\btouch\b"}, "sentence": "No touching."}]}
LISTED = {"default": "deny", "allow": ["Read", {"tool": "Bash", "arguments": {"command": "^ls"}}]}
DENY_WINS = {"default": "deny", "allow": ["*"], "deny": ["mcp__*"]}
SUCH = "The tool {} may not be called with such arguments here."

PROGRAM = call("exec", r"text(await tools.exec_command({cmd: '\x74ouch x'}))", custom=True)
OPAQUE = call("exec", "tools.exec_command({cmd: name})", custom=True)


@pytest.mark.parametrize(
    ("options", "given_call", "sentence"),
    [
        ({}, call("Bash", "not JSON"), None),
        (TOUCH, call("Bash", {"command": "touch x"}), SUCH.format("Bash")),
        (TOUCH, call("Bash", {"command": "untouched"}), None),
        (TOUCH, call("Edit", {"edits": [{"new": "touch"}]}), SUCH.format("Edit")),
        (TOUCH, call("Edit", {"touch": 1}), None),
        (TOUCH, call("shell", {"command": ["tou" + "ch", "x"]}), SUCH.format("shell")),
        (TOUCH, PROGRAM, SUCH.format("exec")),
        (COMMAND, PROGRAM, "No touching."),
        (COMMAND, call("Bash", {"command": "touch x"}), "No touching."),
        (COMMAND, call("exec_command", {"cmd": "touch x"}), "No touching."),
        (COMMAND, call("shell", {"command": ["bash", "-lc", "touch x"]}), "No touching."),
        (COMMAND, call("Edit", {"new": "touch x"}), None),
        (COMMAND, call("apply_patch", "touch x", custom=True), None),
        (LISTED, call("Read", "not JSON"), None),
        (LISTED, call("read"), None),
        (LISTED, call("Bash", {"command": "ls -a"}), None),
        (LISTED, call("Bash", {"command": "rm"}), "The tool Bash is not allowed here, or not with these arguments."),
        (LISTED, call("Reader"), "The tool Reader is not allowed here, or not with these arguments."),
        (DENY_WINS, call("mcp__box__run"), "The tool mcp__box__run is not allowed here."),
        (DENY_WINS, call("Bash"), None),
        ({"deny": [{"tool": "B?sh"}]}, call("BASH"), "The tool BASH is not allowed here."),
        ({"deny": [{"arguments": {"a.b": "^1$", "c": "x"}}]}, call("T", {"a": {"b": 1}, "c": "y"}), None),
        ({"deny": [{"arguments": {"a.b": "^1$", "c": "x"}}]}, call("T", {"a": {"b": 1}, "c": "x"}),
         SUCH.format("T")),
        ({"deny": [{"arguments": {"**": "x"}}, "T"]}, call("T", "not JSON"), "The tool T is not allowed here."),
        ({"default": "deny", "allow": [{"arguments": {"**": "x"}}, "T"]}, call("T", "not JSON"), None),
    ],
)  # fmt: skip
async def test_verdicts(options: dict[str, Any], given_call: ToolCall, sentence: str | None):
    assert await verdict(options, given_call) == sentence


@pytest.mark.parametrize(
    ("options", "given_call"),
    [(TOUCH, call("T", '{"a": ')), (TOUCH, OPAQUE), (COMMAND, OPAQUE), (COMMAND, call("Bash", "{}")),
     ({"default": "deny", "allow": [{"arguments": {"a": "x"}}]}, call("T", '{"a": "x", "a": "y"}'))],
)  # fmt: skip
async def test_what_cannot_be_read_fails_where_it_matters(options: dict[str, Any], given_call: ToolCall):
    with pytest.raises(Unreadable):
        await verdict(options, given_call)


DOCUMENT = {"a": {"b": ["x", {"c": "y"}], "n": 5, "t": True, "z": None}, "command": "view"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b.0", ["x"]),
        ("a.b.1.c", ["y"]),
        ("a.b.2", []),
        ("a.b", ['["x",{"c":"y"}]']),
        ("a.n", ["5"]),
        ("a.t", ["true"]),
        ("a.z", []),
        ("a.*", ['["x",{"c":"y"}]', "5", "true"]),
        ("a.b.*.c", ["y"]),
        ("a.**", ["x", "y"]),
        ("**.c", ["y"]),
        ("**", ["x", "y", "view"]),
        ("command", ["view"]),
        ("nothing.here", []),
    ],
)
def test_paths(path: str, expected: list[str]):
    assert list(values_at(call("edit", DOCUMENT), path)) == expected


def test_all_texts_of_a_call():
    assert list(texts_of(call("shell", {"command": ["ls", "a b"]}))) == ["shell", "ls", "a b", "ls 'a b'"]
    assert list(strings_of({"a": ["b", {"c": "d"}], "e": 1})) == ["b", "d"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"deny": [{"tool": "x", "arguments": {"**": "a(b"}}]},
            "rule 'r': policy 'tools': option 'deny.0.arguments.**': the pattern 'a(b' is not RE2",
        ),
        ({"deny": [{"tol": "x"}]}, "unknown option 'deny.0.tol' (did you mean 'tool'?); it takes: tool, arguments"),
        ({"default": "maybe"}, "option 'default'"),
    ],
)
def test_wrong_options(options: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError) as caught:
        load_rules([RuleConfig.model_validate({"name": "r", "use": "tools", "with": options})])
    assert sentence in str(caught.value)
