from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.errors import WireError
from lockgate.storage.said import Said, request_texts, spoken, texts_of
from tests.storage.records import comm

ANTHROPIC = "POST /v1/messages"
CHAT = "/v1/chat/completions"
RESPONSES = "POST /v1/responses"


def anthropic(*messages: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "system": "Be kind.",
        "messages": [{"role": role, "content": said} for role, said in messages],
    }


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "done"}]}
USE = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}
CHAT_CALL = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("endpoint", "document", "texts"),
    [
        (ANTHROPIC, anthropic(("user", "Hello")), [("user", "Hello")]),
        (ANTHROPIC, anthropic(("user", "Hello"), ("assistant", "Hi"), ("user", "List.")), [("user", "List.")]),
        (
            ANTHROPIC,
            anthropic(("user", "Hello"), ("assistant", [USE]), ("user", [RESULT, {"type": "text", "text": "And?"}])),
            [("tool", "done"), ("user", "And?")],
        ),
        (ANTHROPIC, anthropic(("user", "Hello"), ("assistant", "prefill {")), []),
        (
            CHAT,
            {
                "model": "m",
                "messages": [{"role": "user", "content": "Old"}, CHAT_CALL, {"role": "tool", "content": "ok"}],
            },
            [("tool", "ok")],
        ),
        (RESPONSES, {"model": "m", "instructions": "Be kind.", "input": "Hello"}, [("user", "Hello")]),
        (
            RESPONSES,
            {
                "model": "m",
                "input": [
                    {"role": "user", "content": "Old"},
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c", "output": "ok"},
                ],
            },
            [("tool", "ok")],
        ),
    ],
)
def test_a_request_says_what_is_new(endpoint: str, document: Any, texts: list[tuple[str, str]]) -> None:
    said = texts_of(comm("x", endpoint=endpoint, content=json.dumps(document).encode()))
    assert [(one.role, one.text) for one in said] == texts


def reply(*content: Any) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    whole = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    return json.dumps({**whole, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()


def test_a_reply_says_its_texts_thoughts_and_calls() -> None:
    call = {**USE, "input": {"command": 'echo "a"\nls', "limits": [1, {"deep": None}]}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    content = reply(thought, {"type": "text", "text": "Sure."}, call, USE)
    found = spoken(comm("x", type="RESPONSE", endpoint=ANTHROPIC, content=content))
    assert found.texts == (
        Said(role="thinking", text="Hm."),
        Said(role="assistant", text="Sure."),
        Said(role="call", text='Bash\ncommand: echo "a"\nls\nlimits: 1\ndeep: None'),
        Said(role="call", text="Bash\ncommand: ls"),
    )
    assert found.tools == ("Bash", "Bash")


@pytest.mark.parametrize(
    ("endpoint", "content"),
    [("GET /v1/models", b"{}"), ("/v1/messages/count_tokens", b'{"input_tokens": 1}'), (ANTHROPIC, None)],
)
def test_what_is_no_message_says_nothing(endpoint: str, content: bytes | None) -> None:
    assert texts_of(comm("x", type="RESPONSE", endpoint=endpoint, content=content)) == ()


def test_what_cannot_be_read_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        texts_of(comm("x", type="RESPONSE", endpoint=ANTHROPIC, content=b'"\xff'))


def test_all_texts_of_a_request_are_counted() -> None:
    content = json.dumps(anthropic(("user", "Hello"), ("assistant", "Hi"), ("user", "List."))).encode()
    assert list(request_texts(ANTHROPIC, content)) == ["Be kind.", "Hello", "Hi", "List."]
