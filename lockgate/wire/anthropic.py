"""Anthropic Messages (https://docs.anthropic.com/en/api/messages), streamed and whole. Nothing here does I/O."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from lockgate.events import Request, Usage
from lockgate.wire.anthropic_message import Message, error_document
from lockgate.wire.anthropic_read import MESSAGE_DELTA, StreamReader
from lockgate.wire.anthropic_request import read_request
from lockgate.wire.anthropic_whole import WholeReply
from lockgate.wire.anthropic_write import StreamWriter, encoded, text_block
from lockgate.wire.codec import Format, Frame, Reply
from lockgate.wire.document import dumps

FINAL_ERROR = "permission_error"
"""The one type of an error inside a stream after which every client stops instead of asking again."""


class AnthropicFormat:
    """The format of Anthropic's service and of those that speak like it."""

    name = "anthropic"

    def read_request(self, body: bytes) -> Request:
        """Raises WireError when the body is no Messages request."""
        return read_request(body)

    def reply(self, request: Request, *, streamed: bool, hold_calls: bool) -> Reply:
        """A codec for one reply; a whole one is held by its nature."""
        return StreamedReply(hold_calls=hold_calls) if streamed else WholeReply()

    def error_body(self, sentence: str, *, kind: str = "invalid_request_error") -> bytes:
        """The JSON body of a refusal."""
        return dumps(error_document(sentence, kind))

    def answer(self, request: Request, text: str) -> tuple[str, bytes]:
        """The content type and body of a made-up reply that says `text` and costs nothing."""
        usage = dict.fromkeys(
            ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"), 0
        )
        message = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }
        if not request.stream:
            return "application/json", dumps(message)
        return "text/event-stream; charset=utf-8", _streamed(message, text)


class StreamedReply(StreamWriter):
    """One streamed reply: a writer with its reader, and the message between them."""

    def __init__(self, *, hold_calls: bool) -> None:
        self.usage: Usage | None = None
        self._message = Message()
        self._reader = StreamReader(self._message)
        super().__init__(self._message.blocks, hold_calls=hold_calls)

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        """Raises WireError for frames out of order, and for an end before `message_stop`."""
        frames = self._reader.receive_data(data)
        self.usage = self._message.usage
        return frames

    def refuse(self, sentence: str) -> bytes:
        """An `error` frame, which is legal anywhere and final for every client."""
        self.forget()
        return encoded(error_document(sentence, FINAL_ERROR))

    def keep_alive(self) -> bytes:
        """A `ping`, from the first frame to the last."""
        return encoded({"type": "ping"}) if self.begun and not self.ended else b""

    def message(self) -> bytes | None:
        """The message so far as JSON text."""
        return self._message.document()


def _streamed(message: dict[str, Any], text: str) -> bytes:
    started = message | {"content": list[Any](), "stop_reason": None}
    end = {"type": MESSAGE_DELTA, "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    return (
        encoded({"type": "message_start", "message": started})
        + text_block(0, text)
        + encoded(end | {"usage": {"output_tokens": 0}})
        + encoded({"type": "message_stop"})
    )


FORMAT: Format = AnthropicFormat()
