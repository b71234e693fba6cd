"""Messages of each format, block by block; and anything else, without a failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.wire.blocks import HIDDEN, TOO_DEEP, blocks_of

FORMATS = ("anthropic", "openai-chat", "openai-responses")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("type", "role", "content", "text", "tool_calls", "source", "output", "summary", "function")
            ),
            inner
            | st.sampled_from(("tool_use", "image", "thinking", "message", "reasoning", "function_call", "assistant")),
            max_size=5,
        )
    ),
    max_leaves=20,
)


def told(format: str, message: Any) -> list[tuple[str, ...]]:
    """Kind, role, name, call id, text and source of each block, without what is empty."""
    return [
        tuple(each for each in (b.kind, b.role, b.name, b.call_id, b.text, b.source) if each)
        for b in blocks_of(format, message)
    ]


def test_anthropic():
    said: Any = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "redacted_thinking", "data": "…"},
        {"type": "text", "text": "yes"},
        {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "ls"}},
        {"type": "server_tool_use", "id": "c2", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "c2", "content": [{"type": "web_search_result", "url": "u"}]},
    ]
    found = told("anthropic", {"role": "assistant", "content": said})
    assert found[:4] == [
        ("thinking", "assistant", "hm"),
        ("thinking", "assistant", "(hidden by the provider)"),
        ("text", "assistant", "yes"),
        ("call", "assistant", "Bash", "c1", '{\n  "command": "ls"\n}'),
    ]
    assert found[4][:4] == ("call", "assistant", "web_search", "c2")
    assert found[5][:3] == ("result", "tool", "c2")
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a"}, picture]}
    assert told("anthropic", {"role": "user", "content": [result, "loose"]}) == [
        ("result", "tool", "c1", "a"),
        ("image", "tool", "c1", "data:image/png;base64,aGk="),
        ("text", "user", "loose"),
    ]


def test_chat():
    calls = [
        {"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "custom": {"name": "g", "input": "x"}},
    ]
    message = {"role": "assistant", "content": "yes", "reasoning_content": "hm", "tool_calls": calls}
    assert told("openai-chat", message) == [
        ("thinking", "assistant", "hm"),
        ("text", "assistant", "yes"),
        ("call", "assistant", "f", "c1", '{"a":1}'),
        ("call", "assistant", "g", "c2", "x"),
    ]
    assert told("openai-chat", {"role": "tool", "tool_call_id": "c1", "content": "out"}) == [
        ("result", "tool", "c1", "out")
    ]
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    assert told("openai-chat", {"role": "user", "content": [picture]}) == [
        ("image", "user", "https://example.org/x.png")
    ]


def test_responses():
    assert told("openai-responses", {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}) == [
        ("thinking", "assistant", "hm")
    ]
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    assert told("openai-responses", call) == [("call", "assistant", "f", "c1", "{}")]
    output = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "out"}]}
    assert told("openai-responses", output) == [("result", "tool", "c1", "out")]
    shell = {"type": "local_shell_call", "call_id": "c2", "action": {"command": ["ls"]}}
    assert told("openai-responses", shell)[0][:4] == ("call", "assistant", "local_shell_call", "c2")
    shown = {"type": "shell_call_output", "call_id": "c3", "output": [{"stdout": "a", "stderr": "b", "outcome": {}}]}
    assert told("openai-responses", shown) == [("result", "tool", "c3", "a\nb")]
    hosted = {"type": "mcp_call", "id": "m1", "name": "find", "arguments": "{}", "output": "here"}
    assert told("openai-responses", hosted) == [
        ("call", "assistant", "find", "m1", "{}"), ("result", "tool", "m1", "here"),
    ]  # fmt: skip
    assert told("openai-responses", {"type": "reasoning", "summary": [], "encrypted_content": "x"}) == [
        ("thinking", "assistant", HIDDEN)
    ]
    assert told("openai-responses", {"role": "user", "content": "hello"}) == [("text", "user", "hello")]
    assert told("openai-responses", {"type": "compaction", "x": 1})[0][:2] == ("other", "compaction")


@given(JSON)
def test_anything_is_told(message: Any):
    for format in FORMATS:
        assert all(isinstance(each.text, str) for each in blocks_of(format, message))


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_nested_too_deep_is_said(format: str):
    message: Any = {"type": "x"}
    for _ in range(20_000):
        message = {"type": "tool_result", "role": "user", "tool_use_id": "c", "content": [message]}
    assert TOO_DEEP in [each.text for each in blocks_of(format, message)]
