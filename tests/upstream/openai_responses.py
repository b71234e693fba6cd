"""OpenAI Responses as the scripted provider speaks it, streamed and whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.upstream.openai_chat import error, headers
from tests.upstream.received import Received
from tests.upstream.rendering import CREATED, Frames, Resolved, arguments, deltas, joined, resolved, sse
from tests.upstream.script import Call, InBandError, Pieces, Reply, Step, Text, Thinking, Usage

__all__ = ["error", "frames", "headers", "in_band", "whole"]  # errors and headers are those of Chat Completions

ECHOED = ("instructions", "metadata", "parallel_tool_calls", "reasoning", "store", "text", "tool_choice", "tools")

type Event = dict[str, Any]


def whole(reply: Reply, received: Received) -> dict[str, Any]:
    items = [_item(part, place, received) for place, part in enumerate(_spoken(reply, received))]
    return _response(received) | _closing(reply, items)


def frames(reply: Reply, received: Received) -> Frames:
    numbers = count()
    for event in _events(reply, received):
        if isinstance(event, dict):
            kind = event.pop("type")
            yield sse({"type": kind, "sequence_number": next(numbers), **event}, kind)
        else:
            yield event


def in_band(step: InBandError, received: Received, place: int) -> bytes:
    """The event that ends a stream with a failure; `place` is the number of events before it."""
    failed = _response(received) | {"status": "failed", "error": {"code": step.type, "message": step.message}}
    return sse({"type": "response.failed", "sequence_number": place, "response": failed}, "response.failed")


def _events(reply: Reply, received: Received) -> Iterator[Event | Step]:
    yield {"type": "response.created", "response": _response(received)}
    yield {"type": "response.in_progress", "response": _response(received)}
    items: list[dict[str, Any]] = []
    for part in resolved(reply, received, "call"):
        if isinstance(part, Thinking | Text | Call):
            item = _item(part, len(items), received)
            yield from _item_events(part, item, len(items))
            items.append(item)
        else:
            yield part
    closing = _closing(reply, items)
    yield {"type": f"response.{closing['status']}", "response": _response(received) | closing}


def _spoken(reply: Reply, received: Received) -> list[Thinking | Text | Call]:
    parts: list[Resolved] = resolved(reply, received, "call")
    return [part for part in parts if isinstance(part, Thinking | Text | Call)]


def _response(received: Received) -> dict[str, Any]:
    response: dict[str, Any] = {
        "id": f"resp_{received.number:04}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": received.model,
        "output": [],
        "previous_response_id": received.document.get("previous_response_id"),
        "service_tier": "default",
        "usage": None,
    }
    return response | {key: received.document[key] for key in ECHOED if key in received.document}


def _closing(reply: Reply, items: list[dict[str, Any]]) -> dict[str, Any]:
    """What the end adds; a `stop` of the script is the reason of an incomplete response, `max_output_tokens` say."""
    details = {"reason": reply.stop} if reply.stop else None
    return {
        "status": "incomplete" if details else "completed",
        "incomplete_details": details,
        "output": items,
        "usage": _usage(reply.usage),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _item(part: Thinking | Text | Call, place: int, received: Received) -> dict[str, Any]:
    """The item as it is when it is done."""
    suffix = f"{received.number:04}_{place}"
    match part:
        case Thinking():
            summary = [{"type": "summary_text", "text": joined(part.text)}]
            secret = {"encrypted_content": part.signature}
            return {"id": f"rs_{suffix}", "type": "reasoning", "summary": summary} | secret
        case Text():
            content = [_text_part(joined(part.text))]
            head = {"id": f"msg_{suffix}", "type": "message", "status": "completed"}
            return head | {"content": content, "role": "assistant"}
        case Call(custom=True):
            head = {"id": f"ctc_{suffix}", "type": "custom_tool_call", "status": "completed"}
            return head | {"call_id": part.id, "input": joined(arguments(part)), "name": part.name}
        case Call():
            head = {"id": f"fc_{suffix}", "type": "function_call", "status": "completed"}
            space = {"namespace": part.namespace} if part.namespace else {}
            return head | {"arguments": joined(arguments(part)), "call_id": part.id, "name": part.name} | space


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _opened(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it is when it begins: nothing said yet."""
    empty: dict[str, Any] = {"summary": [], "content": [], "arguments": "", "input": ""}
    progress = {"status": "in_progress"} if "status" in item else {}
    return item | progress | {key: value for key, value in empty.items() if key in item}


def _item_events(part: Thinking | Text | Call, item: dict[str, Any], place: int) -> Iterator[Event | Step]:
    where = {"output_index": place}
    yield {"type": "response.output_item.added", **where, "item": _opened(item)}
    where = {"item_id": item["id"], **where}
    match part:
        case Thinking():
            yield from _reasoning_events(part.text, where)
        case Text():
            yield from _text_events(part.text, where)
        case Call(custom=True):
            yield from _told("response.custom_tool_call_input", arguments(part), where, "input")
        case Call():
            yield from _told("response.function_call_arguments", arguments(part), where, "arguments")
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _reasoning_events(text: Pieces, where: Event) -> Iterator[Event | Step]:
    where = where | {"summary_index": 0}
    part = {"type": "summary_text", "text": ""}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": part}
    yield from _told("response.reasoning_summary_text", text, where, "text")
    yield {"type": "response.reasoning_summary_part.done", **where, "part": part | {"text": joined(text)}}


def _text_events(text: Pieces, where: Event) -> Iterator[Event | Step]:
    where = where | {"content_index": 0}
    yield {"type": "response.content_part.added", **where, "part": _text_part("")}
    yield from _told("response.output_text", text, where | {"logprobs": []}, "text")
    yield {"type": "response.content_part.done", **where, "part": _text_part(joined(text))}


def _told(kind: str, text: Pieces, where: Event, key: str) -> Iterator[Event | Step]:
    for piece in deltas(text):
        yield {"type": f"{kind}.delta", **where, "delta": piece} if isinstance(piece, str) else piece
    yield {"type": f"{kind}.done", **where, key: joined(text)}
