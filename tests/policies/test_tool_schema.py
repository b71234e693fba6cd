"""`tool_schema`: calls beside what the client declares, in every format; and what real clients do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lockgate.events import ToolCall
from lockgate.policies.base import Blocked
from lockgate.policies.schemas import KEPT, Unusable, ready
from lockgate.policies.tool_schema import ToolSchema
from lockgate.wire.whole import format_of, read_turn
from tests.policies.chains import exchange_of
from tests.policies.conversing import Call, Text, Wire, arguments, asking, every_wire, exchanged, rule, tool
from tests.recorded.recordings import load

NONE: dict[str, Any] = {}
SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["path"],
    "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}, "mode": {"enum": ["r", "w"]}},
}  # fmt: skip


@every_wire
@pytest.mark.parametrize(("given", "told"), [
    ({}, "required: path"),
    ({"path": 1}, "schema allows: path: type: string."),
    ({"path": "a", "size": 1}, "additionalProperties: size"),
    ({"path": "a", "mode": "x"}, "schema allows: mode: enum: r, w."),
    ({"path": "a", "lines": "1"}, "schema allows: lines: type: integer."),
])  # fmt: skip
async def test_arguments_that_do_not_fit_are_refused(wire: Wire, given: dict[str, Any], told: str) -> None:
    asked = asking(wire, tools=[*wire.document["tools"], tool(wire, "Read", SCHEMA)])
    said = await exchanged(asked, rule("tool_schema"), Text("I look."), Call("Read", given))
    assert not said.calls
    assert told in said.text
    assert said.decisions[-1].action == "blocked"
    assert said.score == 0.4
    flagged = await exchanged(asked, rule("tool_schema", unfit="alert"), Text("I look."), Call("Read", given))
    assert arguments(flagged.calls[0]) == given
    assert flagged.score == 0.4
    ignored = await exchanged(asked, rule("tool_schema", unfit="allow"), Text("I look."), Call("Read", given))
    assert ignored.score is None


@every_wire
async def test_what_fits_passes_byte_for_byte(wire: Wire) -> None:
    asked = asking(wire, tools=[*wire.document["tools"], tool(wire, "Read", SCHEMA)])
    calls = Call("Read", {"path": "a", "lines": 3}), Call("Bash", {"command": "ls"})
    said = await exchanged(asked, rule("tool_schema"), Text("I look."), *calls)
    assert [call.name for call in said.calls] == ["Read", "Bash"]
    assert said.score is None


@every_wire
async def test_a_tool_that_is_not_there(wire: Wire) -> None:
    said = await exchanged(
        wire, rule("tool_schema"), Text("I look."), Call("Steal", {}), Call("Bash", {"command": "ls"})
    )
    assert [call.name for call in said.calls] == ["Bash"]
    assert "There is no tool Steal in this conversation. There are: Bash." in said.text
    assert said.order == ["TextDelta", "ToolCall"]
    unseen = await exchanged(wire, rule("tool_schema", ignore=["st*"]), Text("I look."), Call("Steal", {}))
    assert [call.name for call in unseen.calls] == ["Steal"]


@every_wire
@pytest.mark.parametrize(
    "given", ['{"command": "ls"', "[1]", '{"command": "ls"} {}', '{"command": "a", "command": "b"}']
)
async def test_arguments_that_are_no_object(wire: Wire, given: str) -> None:
    if not wire.streamed and wire.name == "anthropic":
        return  # a whole reply of this format holds an object, or cannot be read
    said = await exchanged(wire, rule("tool_schema"), Text("I look."), Call("Bash", given))
    assert said.decisions[-1].action == "blocked"
    assert said.score == 0.6
    assert "printf" in arguments(said.calls[0])["command"]


async def fault(document: dict[str, Any], call: ToolCall, *, format: str = "openai-responses", **options: Any) -> str:
    """Why the call is refused or flagged; "" where nothing is said of it."""
    request = format_of(format).read_request(json.dumps({"model": "m", "max_tokens": 1, **document}).encode())
    found = rule("tool_schema", **options)
    policy = ToolSchema(found.options, found.shared)
    try:
        await policy.on_tool_call(call, exchange_of(request, format=format))
    except Blocked as refusal:
        return f"refused: {refusal.reason}"
    return policy.reason


def call_of(name: str, given: Any = None, *, custom: bool = False) -> ToolCall:
    text = given if isinstance(given, str) else json.dumps(given or {})
    return ToolCall(block=0, id="c", name=name, arguments=text, custom=custom)


FUNCTION = {"type": "function", "name": "look", "parameters": SCHEMA}
GRAMMAR = {
    "type": "custom",
    "name": "exec",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"},
}


@pytest.mark.parametrize(("document", "call"), [
    ({"tools": [GRAMMAR]}, call_of("exec", "text(await tools.exec_command({}))", custom=True)),
    ({"tools": [{"type": "local_shell"}]}, call_of("local_shell", {"command": ["ls"]})),
    ({"tools": [{"type": "apply_patch"}]}, call_of("apply_patch", {"type": "update_file"})),
    ({"tools": [{"type": "computer_use_preview"}]}, call_of("computer", {"type": "click"})),
    ({"tools": [{"type": "namespace", "name": "mcp__box", "tools": [FUNCTION]}]}, call_of("look", {"path": "a"})),
    ({"tools": [{"type": "namespace", "name": "mcp__box", "tools": [FUNCTION]}]},
     call_of("mcp__box__look", {"path": "a"})),
    ({"tools": [{"type": "namespace", "name": "box", "tools": [FUNCTION]}]}, call_of("box.look", {"path": "a"})),
    ({"tools": [{"type": "function", "name": "look"}]}, call_of("look", {"whatever": 1})),
    ({"tools": [{"type": "function", "name": "look", "parameters": NONE}]}, call_of("look", "")),
    ({"input": [{"type": "additional_tools", "tools": [FUNCTION]}]}, call_of("look", {"path": "a"})),
    ({"input": [{"type": "tool_search_output", "tools": [FUNCTION]}]}, call_of("look", {"path": "a"})),
    ({"tools": [{"type": "namespace", "name": "a", "tools": [FUNCTION]},
                {"type": "namespace", "name": "b", "tools": [{"type": "function", "name": "look"}]}]}, call_of("look")),
])  # fmt: skip
async def test_ways_to_declare_tools_of_responses(document: dict[str, Any], call: ToolCall) -> None:
    assert await fault(document, call) == ""
    assert await fault(document, replace(call, name="other")) != ""


@pytest.mark.parametrize("document", [
    {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"prompt": {"id": "pmpt_1"}},
    {"tools": [{"type": "tool_search", "execution": "client", "parameters": NONE}]},
    {"tools": [{**FUNCTION, "defer_loading": True}]},
])  # fmt: skip
async def test_a_tool_that_may_be_known_elsewhere_is_not_refused(document: dict[str, Any]) -> None:
    assert (await fault({"input": "hi", **document}, call_of("new"))).startswith("undeclared: There is no tool new")
    assert "refused: unfit" in await fault({"tools": [FUNCTION], **document, **{"tools": [FUNCTION]}}, call_of("look"))


async def test_ways_to_declare_tools_of_messages() -> None:
    tools = [{"type": "bash_20250124", "name": "bash"}, {"type": "web_search_20250305", "name": "web_search"}]
    searched = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "tool_reference", "tool_name": "later"}],
    }
    provider = {
        "type": "tool_search_tool_result",
        "tool_use_id": "s",
        "content": {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "found"}],
        },
    }
    document = {"tools": tools, "messages": [{"role": "user", "content": [searched, provider]}]}
    for name in ("bash", "later", "found"):
        assert await fault(document, call_of(name, {"restart": True}), format="anthropic") == ""
    assert "refused: undeclared" in await fault(document, call_of("never"), format="anthropic")
    deferred = {"name": "mcp__a__b", "input_schema": SCHEMA, "defer_loading": True}
    loaded: dict[str, Any] = {"messages": [], "tools": [deferred, {"name": "ToolSearch", "input_schema": NONE}]}
    assert await fault(loaded, call_of("mcp__a__b", {"path": "x"}), format="anthropic") == ""
    assert "refused: unfit" in await fault(loaded, call_of("mcp__a__b"), format="anthropic")
    assert (await fault(loaded, call_of("mcp__a__c"), format="anthropic")).startswith("undeclared")


async def test_older_functions_and_free_text_of_chat() -> None:
    functions: dict[str, Any] = {"messages": [], "functions": [{"name": "look", "parameters": SCHEMA}]}
    assert await fault(functions, call_of("look", {"path": "a"}), format="openai-chat") == ""
    assert "refused: unfit" in await fault(functions, call_of("look"), format="openai-chat")
    custom: dict[str, Any] = {"messages": [], "tools": [{"type": "custom", "custom": {"name": "write"}}]}
    assert await fault(custom, call_of("write", "anything {", custom=True), format="openai-chat") == ""
    assert "takes arguments in JSON" in await fault(
        functions, call_of("look", "free", custom=True), format="openai-chat"
    )


def doubling(levels: int) -> dict[str, Any]:
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**parts, f"a{levels}": {"type": "object"}}, "$ref": "#/$defs/a0"}


def hidden(levels: int) -> dict[str, Any]:
    """The same where names of properties look like keywords for data."""
    document = doubling(levels)
    return {"$defs": document["$defs"], "properties": {"default": {"$ref": "#/$defs/a0"}}}


def chained(length: int) -> dict[str, Any]:
    return {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize("schema", [
    {"$ref": "https://schemas.example/a.json"}, {"type": "strin"}, {"properties": {"path": {"pattern": "(?<=a)b"}}},
    {"$schema": "https://schemas.example/meta"}, {"properties": {"path": {"pattern": "((a{1,1000}){1,1000}){1,1000}"}}},
    {"properties": {"path": {"type": "string", "required": True}}}, {"$ref": "#/$defs/none"}, doubling(40), hidden(40),
    chained(100_000), chained(15_000), {"enum": ["x" * 100] * 10_000}, {"type": 5}, {"properties": []}, {"$ref": 5},
])  # fmt: skip
async def test_a_schema_that_cannot_be_used_refuses_nothing_by_default(schema: dict[str, Any]) -> None:
    document = {"tools": [{"type": "function", "name": "look", "parameters": schema}]}
    assert (await fault(document, call_of("look", {"path": "a"}))).startswith("unusable: ")
    assert (await fault(document, call_of("look", {"path": "a"}), unusable="deny")).startswith("refused: unusable")


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize("schema", [
    {"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"type": "object"}]}, TREE, doubling(8), {},
    {"$schema": "https://json-schema.org/draft/2020-12/schema"}, {"properties": {"path": {"format": "file-path"}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"p": {"type": "string"}},
     "properties": {"path": {"$ref": "#/definitions/p"}}},
    {"type": "object", "properties": {"path": {"type": "string", "nullable": True, "encrypted": True}}},
])  # fmt: skip
async def test_unusual_schemas_that_can_be_used(schema: dict[str, Any]) -> None:
    document = {"tools": [{"type": "function", "name": "look", "parameters": schema}]}
    assert await fault(document, call_of("look", {"path": "a"})) == ""


async def test_a_tree_is_followed_to_its_leaves() -> None:
    document = {"tools": [{"type": "function", "name": "look", "parameters": TREE}]}
    leaf: dict[str, Any] = {"name": 1}
    for _ in range(60):
        leaf = {"name": "x", "parts": [leaf]}
    assert (await fault(document, call_of("look", leaf))).endswith(": type: string.")


async def test_huge_and_deep_arguments() -> None:
    document = {"tools": [{"type": "function", "name": "look", "parameters": {"required": ["path"]}}]}
    assert await fault(document, call_of("look", {"path": "x" * 5_000_000})) == ""
    assert "required: path" in await fault(document, call_of("look", {"text": "x" * 5_000_000}))
    deep = '{"path": ' + "[" * 10_000 + "]" * 10_000 + "}"
    assert (await fault(document, call_of("look", deep))).startswith("refused: unreadable")
    costly = {"tools": [{"type": "function", "name": "look", "parameters": doubling(12)}]}
    assert "too much in the arguments" in await fault(costly, call_of("look", {"path": [1] * 50_000}))


def test_schemas_are_kept_ready_within_bounds() -> None:
    first = ready(SCHEMA)
    assert ready(json.loads(json.dumps(SCHEMA))) is first
    for number in range(KEPT):
        ready({"maxProperties": number})
    assert ready(SCHEMA) is not first
    for _ in range(2):  # what cannot be used is remembered too
        with pytest.raises(Unusable):
            ready({"type": "strin"})


@pytest.mark.parametrize(("name", "format"), [("claude", "anthropic"), ("codex", "openai-responses")])
async def test_no_call_of_a_recorded_session_is_refused(name: str, format: str) -> None:
    found, seen = rule("tool_schema"), 0
    unloaded = {"spawn_agent", "wait_agent"}  # which the scripted model calls without having searched for them
    for each in load(name).exchanges:
        if each.method != "POST" or each.status != 200:
            continue
        request = format_of(format).read_request(each.request_body)
        turn, _ = read_turn(format, request, each.response_body)
        policy = ToolSchema(found.options, found.shared)
        for call in turn.calls:
            await policy.on_tool_call(call, exchange_of(request, format=format))
            assert policy.score == (
                0.2 if call.name in unloaded and not call.custom and "tools" in request.document else None
            )
            seen += 1
    assert seen > 40
