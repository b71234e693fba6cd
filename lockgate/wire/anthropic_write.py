"""Frames of a streamed Anthropic reply on their way out: as they came, or changed and still legal. No I/O here.

While nothing is changed or held, frames pass as they came. From the first frame of the first tool call on they are
held, if so asked, until the message ends. What goes out then, where anything of it was changed: blocks of other kinds
in their order, then texts that policies added, each a block of its own, then the calls that survive, because the
provider refuses a conversation in which text follows a call. Indices are given anew, without a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lockgate.errors import WireError
from lockgate.events import Event, MessageEnd, ReplyError, TextDelta, ThinkingDelta, ToolCall, Unknown
from lockgate.wire.anthropic_message import TEXT_KEYS, Block, stop_reason
from lockgate.wire.anthropic_read import DELTA, MESSAGE_DELTA, START, STOP
from lockgate.wire.codec import Frame
from lockgate.wire.document import dumps
from lockgate.wire.sse import block_of

type Held = tuple[Frame, Sequence[Event]]


class StreamWriter:
    """Frames and what the policies made of them in, bytes out."""

    def __init__(self, blocks: Sequence[Block], *, hold_calls: bool) -> None:
        """`blocks` are the message's, as its reader gathers them."""
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.begun = False
        self.ended = False
        self._blocks = blocks
        self._hold_calls = hold_calls
        self._held: list[Held] = []
        self._places: dict[int, int] = {}  # the provider's index of each block that is open, and the one sent instead
        self._waiting: dict[int, Frame] = {}  # starts of blocks that may turn out empty
        self._late: list[Frame] = []  # what came behind such a start and belongs to no block, such as pings
        self._unsent = b""  # the bytes of both, as they came
        self._next = 0
        self._added: list[str] = []  # texts of policies that wait for a legal place
        self._calls: int | None = None  # how many survive, where that was changed

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        """The bytes to send now."""
        document = frame.document
        if out is frame.events and not (self.holding or self.changed or self._waiting) and _is_delta(document):
            return frame.raw
        if self.holding or (self._hold_calls and (self._starts_call(document) or _adds_call(frame, out))):
            return self._hold(frame, out)
        sent, came = self._send(frame, out), self._unsent + frame.raw
        self._unsent = came if self._waiting and not sent else b""
        self.changed = self.changed or (not self._unsent and sent != came)
        self.begun = self.begun or bool(sent)
        self.ended = self.ended or _ends(document)
        return sent

    def forget(self) -> None:
        """Drop what is held: the reply ends in an error."""
        self._held.clear()
        self.held_bytes = 0
        self.holding = False
        self.changed = True
        self.ended = True

    def _starts_call(self, document: Any) -> bool:
        return self._is_call(document) and document["type"] == START

    def _is_call(self, document: Any) -> bool:
        return _is_block(document) and self._block(document).kind == "tool_use"

    def _block(self, document: dict[str, Any]) -> Block:
        index: int = document["index"]
        return self._blocks[index]

    def _hold(self, frame: Frame, out: Sequence[Event]) -> bytes:
        if _has(frame.events, ReplyError):
            self.forget()
            return frame.raw
        self.holding = True
        self._held.append((frame, out))
        self.held_bytes += len(frame.raw)
        if _has(frame.events, MessageEnd):
            return self._release()
        return b""

    def _release(self) -> bytes:
        held = self._held
        self._held, self.held_bytes, self.holding = [], 0, False
        if not self._added and all(same(frame.events, out) for frame, out in held):
            sent = b"".join(self._send(frame, out) for frame, out in held)
        else:
            self.changed = True
            sent = b"".join(self._rearranged(held))
        self.changed = self.changed or sent != b"".join(frame.raw for frame, _ in held)
        return sent

    def _rearranged(self, held: Sequence[Held]) -> Iterable[bytes]:
        """Other blocks first, then added texts, then the calls that survive, then the end."""
        *body, (end, end_out) = held
        call_frames: dict[int, list[Frame]] = {}
        calls: list[ToolCall] = []
        for _, out in held:
            calls += [event for event in out if isinstance(event, ToolCall)]
        for frame, out in body:
            if self._is_call(frame.document):
                call_frames.setdefault(frame.document["index"], []).append(frame)
                self._added += [event.text for event in out if isinstance(event, TextDelta)]
            else:
                yield self._send(frame, out)
        yield self._texts(end, end_out)
        yield self._flush()
        self._calls = len(calls)
        for call in calls:
            yield self._call(call, call_frames.pop(call.block, []))
        yield self._send(end, [event for event in end_out if isinstance(event, MessageEnd)])

    def _call(self, call: ToolCall, frames: list[Frame]) -> bytes:
        """The call in its own frames, where it has any and its arguments are its own."""
        given = next((event for frame in frames for event in frame.events if isinstance(event, ToolCall)), None)
        index = given.block if given else call.block
        self._places[index] = self._next
        self._next += 1
        if call is given:
            return b"".join(self._own(frame) for frame in frames)
        documents: list[dict[str, Any]] = [frame.document for frame in frames] or [
            {"type": START, "content_block": {"type": "tool_use"}}
        ]
        named = documents[0]["content_block"] | {"id": call.id, "name": call.name, "input": {}}
        start = documents[0] | {"index": index, "content_block": named}
        delta: dict[str, Any] = next(filter(_is_arguments, documents), _delta("input_json_delta")) | {"index": index}
        delta = delta | {"delta": delta["delta"] | {"partial_json": call.arguments}}
        return b"".join(map(self._encoded, (start, delta, {"type": STOP, "index": index})))

    def _send(self, frame: Frame, out: Sequence[Event]) -> bytes:
        """The frame outside a held region, and the texts that were let go with it."""
        document = frame.document
        kind = document.get("type") if document is not None else ""
        unknown = _has(frame.events, Unknown)
        dropped = unknown and not _has(out, Unknown)
        if kind == START:
            return self._start(frame, out, dropped=dropped)
        texts = self._texts(frame, out)
        if kind == STOP:
            return texts + self._stop(frame, out)
        if kind == DELTA:
            says_text = bool(frame.events) and not unknown
            return texts if says_text or dropped else texts + self._piece(frame)
        if _has(frame.events, MessageEnd):
            texts += self._flush()
        elif self._waiting and same(frame.events, out) and not _has(out, ReplyError):
            self._late.append(frame)
            return texts
        return texts if dropped else texts + self._end(frame, out)

    def _start(self, frame: Frame, out: Sequence[Event], *, dropped: bool) -> bytes:
        index = frame.document["index"]
        block = self._block(frame.document)
        if dropped:
            return self._texts(frame, out)
        if same(frame.events, out):
            self._waiting[index] = frame
            # A provider refuses a conversation in which a text is empty, so its start waits for the first of it.
            may_be_empty = block.kind == "text" and not frame.events
            return b"" if may_be_empty else self._begin(index)
        start = frame.document["content_block"]
        if key := TEXT_KEYS.get(block.kind):
            start = start | {key: ""}  # what it said follows as deltas
        document = frame.document | {"content_block": start}
        self._waiting[index] = Frame(b"", (), document)
        return (b"" if block.kind == "text" else self._begin(index)) + self._texts(frame, out)

    def _begin(self, index: int) -> bytes:
        """The start of a block, if it is still to be sent."""
        if (frame := self._waiting.pop(index, None)) is None:
            return b""
        self._places[index] = self._next
        self._next += 1
        return self._own(frame) + self._take_late()

    def _take_late(self) -> bytes:
        late, self._late = self._late, []
        return b"".join(frame.raw for frame in late)

    def _piece(self, frame: Frame) -> bytes:
        """A delta that says nothing to policies: a signature, a citation, a piece of a call's arguments."""
        index = frame.document["index"]
        return self._begin(index) + self._own(frame) if self._is_open(index) else b""

    def _stop(self, frame: Frame, out: Sequence[Event]) -> bytes:
        index = frame.document["index"]
        if _has(frame.events, ToolCall) and not same(frame.events, out):
            raise WireError("a tool call was changed after it was sent; it has to be held")
        came_empty = index in self._waiting and not self.changed and not any(self._block(frame.document).pieces)
        begun = self._begin(index) if came_empty else b""
        if index not in self._places:
            self._waiting.pop(index, None)  # it stayed empty, or was dropped
            return self._take_late()
        sent = begun + self._own(frame)
        del self._places[index]
        return sent

    def _end(self, frame: Frame, out: Sequence[Event]) -> bytes:
        """A frame of the message itself; the one that says why the reply ends says what is still true."""
        document = frame.document
        if document is None or document.get("type") != MESSAGE_DELTA:
            return frame.raw
        given: Any = document["delta"].get("stop_reason")
        reason = next((event.stop_reason for event in out if isinstance(event, MessageEnd)), given)
        if reason is not None and self._calls is not None:
            reason = stop_reason(reason, calls=self._calls)
        if reason == given:
            return frame.raw
        return self._encoded(document | {"delta": document["delta"] | {"stop_reason": reason}})

    def _texts(self, frame: Frame, out: Iterable[Event]) -> bytes:
        return b"".join(self._text(frame, event) for event in out if isinstance(event, TextDelta | ThinkingDelta))

    def _text(self, frame: Frame, event: TextDelta | ThinkingDelta) -> bytes:
        """A piece of text as a delta of its block, or kept for later where that block is over or none."""
        key = "text" if isinstance(event, TextDelta) else "thinking"
        if not self._is_open(event.block) or self._blocks[event.block].kind != key:
            self._added += [event.text] if key == "text" else []  # thinking never becomes text
            return b""
        sent = self._begin(event.block)
        own = frame.document if _is_delta(frame.document) and frame.document["index"] == event.block else None
        if own is None or own["delta"].get("type") != f"{key}_delta":
            own = _delta(f"{key}_delta")
        elif any(event is given for given in frame.events):
            return sent + self._own(frame)
        return sent + self._encoded(own | {"index": event.block, "delta": own["delta"] | {key: event.text}})

    def _flush(self) -> bytes:
        """The texts that waited for a legal place, each a block of its own."""
        texts, self._added = self._added, []
        return b"".join(self._text_block(text) for text in texts if text)

    def _text_block(self, text: str) -> bytes:
        index = self._next
        self._next += 1
        return text_block(index, text)

    def _is_open(self, index: int) -> bool:
        return index in self._places or index in self._waiting

    def _own(self, frame: Frame) -> bytes:
        """The frame as it came, except for its index where that moved."""
        index = frame.document["index"]
        return frame.raw if frame.raw and self._places[index] == index else self._encoded(frame.document)

    def _encoded(self, document: dict[str, Any]) -> bytes:
        if "index" in document:
            document = document | {"index": self._places[document["index"]]}
        return encoded(document)


