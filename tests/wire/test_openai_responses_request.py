"""Requests of the Responses API: which texts and tools are in them."""

from __future__ import annotations

import json

import pytest

from lockgate.errors import WireError
from lockgate.events import (
    Spot,
)
from lockgate.wire.openai_responses import FORMAT
from tests.wire.responses import Doc

# -- requests


CODEX: Doc = {
    "model": "gpt-6.1-sol",
    "instructions": "You are",
    "stream": True,
    "store": False,
    "input": [
        {
            "type": "additional_tools",
            "role": "developer",
            "tools": [
                {"type": "custom", "name": "exec", "description": "Run", "format": {"type": "text"}},
                {
                    "type": "namespace",
                    "name": "collab",
                    "description": "Agents",
                    "tools": [{"type": "function", "name": "spawn", "description": "Start", "parameters": {}}],
                },
            ],
        },
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]},
        {"role": "user", "content": "Hello"},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "e"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "files"},
        {"type": "function_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "more"}]},
        {"type": "shell_call_output", "call_id": "e", "output": [{"stdout": "out", "stderr": "err"}]},
    ],
    "tools": [{"type": "web_search"}, {"type": "function", "name": "f", "description": "Does f"}],
}


def test_texts_of_a_request_in_order() -> None:
    request = FORMAT.read_request(json.dumps(CODEX).encode())
    assert [(spot.role, spot.text) for spot in request.texts()] == [
        ("system", "You are"),
        ("definition", "Run"),
        ("definition", "Agents"),
        ("definition", "Start"),
        ("system", "Rules"),
        ("user", "Hello"),
        ("assistant", "Yes"),
        ("tool", "files"),
        ("tool", "more"),
        ("tool", "out"),
        ("tool", "err"),
        ("definition", "Does f"),
    ]


def test_every_text_can_be_replaced_where_it_stands() -> None:
    request = FORMAT.read_request(json.dumps(CODEX).encode())
    changed = request.with_values({spot.path: spot.text.upper() for spot in request.texts()})
    assert [spot.text for spot in changed.texts()] == [spot.text.upper() for spot in request.texts()]
    assert request.document == CODEX


def test_tools_of_a_request_are_found_where_codex_puts_them() -> None:
    request = FORMAT.read_request(json.dumps(CODEX).encode())
    assert request.tools == ("web_search", "f", "exec", "spawn")
    assert (request.model, request.stream) == ("gpt-6.1-sol", True)


def test_a_plain_request() -> None:
    request = FORMAT.read_request(b'{"model": "m", "input": "hi", "prompt": {"id": "p", "variables": {"v": "x"}}}')
    assert list(request.texts()) == [Spot(("prompt", "variables", "v"), "user", "x"), Spot(("input",), "user", "hi")]
    assert (request.stream, request.tools) == (False, ())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"input": 5}', b'{"model":"a","model":"b"}', b"[" * 5000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        FORMAT.read_request(body)
