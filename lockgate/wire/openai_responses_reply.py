"""One Responses reply, streamed or whole, from the provider to the client. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lockgate.errors import WireError
from lockgate.events import Event, MessageEnd, ReplyError, TextDelta, ThinkingDelta, Usage
from lockgate.wire.codec import Frame
from lockgate.wire.document import dumps, loads_object
from lockgate.wire.openai_responses_items import Document, usage_of
from lockgate.wire.openai_responses_read import Piece, Reader, error_of, start_of, stop_reason_of
from lockgate.wire.openai_responses_send import Sender
from lockgate.wire.sse import SseReader


class StreamedReply:
    """Server-sent events in and out. From the first frame of a call on, frames are held until the reply's end."""

    def __init__(self, *, hold_calls: bool, rename: bool, blank: Callable[[], Document]) -> None:
        """`rename`: a reply that loses a call gets an unknown id. `blank` makes a response object without output."""
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.usage: Usage | None = None
        """The tokens as counted so far."""
        self._sse = SseReader()
        self._reader = Reader(hold_calls=hold_calls)
        self._sender = Sender(self._reader, rename)
        self._held: list[tuple[Frame, Sequence[Event]]] = []
        self._blank = blank

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        frames = [self._reader.read(*block) for block in self._sse.receive_data(data)]
        self.usage = self._reader.usage
        if not data and not self._reader.over:
            raise WireError("the reply ended without its closing frames (response.completed, incomplete or failed)")
        return frames

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        piece: Piece = frame.document
        hold = self.holding or piece.starts
        if out is frame.events and piece.fast and not self._sender.moved and not hold:
            self._sender.mark(piece, out)
            return frame.raw
        sent = self._hold(frame, piece, out) if hold else self._sender.send(frame, out)
        self.changed = self._sender.changed
        return sent

    def _hold(self, frame: Frame, piece: Piece, out: Sequence[Event]) -> bytes:
        if piece.error:
            for held, _ in self._held:
                self._sender.forget(held.document)
            self._let_go()
            return self._sender.send(frame, out)
        self._held.append((frame, out))
        self.holding, self.held_bytes = True, self.held_bytes + len(frame.raw)
        return self._sender.release(self._let_go()) if piece.ends else b""

    def _let_go(self) -> list[tuple[Frame, Sequence[Event]]]:
        held, self._held = self._held, []
        self.holding, self.held_bytes = False, 0
        return held

    def refuse(self, sentence: str) -> bytes:
        """`response.failed`, with the code that clients take as final; b"" after the closing frame."""
        self._let_go()
        if self._sender.closed:
            return b""
        response = {**self._blank(), **(self._reader.opening or {})}
        begun = b"" if self._sender.begun else self._sender.fresh({"type": "response.created", "response": response})
        error = {"code": "invalid_prompt", "message": sentence}
        output = self._sender.sent_output()
        failed = {**response, "status": "failed", "error": error, "output": output}
        self._sender.closed = self.changed = True
        return begun + self._sender.fresh({"type": "response.failed", "response": failed})

    def keep_alive(self) -> bytes:
        """Another `response.in_progress`; b"" before the first frame and after the closing one."""
        response = self._reader.opening
        if response is None or not self._sender.begun or self._sender.closed:
            return b""
        return self._sender.fresh({"type": "response.in_progress", "response": {**response, "status": "in_progress"}})

    def message(self) -> bytes | None:
        return self._reader.message()


class WholeReply:
    """One JSON document, which is read and sent at the end."""

    def __init__(self, *, rename: bool, error_body: Callable[[str], bytes]) -> None:
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.usage: Usage | None = None
        self._reader = Reader(hold_calls=False)
        self._sender = Sender(self._reader, rename)
        self._error_body = error_body
        self._parts: list[bytes] = []
        self._body: bytes | None = None

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        if data:
            self._parts.append(data)
            return ()
        body = b"".join(self._parts)
        document = loads_object(body)
        piece = Piece("response.completed", document, ends=True)
        events = self._read(document, piece)
        self._body = body
        return (Frame(body, tuple(events), piece),)

    def _read(self, document: Document, piece: Piece) -> list[Event]:
        if document.get("error") and "output" not in document:
            return [error_of(document["error"])]
        if not isinstance(document.get("output"), list):
            raise WireError("the reply is not a response object: it has no list 'output'")
        self.usage = usage_of(document)
        events = [start_of(document), *self._reader.read_output(document, piece)]
        if document.get("status") == "failed":
            return [*events, error_of(document.get("error"))]
        return [*events, MessageEnd(stop_reason=stop_reason_of(document, piece.type), usage=self.usage)]

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        same = len(out) == len(frame.events) and all(new is old for new, old in zip(out, frame.events, strict=True))
        if same or isinstance(frame.events[0], ReplyError):
            return frame.raw
        self._sender.settle([out])
        for event in out:
            if isinstance(event, TextDelta | ThinkingDelta) and not self._sender.is_note(event):
                self._sender.block(event).sent.append(event.text)
        released = self._sender.released(frame.document.document, frame.document)
        if released is frame.document.document:
            return frame.raw
        self.changed = True
        return dumps(released)

    def refuse(self, sentence: str) -> bytes:
        return self._error_body(sentence)

    def keep_alive(self) -> bytes:
        return b""

    def message(self) -> bytes | None:
        """The body; None before all of it came."""
        return self._body
