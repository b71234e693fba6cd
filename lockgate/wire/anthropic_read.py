"""Frames of a streamed Anthropic reply: what they say, and whether they may say it there. Nothing here does I/O."""

from __future__ import annotations

from typing import Any

from lockgate.errors import WireError
from lockgate.events import (
    BlockEnd,
    Event,
    MessageEnd,
    MessageStart,
    ReplyError,
    TextDelta,
    ThinkingDelta,
    Unknown,
)
from lockgate.wire.anthropic_message import TEXT_KEYS, Block, Message, string
from lockgate.wire.codec import Frame
from lockgate.wire.document import NotJson, loads
from lockgate.wire.sse import SseReader

START = "content_block_start"
DELTA = "content_block_delta"
STOP = "content_block_stop"
MESSAGE_DELTA = "message_delta"
_SAYS: dict[str, str] = {"text_delta": "text", "thinking_delta": "thinking"}
"""Kinds of deltas that say something; the kind of their block and the key of what they say are one word."""


class StreamReader:
    """Bytes in, frames out, in the order that the format allows; any other order is a WireError.

    A message starts, then blocks start, grow and stop with indices that rise from 0, then a `message_delta` says why
    the reply ends, and `message_stop` ends it. An `error` may end it anywhere.
    """

    def __init__(self, message: Message) -> None:
        self._sse = SseReader()
        self._message = message
        self._content_over = False
        self._stopped = False

    def receive_data(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes; b"" is the end, which raises WireError before the closing frames."""
        frames = [self._frame(raw, text) for raw, text in self._sse.receive_data(data)]
        if not data and not self._stopped:
            raise WireError("the Anthropic stream ended without its closing frames")
        return frames

    def _frame(self, raw: bytes, data: bytes) -> Frame:
        if not data:
            return Frame(raw)
        try:
            document = loads(data)
        except NotJson:
            return Frame(raw, (Unknown(),))
        if not isinstance(document, dict):
            return Frame(raw, (Unknown(),))
        return Frame(raw, self._read(document), document)  # pyright: ignore[reportUnknownArgumentType]

    def _read(self, document: dict[str, Any]) -> tuple[Event, ...]:
        match document.get("type"):
            case "content_block_delta":
                return self._delta(document)
            case "content_block_start":
                return self._start(document)
            case "content_block_stop":
                return self._stop(document)
            case "message_start":
                return self._message_start(document)
            case "message_delta":
                return self._message_delta(document)
            case "message_stop":
                return self._message_stop()
            case "error":
                self._stopped = True
                return (error_of(document),)
            case "ping":
                return ()
            case _:
                return (Unknown(),)

    def _message_start(self, document: dict[str, Any]) -> tuple[Event, ...]:
        if self._message.started is not None:
            raise WireError("Anthropic: a second message_start in one reply")
        message = _object(document, "message")
        if message.get("content"):
            raise WireError("Anthropic: a message_start that brings content, which belongs into blocks")
        self._message.start(message)
        return (MessageStart(id=str(message.get("id", "")), model=str(message.get("model", ""))),)

    def _start(self, document: dict[str, Any]) -> tuple[Event, ...]:
        index = self._index(document)
        if index != len(self._message.blocks):
            raise WireError(f"Anthropic: content block {index} starts where {len(self._message.blocks)} is next")
        block = Block(_object(document, "content_block"))
        self._message.blocks.append(block)
        if block.kind == "tool_use":
            return ()
        if block.kind not in TEXT_KEYS:
            return (Unknown(),)
        return (_text(block.kind, index, block.pieces[0]),) if block.pieces[0] else ()

    def _delta(self, document: dict[str, Any]) -> tuple[Event, ...]:
        index = self._index(document)
        block = self._open_block(index)
        delta = _object(document, "delta")
        kind = string(delta, "type", "a delta")
        if key := _SAYS.get(kind):
            if block.kind != key:
                raise WireError(f"Anthropic: a {kind} in content block {index}, which is a {block.kind} block")
            text = string(delta, key, "a content_block_delta")
            block.pieces.append(text)
            return (_text(key, index, text),)
        if kind == "input_json_delta":
            block.pieces.append(string(delta, "partial_json", "an input_json_delta"))
        else:
            block.more.append(delta)
        return () if block.kind in TEXT_KEYS or block.kind == "tool_use" else (Unknown(),)

    def _stop(self, document: dict[str, Any]) -> tuple[Event, ...]:
        index = self._index(document)
        block = self._open_block(index)
        block.is_open = False
        if block.kind == "tool_use":
            return (block.call(index),)
        return (BlockEnd(block=index),) if block.kind in TEXT_KEYS else (Unknown(),)

    def _message_delta(self, document: dict[str, Any]) -> tuple[Event, ...]:
        reason = _object(document, "delta").get("stop_reason")
        self._message.end(document)
        return () if reason is None else self._end(string({"stop_reason": reason}, "stop_reason", "a message_delta"))

    def _message_stop(self) -> tuple[Event, ...]:
        self._stopped = True
        return self._end("")  # in case that no message_delta gave a reason

    def _end(self, reason: str) -> tuple[Event, ...]:
        if self._content_over:
            return ()
        if self._message.started is None:
            raise WireError("Anthropic: a message ends that never started")
        for index, block in enumerate(self._message.blocks):
            if block.is_open:
                raise WireError(f"Anthropic: the message ends while content block {index} is open")
        self._content_over = True
        return (MessageEnd(stop_reason=reason, usage=self._message.usage),)

    def _index(self, document: dict[str, Any]) -> int:
        if self._message.started is None or self._content_over:
            raise WireError(f"Anthropic: a {document['type']} outside a message")
        index = document.get("index")
        if type(index) is not int:
            raise WireError(f"Anthropic: a {document['type']} has its `index` as a number")
        return index

    def _open_block(self, index: int) -> Block:
        blocks = self._message.blocks
        if not 0 <= index < len(blocks) or not blocks[index].is_open:
            raise WireError(f"Anthropic: content block {index} goes on, which is not open")
        return blocks[index]


def _text(kind: str, index: int, text: str) -> Event:
    return (TextDelta if kind == "text" else ThinkingDelta)(block=index, text=text)


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise WireError(f"Anthropic: a {document.get('type')} has its `{key}` as an object")
    return value  # pyright: ignore[reportUnknownVariableType]


def error_of(document: dict[str, Any]) -> ReplyError:
    """What an error object says, as far as it says it in the usual way."""
    error: Any = document.get("error")
    if not isinstance(error, dict):
        return ReplyError(kind="error", message=str(error or ""))
    return ReplyError(kind=str(error.get("type", "error")), message=str(error.get("message", "")))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