def encoded(document: dict[str, Any]) -> bytes:
    """A frame of the stream, named by its type."""
    return block_of(dumps(document), event=document["type"])


def text_block(index: int, text: str) -> bytes:
    """All frames of a block of text."""
    return (
        encoded({"type": START, "index": index, "content_block": {"type": "text", "text": ""}})
        + encoded(_delta("text_delta") | {"index": index, "delta": {"type": "text_delta", "text": text}})
        + encoded({"type": STOP, "index": index})
    )


def same(given: Sequence[Event], out: Sequence[Event]) -> bool:
    """Whether these are the same objects in the same order."""
    return out is given or (len(out) == len(given) and all(a is b for a, b in zip(out, given, strict=True)))


def _delta(kind: str) -> dict[str, Any]:
    return {"type": DELTA, "index": 0, "delta": {"type": kind}}


def _adds_call(frame: Frame, out: Sequence[Event]) -> bool:
    """Whether a policy made up a call at the end of a message that had none."""
    return _has(frame.events, MessageEnd) and _has(out, ToolCall)


def _has(events: Iterable[Event], kind: type[Event]) -> bool:
    return any(isinstance(event, kind) for event in events)


def _ends(document: Any) -> bool:
    return document is not None and document.get("type") in ("message_stop", "error")


def _is_delta(document: Any) -> bool:
    return document is not None and document.get("type") == DELTA


def _is_block(document: Any) -> bool:
    return document is not None and document.get("type") in (START, DELTA, STOP)


def _is_arguments(document: dict[str, Any]) -> bool:
    return _is_delta(document) and document["delta"].get("type") == "input_json_delta"
