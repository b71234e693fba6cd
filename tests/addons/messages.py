"""Frames of Anthropic's format, as a provider sends them."""

from __future__ import annotations

import json
from typing import Any

from lockgate.wire.anthropic import FORMAT

ASK = json.dumps({
    "model": "claude-x", "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": "hi"}],
    "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
}).encode()  # fmt: skip
WHOLE = json.dumps(json.loads(ASK) | {"stream": False}).encode()
"""The same request, for a reply that comes whole."""
PATH = "/v1/messages"


def frame(**document: Any) -> bytes:
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


START = frame(type="message_start", message={
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1},
})  # fmt: skip
STOP = frame(type="message_stop")


def text(index: int, said: str) -> list[bytes]:
    return [
        frame(type="content_block_start", index=index, content_block={"type": "text", "text": ""}),
        frame(type="content_block_delta", index=index, delta={"type": "text_delta", "text": said}),
        frame(type="content_block_stop", index=index),
    ]


def call(index: int, command: str, id: str = "toolu_1") -> list[bytes]:
    arguments = json.dumps({"command": command})
    half = len(arguments) // 2
    return [
        frame(
            type="content_block_start", index=index,
            content_block={"type": "tool_use", "id": id, "name": "Bash", "input": {}},
        ),
        *(frame(type="content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": part})
          for part in (arguments[:half], arguments[half:])),
        frame(type="content_block_stop", index=index),
    ]  # fmt: skip


def end(reason: str = "end_turn") -> list[bytes]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [frame(type="message_delta", delta=delta, usage={"output_tokens": 9}), STOP]


def stream(*parts: list[bytes], stop: str = "end_turn") -> bytes:
    """A whole streamed reply."""
    return b"".join([START, *(each for part in parts for each in part), *end(stop)])


def message_of(given: bytes) -> dict[str, Any]:
    """The message that a client reads from a stream; WireError when the stream is not whole."""
    reply = FORMAT.reply(FORMAT.read_request(ASK), streamed=True, hold_calls=False)
    reply.receive_data(given)
    reply.receive_data(b"")
    return json.loads(reply.message() or b"null")
