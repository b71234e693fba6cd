"""A Chat Completions reply that is one document. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.errors import WireError
from lockgate.events import Event, Usage
from lockgate.wire.codec import Frame
from lockgate.wire.document import dumps, loads_object
from lockgate.wire.openai_chat_calls import Calls
from lockgate.wire.openai_chat_parts import Chunk, Json, is_error
from lockgate.wire.openai_chat_read import Reader
from lockgate.wire.openai_chat_request import error_body
from lockgate.wire.openai_chat_texts import Texts, set_text

MAX_BYTES = 64 * 2**20
"""A reply is read whole before it is judged; the largest real one is far smaller."""


class WholeReply:
    """A reply in one piece: one frame, whose events are all that it says. It is held until all of it has come."""

    def __init__(self) -> None:
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.usage: Usage | None = None
        self._parts: list[bytes] = []
        self._raw: bytes | None = None
        self._reader = Reader("message")
        self._texts = Texts(self._reader)
        self._calls = Calls(self._reader)

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        if data:
            self._parts.append(data)
            self.held_bytes += len(data)
            self.holding = True
            if self.held_bytes > MAX_BYTES:
                raise WireError(f"a reply of more than {MAX_BYTES} bytes")
            return []
        raw = b"".join(self._parts)
        document = loads_object(raw)
        if is_error(document):
            frame = Frame(raw, (self._reader.read_error(document),))
        elif not isinstance(document.get("choices"), list):
            raise WireError("not a Chat Completions reply: 'choices' is not a list")
        else:
            frame = Frame(raw, *self._reader.read(document))
        self._raw = raw
        self.usage = self._reader.usage
        return [frame]

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        self.holding, self.held_bytes = False, 0
        chunk: Chunk | None = frame.document
        if out is frame.events or chunk is None:
            return frame.raw
        left, edited = self._texts.edit(chunk, chunk.number, frame.events, out, None)
        for said in left:
            set_text(self._texts.item_of(chunk, said.place[0]), "message", said.place[1], said.text)
        self._calls.note(frame.events, out)
        edited = (self._calls.changed and self._calls.edit(chunk)) or edited or bool(left)
        if not edited:
            return frame.raw
        self.changed = True
        return dumps(_without_empty_content(chunk.document))

    def refuse(self, sentence: str) -> bytes:
        self.holding, self.held_bytes = False, 0
        self.changed = True
        return error_body(sentence)

    def keep_alive(self) -> bytes:
        return b""

    def message(self) -> bytes | None:
        return self._raw


def _without_empty_content(document: Json) -> Json:
    """The document, where a message that only calls has null for its content, as the provider says it."""
    for item in document["choices"]:
        message = item["message"]
        if message.get("content") == "" and (message.get("tool_calls") or message.get("function_call")):
            message["content"] = None
    return document
