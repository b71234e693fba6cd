"""The calls and answers of a conversation, in one form for every format."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.wire.calls import Answered, Called, parts_of

LS = '{"command":"ls"}'
CALLED = Called(id="c1", name="Bash", arguments=LS)
ANSWERED = Answered(id="c1", text="a\nb")
TEXTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("format", "message", "parts"),
    [
        ("anthropic", {"role": "assistant", "content": [
            {"type": "text"}, {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "ls"}}]},
         (CALLED,)),
        ("anthropic", {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": TEXTS}]}, (ANSWERED,)),
        ("anthropic", {"role": "user", "content": "hello"}, ()),
        ("anthropic", {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "c1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "c1", "content": []}]},
         (Called(id="c1", name="web_search", arguments='{"query":"x"}'), Answered(id="c1", text=""))),
        ("openai-chat", {"role": "assistant", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": LS}}]}, (CALLED,)),
        ("openai-chat", {"role": "assistant", "tool_calls": [
            {"id": "c1", "type": "custom", "custom": {"name": "exec", "input": "x"}}]},
         (Called(id="c1", name="exec", arguments="x", custom=True),)),
        ("openai-chat", {"role": "tool", "tool_call_id": "c1", "content": TEXTS}, (ANSWERED,)),
        ("openai-responses", {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": LS},
         (CALLED,)),
        ("openai-responses", {"type": "function_call_output", "call_id": "c1", "output": "a\nb"}, (ANSWERED,)),
        ("openai-responses", {"type": "custom_tool_call", "call_id": "c1", "name": "exec", "input": "x"},
         (Called(id="c1", name="exec", arguments="x", custom=True),)),
        ("openai-responses", {"type": "local_shell_call", "id": "i", "call_id": "c1", "action": {"command": ["ls"]}},
         (Called(id="c1", name="local_shell", arguments='{"command":["ls"]}'),)),
        ("openai-responses", {"type": "web_search_call", "id": "c1", "action": {"query": "x"}},
         (Called(id="c1", name="web_search", arguments='{"query":"x"}'), Answered(id="c1", text=""))),
        ("openai-responses", {"role": "user", "content": "hello"}, ()),
        ("openai-responses", "no object", ()),
    ],
)  # fmt: skip
def test_parts(format: str, message: Any, parts: Any):
    assert parts_of(format, message) == parts
