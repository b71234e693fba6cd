"""What clients declare of their tools, in every format, and whether arguments follow it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.policies.declared import NotAsDeclared, check_arguments, declared_schema
from lockgate.wire.whole import format_of
from tests.policies.chains import request_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x+$"}}, "required": ["a"]}
SAID = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(("format", "document"), [
    ("anthropic", {"max_tokens": 1, "messages": SAID, "tools": [{"name": "T", "input_schema": SCHEMA}]}),
    ("openai-chat", {"messages": SAID, "tools": [
        {"type": "function", "function": {"name": "T", "parameters": SCHEMA}}]}),
    ("openai-responses", {"input": SAID, "tools": [{"type": "function", "name": "T", "parameters": SCHEMA}]}),
    ("openai-responses", {"input": SAID, "tools": [
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "T", "parameters": SCHEMA}]}]}),
    ("openai-responses", {"input": [*SAID, {"type": "additional_tools", "tools": [
        {"type": "function", "name": "T", "parameters": SCHEMA}]}]}),
])  # fmt: skip
def test_the_schema_is_found(format: str, document: dict[str, Any]) -> None:
    request = format_of(format).read_request(json.dumps({"model": "m", **document}).encode())
    assert declared_schema(request, "T") == SCHEMA
    assert declared_schema(request, "U") is None


@pytest.mark.parametrize("tools", [None, [], "T", [None], [{"name": "T"}], [{"name": "T", "parameters": "x"}]])
def test_what_is_no_schema(tools: Any) -> None:
    assert declared_schema(request_of(tools=tools), "T") is None


def test_arguments() -> None:
    check_arguments(SCHEMA, {"a": "xx"})
    check_arguments(None, {"whatever": 1})
    for arguments, where in (({"a": "secret"}, "allows: a: pattern"), ({}, "allows: required: a")):
        with pytest.raises(NotAsDeclared, match=where) as error:
            check_arguments(SCHEMA, arguments)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize("schema", [
    {"$ref": "https://schemas.example/a.json"}, {"type": "strin"}, {"properties": {"a": {"pattern": "(?<=a)b"}}},
])  # fmt: skip
def test_a_schema_that_cannot_be_used_fails(schema: dict[str, Any]) -> None:
    with pytest.raises(NotAsDeclared, match="cannot be held against anything"):
        check_arguments(schema, {"a": "b"})


def test_a_costly_pattern_costs_nothing() -> None:
    with pytest.raises(NotAsDeclared):
        check_arguments({"properties": {"a": {"pattern": "^(x+x+)+y$"}}}, {"a": "x" * 10_000})
