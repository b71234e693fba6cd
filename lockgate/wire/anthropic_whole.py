"""A whole Anthropic reply: one JSON document, read to the events of a streamed one and put together again.

Nothing here does I/O. What a change makes of a reply follows the rules of `anthropic_write`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import (
    BlockEnd,
    Event,
    MessageEnd,
    MessageStart,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Unknown,
    Usage,
)
from lockgate.wire.anthropic_message import TEXT_KEYS, Block, error_document, stop_reason, usage_of
from lockgate.wire.anthropic_read import error_of
from lockgate.wire.anthropic_write import same
from lockgate.wire.codec import Frame
from lockgate.wire.document import dumps, loads, loads_object
from lockgate.wire.sse import MAX_BLOCK_BYTES


class WholeReply:
    """Gathers the body, then gives it as one frame. Nothing goes out before that frame was let go."""

    def __init__(self) -> None:
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.usage: Usage | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._raw: bytes | None = None

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        """The reply's one frame, at b"". Raises WireError for a body that is no message and no error."""
        if not data:
            return [self._frame()]
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_BLOCK_BYTES:
            raise WireError(f"Anthropic: a reply of more than {MAX_BLOCK_BYTES} bytes")
        return []

    def _frame(self) -> Frame:
        raw = b"".join(self._parts)
        self._parts.clear()
        if not raw.strip():
            raise WireError("Anthropic: a reply without a body")
        document = loads_object(raw)
        self._raw = raw
        self.usage = usage_of(document["usage"]) if "usage" in document else None
        return Frame(raw, tuple(_events(document)), document)

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        """The body to send."""
        if same(frame.events, out) or frame.document.get("type") != "message":
            return frame.raw
        self.changed = True
        return dumps(_Edit(frame, out).document())

    def refuse(self, sentence: str) -> bytes:
        """The body of an error."""
        self.changed = True
        return dumps(error_document(sentence, "invalid_request_error"))

    def keep_alive(self) -> bytes:
        """A document has no room for one."""
        return b""

    def message(self) -> bytes | None:
        """The body as it came; None before all of it came."""
        return self._raw


def _events(document: dict[str, Any]) -> Iterable[Event]:
    if document.get("type") == "error":
        yield error_of(document)
        return
    content = document.get("content")
    if document.get("type") != "message" or not isinstance(content, list):
        raise WireError("Anthropic: the reply is neither a message nor an error")
    yield MessageStart(id=str(document.get("id", "")), model=str(document.get("model", "")))
    for index, block in enumerate(cast(list[Any], content)):
        yield from _block_events(index, block)
    yield MessageEnd(stop_reason=str(document.get("stop_reason") or ""), usage=usage_of(document.get("usage")))


def _block_events(index: int, document: Any) -> Iterable[Event]:
    if not isinstance(document, dict):
        raise WireError(f"Anthropic: content block {index} is no object")
    block = Block(cast(dict[str, Any], document))
    if block.kind == "tool_use":
        yield block.call(index)
    elif block.kind in TEXT_KEYS:
        if text := block.pieces[0]:
            yield (TextDelta if block.kind == "text" else ThinkingDelta)(block=index, text=text)
        yield BlockEnd(block=index)
    else:
        yield Unknown()


class _Edit:
    """A document, what was read in it, and what is to go out instead."""

    def __init__(self, frame: Frame, out: Sequence[Event]) -> None:
        self._document: dict[str, Any] = frame.document
        self._given = frame.events
        self._out = out
        self._blocks = [(index, Block(block)) for index, block in enumerate(self._document["content"])]
        self._calls = [event for event in out if isinstance(event, ToolCall)]

    def document(self) -> dict[str, Any]:
        """The document with only what was changed changed."""
        first = next((index for index, block in self._blocks if block.kind == "tool_use"), len(self._blocks))
        before = [said for pair in self._blocks[:first] for said in self._kept(*pair)]
        end = next((event for event in self._out if isinstance(event, MessageEnd)), self._given[-1])
        reason = cast(MessageEnd, end).stop_reason
        if self._is_untouched():
            content = before + self._document["content"][first:]
        else:
            others = [said for pair in self._blocks[first:] for said in self._kept(*pair)]
            content = before + others + self._added() + [self._call(call) for call in self._calls]
            reason = stop_reason(reason, calls=len(self._calls))
        return self._document | {"content": content, "stop_reason": reason or self._document.get("stop_reason")}

    def _is_untouched(self) -> bool:
        """Whether nothing changed from the first tool call on."""
        at = next(at for at, event in enumerate(self._given) if isinstance(event, ToolCall | MessageEnd))
        tail = self._given[at:]
        calls = [event for event in tail if isinstance(event, ToolCall)]
        return same(tail, self._out[-len(tail) :]) and same(calls, self._calls) and not self._added()

    def _kept(self, index: int, block: Block) -> list[dict[str, Any]]:
        """The block with what is left of its text; no block where none is left, and for a call, which comes later."""
        if block.kind == "tool_use":
            return []
        if (key := TEXT_KEYS.get(block.kind)) is None:
            return [block.start] if self._is_passed(index) else []
        text = self._said(index, TextDelta if block.kind == "text" else ThinkingDelta)
        if text == block.pieces[0]:
            return [block.start]
        return [block.start | {key: text}] if text or block.kind != "text" else []

    def _is_passed(self, index: int) -> bool:
        """Whether a block of a kind that only the provider knows was let go."""
        unknown = [at for at, block in self._blocks if block.kind != "tool_use" and block.kind not in TEXT_KEYS]
        given = [event for event in self._given if isinstance(event, Unknown)][unknown.index(index)]
        return any(event is given for event in self._out)

    def _said(self, index: int, kind: type[TextDelta] | type[ThinkingDelta]) -> str:
        return "".join(event.text for event in self._out if isinstance(event, kind) and event.block == index)

    def _added(self) -> list[dict[str, Any]]:
        """Texts of policies, each a block of its own."""
        texts = {index for index, block in self._blocks if block.kind == "text"}
        added = [event.text for event in self._out if isinstance(event, TextDelta) and event.block not in texts]
        return [{"type": "text", "text": text} for text in added if text]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        given = next(
            (event for event in self._given if isinstance(event, ToolCall) and event.block == call.block), None
        )
        block: dict[str, Any] = self._document["content"][call.block] if given else {"type": "tool_use"}
        if call is given:
            return block
        changed = block | {"id": call.id, "name": call.name}
        if given is None or call.arguments != given.arguments:
            changed["input"] = loads(call.arguments)
        return changed
