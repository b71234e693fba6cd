"""`tool_strip`: requests of each format without some of their tools, in a form that providers take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.policies.without_tools import PLACEHOLDER
from lockgate.wire.whole import format_of
from tests.policies.chains import exchange_of, pipeline_of
from tests.policies.conversing import Call, Text, Wire, asking, every_wire, exchanged, rule, tool
from tests.recorded.recordings import load

OBJECT = {"type": "object"}


@every_wire
async def test_tools_are_taken_out_and_calls_of_them_refused(wire: Wire) -> None:
    names = ["Read", "mcp__mail__send", "mcp__docs__find"]
    asked = asking(wire, tools=[*wire.document["tools"], *(tool(wire, name, OBJECT) for name in names)])
    strip = rule("tool_strip", tools=["MCP__*"], keep=["mcp__docs__*"])
    calls = Call("mcp__mail__send", {}), Call("mcp__docs__find", {}), Call("Bash", {"command": "ls"})
    said = await exchanged(asked, strip, Text("So."), *calls)
    assert (
        said.request.document
        == asking(
            asked, tools=[*wire.document["tools"], tool(wire, "Read", OBJECT), tool(wire, "mcp__docs__find", OBJECT)]
        ).document
    )
    assert [call.name for call in said.calls] == ["mcp__docs__find", "Bash"]
    assert "The tool mcp__mail__send is not available here." in said.text


@every_wire
async def test_nothing_changes_where_no_tool_is_named(wire: Wire) -> None:
    said = await exchanged(wire, rule("tool_strip", tools=["Other"]), Text("So."), Call("Bash", {"command": "ls"}))
    assert said.request.raw == wire.body
    assert [call.name for call in said.calls] == ["Bash"]


async def out(format: str, document: dict[str, Any], *tools: str) -> dict[str, Any]:
    """What else than the model is left of the document."""
    body = {"model": "m", **({"max_tokens": 1} if format == "anthropic" else {}), **document}
    request = format_of(format).read_request(json.dumps(body).encode())
    made = await pipeline_of(rule("tool_strip", tools=list(tools)), x=exchange_of(request, format=format)).request(
        request
    )
    assert format_of(format).read_request(json.dumps(dict(made.document)).encode())
    return {key: value for key, value in made.document.items() if key not in ("model", "max_tokens")}


def named(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "input_schema": OBJECT, **more} for name in names]


SAID: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
CALLED: list[dict[str, Any]] = [
    *SAID,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
]


@pytest.mark.parametrize(("given", "expected"), [
    ({"tools": named("a", "b"), "tool_choice": {"type": "tool", "name": "a", "disable_parallel_tool_use": True}},
     {"tools": named("b"), "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
    ({"tools": named("a", "b"), "tool_choice": {"type": "tool", "name": "b"}},
     {"tools": named("b"), "tool_choice": {"type": "tool", "name": "b"}}),
    ({"tools": named("a"), "tool_choice": {"type": "any"}}, {}),
    ({"tools": named("a"), "messages": CALLED},
     {"tools": [PLACEHOLDER], "tool_choice": {"type": "none"}, "messages": CALLED}),
    ({"tools": [*named("a"), *named("b", defer_loading=True)]},
     {"tools": [*named("b", defer_loading=True), PLACEHOLDER]}),
])  # fmt: skip
async def test_choices_of_messages(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await out("anthropic", {"messages": SAID, **given}, "a") == {"messages": SAID, **expected}


async def test_references_to_a_tool_that_is_gone() -> None:
    def references(*names: str) -> list[dict[str, Any]]:
        return [{"type": "tool_reference", "tool_name": name} for name in names]

    def messages(client: list[dict[str, Any]], *provider: str) -> list[dict[str, Any]]:
        found = {"type": "tool_search_tool_search_result", "tool_references": references(*provider)}
        return [
            {"role": "assistant", "content": [
                {"type": "tool_search_tool_result", "tool_use_id": "s", "content": found}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": client}]},
            {"role": "user", "content": "so"},
        ]  # fmt: skip

    given = {"tools": named("a", "b", "c"), "messages": messages(references("b", "a"), "a", "c", "a")}
    told = [*references("b"), {"type": "text", "text": "The tool a is not available here."}]
    assert await out("anthropic", given, "a") == {"tools": named("b", "c"), "messages": messages(told, "c")}


def functions(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name}} for name in names]


@pytest.mark.parametrize(("given", "expected"), [
    ({"tools": functions("a", "b"), "tool_choice": functions("a")[0]},
     {"tools": functions("b"), "tool_choice": "auto"}),
    ({"tools": functions("a", "b"), "tool_choice": "required"}, {"tools": functions("b"), "tool_choice": "required"}),
    ({"tools": functions("a"), "tool_choice": "required", "parallel_tool_calls": False}, {}),
    ({"tools": functions("a", "b"), "tool_choice": {
        "type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": functions("a", "b")}}},
     {"tools": functions("b"), "tool_choice": {
         "type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": functions("b")}}}),
    ({"tools": functions("a", "b"), "tool_choice": {
        "type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": functions("a")}}},
     {"tools": functions("b"), "tool_choice": "none"}),
    ({"functions": [{"name": "a"}, {"name": "b"}], "function_call": {"name": "a"}},
     {"functions": [{"name": "b"}], "function_call": "auto"}),
    ({"functions": [{"name": "a"}], "function_call": {"name": "a"}}, {}),
])  # fmt: skip
async def test_choices_of_chat(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await out("openai-chat", {"messages": SAID, **given}, "a") == {"messages": SAID, **expected}


NONE: list[Any] = []
A, B = ({"type": "function", "name": name, "parameters": OBJECT} for name in "ab")
SPACE: dict[str, Any] = {"type": "namespace", "name": "box"}


@pytest.mark.parametrize(("given", "expected"), [
    ({"tools": [A, B], "tool_choice": {"type": "function", "name": "a"}}, {"tools": [B], "tool_choice": "auto"}),
    ({"tools": [A], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ({"tools": [A, B], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
        {"type": "function", "name": "a"}, {"type": "function", "name": "b"}]}},
     {"tools": [B], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
         {"type": "function", "name": "b"}]}}),
    ({"tools": [B, {"type": "web_search", "filters": None}], "tool_choice": {"type": "web_search"}},
     {"tools": [B], "tool_choice": "auto"}),
    ({"tools": [B, {"type": "mcp", "server_label": "mail", "server_url": "https://m.test"}]}, {"tools": [B]}),
    ({"tools": [{**SPACE, "tools": [A, B]}]}, {"tools": [{**SPACE, "tools": [B]}]}),
    ({"tools": [{**SPACE, "tools": [A]}, B]}, {"tools": [B]}),
    ({"input": [{"type": "additional_tools", "tools": [{**SPACE, "tools": [A]}, A, B]}, *SAID]},
     {"input": [{"type": "additional_tools", "tools": [B]}, *SAID]}),
    ({"input": [{"type": "additional_tools", "tools": [A]}, *SAID], "tool_choice": "auto"}, {"input": SAID}),
    ({"input": [*SAID, {"type": "tool_search_output", "tools": [A]}], "tools": [B]},
     {"input": [*SAID, {"type": "tool_search_output", "tools": NONE}], "tools": [B]}),
])  # fmt: skip
async def test_choices_of_responses(given: dict[str, Any], expected: dict[str, Any]) -> None:
    document = {"input": SAID, **given}
    assert await out("openai-responses", document, "a", "web_search*", "mail") == {"input": SAID, **expected}


async def test_one_of_two_namespaces() -> None:
    given = {"input": SAID, "tools": [{**SPACE, "tools": [A]}, {**SPACE, "name": "other", "tools": [A]}]}
    assert await out("openai-responses", given, "box/*") == {"input": SAID, "tools": given["tools"][1:]}


@pytest.mark.parametrize(("name", "format"), [("claude", "anthropic"), ("codex", "openai-responses")])
async def test_recorded_sessions_lose_the_tool_and_nothing_else(name: str, format: str) -> None:
    strip, seen = rule("tool_strip", tools=["Edit", "apply_patch", "collaboration/*"]), 0
    for each in load(name).exchanges:
        if each.method != "POST" or each.status != 200:
            continue
        request = format_of(format).read_request(each.request_body)
        made = await pipeline_of(strip, x=exchange_of(request, format=format)).request(request)
        if made is request:
            continue
        seen += 1
        same = set(made.document) - {"tools", "input"}
        assert {key: made.document[key] for key in same} == {key: request.document[key] for key in same}
        assert set(made.document) == set(request.document)
        assert not {"Edit", "apply_patch", "spawn_agent"} & set(format_of(format).read_request(
            json.dumps(dict(made.document)).encode()).tools)  # fmt: skip
    assert seen > 40


SERVERS = [{"type": "url", "name": name, "url": "https://x.example"} for name in ("web", "docs")]


@pytest.mark.parametrize("globs", [("mcp__*",), ("web/*",), ("mcp__web__*",)])
async def test_servers_that_the_provider_asks(globs: tuple[str, ...]) -> None:
    toolsets = [{"type": "mcp_toolset", "mcp_server_name": one["name"]} for one in SERVERS]
    given = {"messages": SAID, "tools": [*named("b"), *toolsets], "mcp_servers": SERVERS}
    left = [0] if globs == ("mcp__*",) else [0, 2]
    expected: dict[str, Any] = {"messages": SAID, "tools": [given["tools"][at] for at in left]}
    if len(left) > 1:
        expected["mcp_servers"] = SERVERS[1:]
    assert await out("anthropic", given, *globs) == expected
    hosted = [{"type": "mcp", "server_label": one["name"], "server_url": "https://x.example"} for one in SERVERS]
    left_hosted = {"tools": hosted[1:]} if len(left) > 1 else {}
    assert await out("openai-responses", {"input": "x", "tools": hosted}, *globs) == {"input": "x", **left_hosted}


async def test_a_search_of_the_provider_that_is_no_tool() -> None:
    given: dict[str, Any] = {"messages": SAID, "web_search_options": {}}
    assert await out("openai-chat", given, "web_search*") == {"messages": SAID}
    assert await out("openai-chat", given, "mcp__*") == given
