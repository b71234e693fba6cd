"""OpenAI's Responses API: requests, replies, refusals and made-up answers. Nothing here does I/O."""

from __future__ import annotations

import time
from typing import Any

from lockgate.events import Request
from lockgate.wire.codec import Reply
from lockgate.wire.document import dumps
from lockgate.wire.openai_responses_items import Document, message_frames, message_item, new_id
from lockgate.wire.openai_responses_reply import StreamedReply, WholeReply
from lockgate.wire.openai_responses_request import read_request
from lockgate.wire.sse import block_of

_NO_USAGE: Document = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class ResponsesFormat:
    """The Responses API."""

    name = "openai-responses"

    def read_request(self, body: bytes) -> Request:
        return read_request(body)

    def reply(self, request: Request, *, streamed: bool, hold_calls: bool) -> Reply:
        rename = _is_renamed(request, streamed=streamed)
        if streamed:
            return StreamedReply(hold_calls=hold_calls, rename=rename, blank=lambda: _response(request))
        return WholeReply(rename=rename, error_body=self.error_body)

    def error_body(self, sentence: str, *, kind: str = "invalid_request_error") -> bytes:
        return dumps({"error": {"message": sentence, "type": kind, "param": None, "code": None}})

    def answer(self, request: Request, text: str) -> tuple[str, bytes]:
        begun, item = _response(request), message_item(text)
        ended = {**begun, "status": "completed", "output": [item], "usage": _NO_USAGE}
        if not request.stream:
            return "application/json", dumps(ended)
        frames: list[Document] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            *message_frames(item, 0),
            {"type": "response.completed", "response": ended},
        ]
        return "text/event-stream; charset=utf-8", b"".join(
            block_of(dumps({**frame, "sequence_number": count}), event=frame["type"])
            for count, frame in enumerate(frames)
        )


def _is_renamed(request: Request, *, streamed: bool) -> bool:
    """Whether a reply that loses a call gets an id that the provider does not know.

    The provider remembers the unanswered call under the reply's own id, and refuses every request that goes on from
    there; of an unknown id it says so, at which the client sends its history itself. A stream has told its id before
    it is known whether a call goes, and strict clients refuse a second one: only where the client is seen to go on
    from ids is it renamed.
    """
    if request.document.get("store") is False:
        return False
    return not streamed or bool(request.document.get("previous_response_id"))


def _response(request: Request) -> Document:
    """A response object that has just begun, with all that the documentation promises."""
    asked: Any = request.document
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": asked.get("max_output_tokens"),
        "model": request.model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "store": asked.get("store", True),
        "temperature": asked.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p", 1.0),
        "truncation": asked.get("truncation", "disabled"),
        "usage": None,
        "user": None,
        "metadata": asked.get("metadata") or {},
    }


FORMAT = ResponsesFormat()
