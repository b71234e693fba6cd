"""Scripts: what they say follows from what the request holds."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.upstream.provider import Provider
from tests.upstream.received import Received
from tests.upstream.script import Reply, ShellCall, Text, says, shell_then_done

SHELLS: list[tuple[dict[str, Any], dict[str, Any] | str]] = [
    ({"tools": [{"name": "Bash", "input_schema": {"properties": {"command": {}, "description": {}}}}]}, "command"),
    (
        {"tools": [{"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {}}}}]},
        {"cmd": "ls"},
    ),
    (
        {
            "tools": [
                {"type": "function", "name": "shell", "parameters": {"properties": {"command": {"type": "array"}}}}
            ]
        },
        {"command": ["bash", "-lc", "ls"]},
    ),
    ({"tools": [{"type": "custom", "name": "exec"}]}, 'text(await tools.exec_command({"cmd": "ls"}));\n'),
    ({"input": [{"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]}]}, "tools.exec_command"),
]


@pytest.mark.parametrize(("declared", "expected"), SHELLS)
async def test_a_shell_call_fits_the_tools_of_the_request(
    declared: dict[str, Any], expected: dict[str, Any] | str
) -> None:
    async with Provider(says(ShellCall("ls"))) as provider, httpx2.AsyncClient(base_url=provider.url) as http:
        (item,) = (await http.post("/v1/responses", json={"input": "Hi"} | declared)).json()["output"]
    said = item.get("input") or item["arguments"]
    assert expected in said if isinstance(expected, str) else json.loads(said) == expected


USER = {"role": "user", "content": "Hi"}
BLOCKS = {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "out"}]}]}
TOOLS = [{"role": "tool", "content": "a"}, {"role": "tool", "content": "b"}]
OUTPUT = {"type": "function_call_output", "output": "out"}
CONVERSATIONS: list[tuple[str, list[dict[str, Any]], int, list[str]]] = [
    ("messages", [USER], 0, []),
    ("messages", [USER, {"role": "assistant", "content": [{"type": "tool_use"}]}, BLOCKS], 1, ["out"]),
    ("messages", [USER, {"role": "assistant", "content": None}, *TOOLS], 1, ["a", "b"]),
    ("messages", [USER, {"role": "assistant", "content": None}, *TOOLS, {"role": "assistant"}, USER], 2, []),
    ("input", [USER, {"type": "reasoning"}, {"type": "function_call"}, OUTPUT], 1, ["out"]),
]


@pytest.mark.parametrize(("key", "items", "turn", "results"), CONVERSATIONS)
def test_a_request_tells_where_its_conversation_stands(
    key: str, items: list[dict[str, Any]], turn: int, results: list[str]
) -> None:
    request = received({key: items})
    assert (request.turn, request.results) == (turn, results)


def test_a_shell_command_is_asked_for_once_and_quoted_when_done() -> None:
    script = shell_then_done("touch x")
    asked = script(received({"messages": [USER]}))
    assert isinstance(asked, Reply)
    assert ShellCall("touch x") in asked.parts
    assert script(received({"messages": [USER, {"role": "assistant"}, BLOCKS]})) == Reply([Text("done: out")])


def received(document: dict[str, Any]) -> Received:
    raw = json.dumps(document).encode()
    return Received(number=1, connection=1, http="2", method="POST", path="/v1/messages", headers=(), raw=raw)
