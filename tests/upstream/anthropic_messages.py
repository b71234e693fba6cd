"""Anthropic Messages as the scripted provider speaks it, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.upstream.received import Received
from tests.upstream.rendering import Frames, Resolved, arguments, deltas, has_calls, joined, resolved, sse
from tests.upstream.script import Call, InBandError, Pieces, Reply, Step, Text, Thinking, Usage

HEADERS = {
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:00Z",
    "anthropic-organization-id": "0b2c5f3e-0000-4000-8000-000000000000",
}


def headers(received: Received) -> dict[str, str]:
    return HEADERS | {"request-id": f"req_{received.number:04}"}


def whole(reply: Reply, received: Received) -> dict[str, Any]:
    parts = resolved(reply, received, "toolu")
    blocks = [block for part in parts if (block := _block(part)) is not None]
    return _message(received) | {
        "content": blocks,
        "stop_reason": _stop(reply, parts),
        "usage": _usage(reply.usage, reply.usage.output),
    }


def frames(reply: Reply, received: Received) -> Frames:
    parts = resolved(reply, received, "toolu")
    yield _event({"type": "message_start", "message": _message(received) | {"usage": _usage(reply.usage, 1)}})
    yield _event({"type": "ping"})
    index = 0
    for part in parts:
        if isinstance(part, Thinking | Text | Call):
            yield from _block_frames(part, index)
            index += 1
        else:
            yield part
    delta = {"stop_reason": _stop(reply, parts), "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": _usage(reply.usage, reply.usage.output)})
    yield _event({"type": "message_stop"})


def error(message: str, kind: str, received: Received) -> dict[str, Any]:
    """The body of a failure."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": f"req_{received.number:04}",
    }


def in_band(step: InBandError, received: Received, place: int) -> bytes:
    """The event that ends a stream with a failure; `place` is the number of events before it."""
    return _event(error(step.message, step.type, received))


def _event(data: dict[str, Any]) -> bytes:
    return sse(data, data["type"])


def _message(received: Received) -> dict[str, Any]:
    return {
        "id": f"msg_{received.number:04}",
        "type": "message",
        "role": "assistant",
        "model": received.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(usage: Usage, output: int) -> dict[str, Any]:
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _stop(reply: Reply, parts: list[Resolved]) -> str:
    return reply.stop or ("tool_use" if has_calls(parts) else "end_turn")


def _block(part: Resolved) -> dict[str, Any] | None:
    match part:
        case Thinking():
            return {"type": "thinking", "thinking": joined(part.text), "signature": part.signature}
        case Text():
            return {"type": "text", "text": joined(part.text)}
        case Call():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": json.loads(joined(arguments(part)))}
        case _:
            return None


def _block_frames(part: Thinking | Text | Call, index: int) -> Frames:
    yield _event({"type": "content_block_start", "index": index, "content_block": _opening(part)})
    for delta in _deltas(part):
        if isinstance(delta, dict):
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        else:
            yield delta
    yield _event({"type": "content_block_stop", "index": index})


def _opening(part: Thinking | Text | Call) -> dict[str, Any]:
    match part:
        case Thinking():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case Text():
            return {"type": "text", "text": ""}
        case Call():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}


def _deltas(part: Thinking | Text | Call) -> Iterator[dict[str, Any] | Step]:
    match part:
        case Thinking():
            yield from _pieces("thinking_delta", "thinking", part.text)
            yield {"type": "signature_delta", "signature": part.signature}
        case Text():
            yield from _pieces("text_delta", "text", part.text)
        case Call():
            yield {"type": "input_json_delta", "partial_json": ""}  # the service opens every call with an empty piece
            yield from _pieces("input_json_delta", "partial_json", arguments(part))


def _pieces(kind: str, key: str, text: Pieces) -> Iterator[dict[str, Any] | Step]:
    for piece in deltas(text):
        yield {"type": kind, key: piece} if isinstance(piece, str) else piece
