"""Anthropic requests: what is asked, and every text that the model reads in it."""

from __future__ import annotations

import json

import pytest

from lockgate.errors import WireError
from lockgate.wire.anthropic import FORMAT
from tests.wire.anthropic_replies import (
    SIGNATURE,
    Document,
)

ASKED: Document = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 1024,
    "stream": True,
    "x_unknown": {"z": [1, 2.5]},
    "system": [{"type": "text", "text": "S1", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "S2"}],
    "messages": [
        {"role": "user", "content": "U1"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "secret", "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": "enc"},
                {"type": "text", "text": "A1"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls", "n": 1, "a": ["x"]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "R1"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [
                        {"type": "text", "text": "R2"},
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
                        {
                            "type": "search_result",
                            "title": "R3",
                            "source": "https://R4",
                            "content": [{"type": "text", "text": "R5"}],
                        },
                    ],
                },
                {
                    "type": "document",
                    "title": "D1",
                    "source": {"type": "text", "media_type": "text/plain", "data": "D2"},
                },
                {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "D3"}]}},
                {"type": "text", "text": "U2"},
            ],
        },
        {"role": "system", "content": "S3"},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "bash_code_execution_tool_result",
                    "content": {"type": "bash_code_execution_result", "stdout": "R6"},
                },
                {"type": "mcp_tool_result", "content": [{"type": "text", "text": "R7"}]},
                {
                    "type": "web_search_tool_result",
                    "content": [{"type": "web_search_result", "encrypted_content": "e"}],
                },
                {"type": "compaction", "content": "sum", "signature": "s"},
            ],
        },
    ],
    "tools": [
        {
            "name": "Bash",
            "description": "T1",
            "input_schema": {
                "type": "object",
                "properties": {
                    "command": {"type": "string", "description": "T2"},
                    "description": {"type": "string", "description": "T3"},
                },
                "anyOf": [{"description": "T4"}],
            },
        },
        {"type": "web_search_20250305", "name": "web_search"},
    ],
}


def test_a_request_is_read():
    body = json.dumps(ASKED).encode()
    request = FORMAT.read_request(body)
    assert (request.raw, request.document, request.model) == (body, ASKED, "claude-sonnet-4-5")
    assert (request.stream, request.tools) == (True, ("Bash", "web_search"))


def test_texts_of_a_request_in_order_with_who_said_them():
    request = FORMAT.read_request(json.dumps(ASKED).encode())
    by_role: dict[str, list[str]] = {}
    for spot in request.texts():
        by_role.setdefault(spot.role, []).append(spot.text)
    assert by_role == {
        "system": ["S1", "S2", "S3"],
        "user": ["U1", "D1", "D2", "D3", "U2"],
        "assistant": ["A1", "ls", "x"],
        "tool": ["R1", "R2", "R3", "https://R4", "R5", "R6", "R7"],
        "definition": ["T1", "T2", "T3", "T4"],
    }


def test_each_text_of_a_request_can_be_replaced_where_it_stands():
    request = FORMAT.read_request(json.dumps(ASKED).encode())
    spots = list(request.texts())
    changed_request = request.with_values({spot.path: f"<{spot.text}>" for spot in spots})
    assert [spot.text for spot in changed_request.texts()] == [f"<{spot.text}>" for spot in spots]
    assert request.document == ASKED
    assert changed_request.with_values({spot.path: spot.text for spot in spots}).document == ASKED


def test_texts_of_a_request_of_plain_strings():
    request = FORMAT.read_request(
        b'{"model":"m","system":"S","messages":[{"role":"user","content":"U"}],"stream":false}'
    )
    assert [(spot.path, spot.role, spot.text) for spot in request.texts()] == [
        (("system",), "system", "S"),
        (("messages", 0, "content"), "user", "U"),
    ]
    assert (request.stream, request.tools) == (False, ())


def test_odd_shapes_in_a_request_are_left_to_the_provider():
    odd = {"model": "m", "system": 5, "messages": [None, {"role": 1, "content": [[], {}, "x"]}], "tools": [{"name": 5}]}
    assert list(FORMAT.read_request(json.dumps(odd).encode()).texts()) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b"{}", "`model` as a string"),
        (b'{"model":1}', "`model` as a string"),
        (b'{"model":"m"}', "`messages` as a list"),
        (b'{"model":"m","messages":{}}', "`messages` as a list"),
        (b'{"model":"m","messages":[],"stream":"true"}', "`stream` as true or false"),
        (b'{"model":"m","messages":[],"stream":1}', "`stream` as true or false"),
        (b'{"model":"m","messages":[],"model":"n"}', "the key 'model' is repeated"),
        (b'{"model":"m","messages":' + b"[" * 1000 + b"]" * 1000 + b"}", "nested deeper"),
    ],
)
def test_a_request_that_cannot_be_read_is_an_error_that_says_why(body: bytes, says: str):
    with pytest.raises(WireError, match=says):
        FORMAT.read_request(body)
