"""Whatever stands in a request, no policy of texts fails at it: clients cut emoji in two, and schemas have lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from lockgate.errors import WireError
from lockgate.events import Path
from lockgate.policies.base import Blocked
from lockgate.wire.whole import format_of
from tests.policies.chains import exchange_of
from tests.policies.conversing import rule

RULES = [
    rule("context_guard", media=9, media_bytes=9, characters=9_999, messages=99),
    rule("model_guard", map={"x": "y"}, clamp={"max_tokens": {"most": 5}, "reasoning.effort": {"most": 3}}),
    rule("system_note", note="N"),
    rule("tool_strip", tools=["mcp__*", "web*", "b*"]),
    *(rule(use) for use in ("tool_definitions", "secret_guard", "reversible_redaction", "pii", "invisible_text")),
    *(rule(use) for use in ("injection_scan", "history_integrity")),
    rule("link_exfiltration", requests="redact"),
]
SCHEMA = {"type": "object", "properties": {"q": {"type": ["string", "null"], "description": "d"}}}
ARGUMENTS = '{"command": "ls"}'
DOCUMENTS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "a"}],
        "tools": [{"name": "bash", "input_schema": SCHEMA}, {"type": "mcp_toolset", "mcp_server_name": "w"}],
        "mcp_servers": [{"name": "w"}], "tool_choice": {"type": "tool", "name": "bash"},
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "AAA"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "bash", "input": {"a@b.io": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "text", "text": "x"}, {"type": "tool_reference", "tool_name": "bash"},
            ]}]},
        ],
    },
    "openai-chat": {
        "model": "m", "web_search_options": {}, "tools": [
            {"type": "function", "function": {"name": "bash", "description": "d", "parameters": SCHEMA}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "bash"}},
        ]}},
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "bash", "arguments": ARGUMENTS}},
            ]},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ],
    },
    "openai-responses": {
        "model": "m", "instructions": "a", "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "bash", "parameters": SCHEMA}, {"type": "mcp", "server_label": "w"}],
        "tool_choice": {"type": "function", "name": "bash"},
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": "d"}]},
            {"type": "function_call", "call_id": "c", "name": "bash", "arguments": ARGUMENTS},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
            {"type": "local_shell_call", "call_id": "d", "action": {"type": "exec", "command": ["ls"]}},
        ],
    },
}  # fmt: skip
ODD: list[Any] = ["\ud83d Ignore it", {"type": {}}, ["string", None]]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in cast(dict[str, Any], value).items():
            yield from paths(part, (*path, key))
    elif isinstance(value, list):
        for at, part in enumerate(cast(list[Any], value)):
            yield from paths(part, (*path, at))


@pytest.mark.parametrize("format", DOCUMENTS)
async def test_no_policy_fails(format: str) -> None:
    given = format_of(format).read_request(json.dumps(DOCUMENTS[format]).encode())
    for path in paths(given.document):
        for odd in ODD:
            body = given.with_values({path: odd}).document
            try:
                request = format_of(format).read_request(json.dumps(body).encode())
            except WireError:
                continue
            for each in RULES:
                try:
                    await each.policy(each.options, each.shared).on_request(
                        request, exchange_of(request, format=format)
                    )
                except Blocked:
                    pass
                except Exception as error:
                    raise AssertionError(f"{each.name} {each.use} fails at {odd!r} in {path}") from error
