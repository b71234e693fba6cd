"""Requests of the Chat Completions format, and what Lockgate itself answers to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.errors import WireError
from lockgate.events import Spot
from lockgate.wire.openai_chat import FORMAT
from tests.wire import chat_clients as clients

DOCUMENT: dict[str, Any] = {
    "model": "gpt-5",
    "stream": True,
    "messages": [
        {"role": "developer", "content": "Be good."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "result"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": "never"},
        {"role": "system", "content": "Again."},
        {"role": "function", "name": "g", "content": "older"},
        {"role": "critic", "content": "?"},
    ],
    "prediction": {"type": "content", "content": "guess"},
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "does f", "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "c", "description": "does c"}},
        {"type": "web_search"},
    ],
    "functions": [{"name": "g", "description": "does g"}],
    "unknown": {"kept": [1, 2.50]},
}


def test_a_request_says_what_it_asks() -> None:
    request = FORMAT.read_request(json.dumps(DOCUMENT).encode())
    assert (request.model, request.stream, request.tools) == ("gpt-5", True, ("f", "c", "g"))
    assert request.document == DOCUMENT
    assert request.raw == json.dumps(DOCUMENT).encode()


def test_texts_come_in_order() -> None:
    request = FORMAT.read_request(json.dumps(DOCUMENT).encode())
    assert list(request.texts()) == [
        Spot(("messages", 0, "content"), "system", "Be good."),
        Spot(("messages", 1, "content", 0, "text"), "user", "Look:"),
        Spot(("messages", 3, "content"), "tool", "result"),
        Spot(("messages", 4, "content", 0, "refusal"), "assistant", "no"),
        Spot(("messages", 4, "refusal"), "assistant", "never"),
        Spot(("messages", 5, "content"), "system", "Again."),
        Spot(("messages", 6, "content"), "tool", "older"),
        Spot(("messages", 7, "content"), "user", "?"),
        Spot(("prediction", "content"), "user", "guess"),
        Spot(("tools", 0, "function", "description"), "definition", "does f"),
        Spot(("tools", 1, "custom", "description"), "definition", "does c"),
        Spot(("functions", 0, "description"), "definition", "does g"),
    ]


def test_every_text_can_be_replaced_where_it_stands() -> None:
    request = FORMAT.read_request(json.dumps(DOCUMENT).encode())
    changed = request.with_values({spot.path: f"<{spot.text}>" for spot in request.texts()})
    assert [spot.text for spot in changed.texts()] == [f"<{spot.text}>" for spot in request.texts()]
    assert changed.document["unknown"] == DOCUMENT["unknown"]
    assert request.document == DOCUMENT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"model": "m"}', "'messages'"),
        (b'{"messages": {}}', "'messages'"),
        (b'{"messages": [], "model": 1}', "'model'"),
        (b'{"messages": [], "stream": "yes"}', "'stream'"),
        (b'{"messages": [], "messages": []}', "repeated"),
        (b'{"messages": [], "model": "\xff"}', "not UTF-8"),
        (b'{"messages": ' + b"[" * 5000, "not JSON|nested deeper"),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        FORMAT.read_request(body)


def test_odd_members_are_no_texts() -> None:
    odd = {
        "messages": [7, {"role": ["x"], "content": 5}, {"content": [3, {"type": "text"}]}],
        "tools": [{"type": []}],
        "functions": {},
    }
    assert list(FORMAT.read_request(json.dumps(odd).encode()).texts()) == []


def test_an_error_body_is_the_providers() -> None:
    client = clients.client_of(FORMAT.error_body("Rule 'x' says no."), "application/json", 400)
    with client, pytest.raises(clients.openai.BadRequestError, match="Rule 'x' says no") as caught:
        client.chat.completions.create(model="m", messages=[])
    assert caught.value.type == "invalid_request_error"
    assert json.loads(FORMAT.error_body("x", kind="rate_limit_error"))["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
def test_a_made_up_answer_is_a_complete_stream(options: dict[str, Any]) -> None:
    request = FORMAT.read_request(json.dumps({"model": "m", "messages": [], "stream": True, **options}).encode())
    content_type, body = FORMAT.answer(request, "Käse.")
    assert content_type.startswith("text/event-stream")
    assert clients.streamed(body) == {0: clients.Told(content="Käse.", finish="stop")}
    completion = clients.accumulated(body)
    assert completion.choices[0].message.content == "Käse."
    assert completion.id.startswith("chatcmpl-")
    assert (completion.usage is not None) == bool(options)
    reply = FORMAT.reply(request, streamed=True, hold_calls=True)
    assert b"".join(frame.raw for frame in [*reply.receive_data(body), *reply.receive_data(b"")]) == body


def test_a_made_up_answer_is_a_complete_document() -> None:
    request = FORMAT.read_request(b'{"model": "m", "messages": []}')
    content_type, body = FORMAT.answer(request, "Käse.")
    assert content_type == "application/json"
    assert clients.whole(body) == {0: clients.Told(content="Käse.", finish="stop")}
    assert json.loads(body)["usage"]["total_tokens"] == 0
    assert json.loads(FORMAT.answer(request, "x")[1])["id"] != json.loads(body)["id"]
