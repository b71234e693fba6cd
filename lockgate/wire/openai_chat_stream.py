"""A streamed Chat Completions reply. Nothing here does I/O.

From the first piece of a call on, a reply that holds calls holds every frame until all choices have finished, also
those of other choices: their frames may be interleaved, and the message ends once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from lockgate.errors import WireError
from lockgate.events import Event, MessageEnd, ReplyError, TextDelta, Unknown, Usage
from lockgate.wire.codec import Frame
from lockgate.wire.document import NotJson, dumps, loads
from lockgate.wire.openai_chat_calls import Calls
from lockgate.wire.openai_chat_message import message_of
from lockgate.wire.openai_chat_parts import Chunk, Json, is_error, text_of
from lockgate.wire.openai_chat_read import Reader
from lockgate.wire.openai_chat_request import error_body
from lockgate.wire.openai_chat_texts import GAP, Said, Texts, set_text
from lockgate.wire.sse import SseReader, block_of, data_of

_HEAD = ("id", "created", "model", "service_tier", "system_fingerprint")
"""What every chunk of a stream repeats."""


@dataclass(slots=True)
class _Held:
    """A frame that waits for the verdicts, and what goes out right before it."""

    frame: Frame
    before: bytes
    edited: bool

    @property
    def chunk(self) -> Chunk | None:
        return self.frame.document


class StreamedReply:
    """A reply as server-sent events. `choices` is how many the client asked for."""

    def __init__(self, *, hold_calls: bool, choices: int = 1) -> None:
        self.holding = False
        self.held_bytes = 0
        self.changed = False
        self.usage: Usage | None = None
        self._hold_calls = hold_calls
        self._sse = SseReader()
        self._reader = Reader("delta", choices)
        self._texts = Texts(self._reader)
        self._calls = Calls(self._reader)
        self._held: list[_Held] = []
        self._added: list[TextDelta] = []
        self._number = 0
        """The number of the frame that was last emitted."""
        self._begun = False
        self._over = False
        self._done = False

    def receive_data(self, data: bytes) -> Sequence[Frame]:
        frames = [self._read(raw, text) for raw, text in self._sse.receive_data(data)]
        if not data:
            if not (self._done or self._reader.failed or self._reader.choices):
                raise WireError("the reply ended without its closing frames: it has no choice")
            if events := self._reader.finish():
                frames.append(Frame(b"", events))
        self.usage = self._reader.usage
        return frames

    def _read(self, raw: bytes, data: bytes) -> Frame:
        if not data:
            return Frame(raw)  # a comment
        if data.startswith(b"[DONE]"):
            self._done = True
            return Frame(raw, self._reader.finish())
        try:
            document = loads(data)
        except NotJson:
            return Frame(raw, (Unknown(),))
        if not isinstance(document, dict):
            return Frame(raw, (Unknown(),))
        return self._read_document(raw, cast(Json, document))

    def _read_document(self, raw: bytes, document: Json) -> Frame:
        if is_error(document):
            return Frame(raw, (self._reader.read_error(document),))
        if "choices" not in document:
            return Frame(raw, (Unknown(),))
        return Frame(raw, *self._reader.read(document))

    def emit(self, frame: Frame, out: Sequence[Event]) -> bytes:
        chunk: Chunk | None = frame.document
        if chunk is not None:
            self._number = chunk.number
        last = frame.events[-1] if frame.events else None
        if isinstance(last, ReplyError):
            self._forget()
        if self.holding or (chunk is not None and chunk.pieces and self._hold_calls):
            sent = self._hold(frame, out, ends=isinstance(last, MessageEnd))
        elif out is frame.events and not self._calls.changed:
            if len(self._texts.begun) < len(self._reader.choices):
                self._texts.note(out, self._number)
            sent = frame.raw
        else:
            sent = self._send(frame, out)
        self._over = self._over or isinstance(last, MessageEnd | ReplyError)
        self._begun = self._begun or bool(sent)
        return sent

    def _send(self, frame: Frame, out: Sequence[Event]) -> bytes:
        left, edited = self._texts.edit(frame.document, self._number, frame.events, out, None)
        before, lost_role = self._before(left, frame.document)
        self._texts.note(out, self._number)
        return self._told(_Held(frame, before, edited or lost_role))

    def _hold(self, frame: Frame, out: Sequence[Event], *, ends: bool) -> bytes:
        self._calls.note(frame.events, out)
        apart = self._added if self.holding or not ends else None  # what is held is one frame: nothing to go ahead of
        left, edited = self._texts.edit(frame.document, self._number, frame.events, out, apart)
        before, lost_role = self._before(left, frame.document)
        sent = b""
        if not self.holding:  # what is left of the text before the call need not wait for the verdict
            sent, before = before, b""
            self._texts.begun.update(said.place[0] for said in left if said.place[1] == "content")
        self.holding = True
        self.changed = self.changed or bool(sent)
        self.held_bytes += len(before) + len(frame.raw)
        self._held.append(_Held(frame, before, edited or lost_role))
        return sent + self._release() if ends else sent

    def _release(self) -> bytes:
        held, added = self._held, self._added
        self._forget()
        notices = b"".join(self._notices(held, added)) if added else b""
        self.changed = self.changed or bool(notices)
        return notices + b"".join(map(self._told, held))

    def _forget(self) -> None:
        self._held, self._added = [], []
        self.holding, self.held_bytes = False, 0

    def _told(self, held: _Held) -> bytes:
        """A frame with what goes before it, as the verdicts leave it; nothing of it where it has nothing to say."""
        chunk, raw = held.chunk, held.frame.raw
        edited = (chunk is not None and self._calls.changed and self._calls.edit(chunk)) or held.edited
        if chunk is not None and edited:
            raw = b"" if _says_nothing(chunk.document) else _with_document(raw, chunk.document)
        self.changed = self.changed or edited or bool(held.before)
        return held.before + raw

    def _notices(self, held: list[_Held], added: list[TextDelta]) -> Iterator[bytes]:
        """The texts that policies added, each choice's together, to go ahead of what was held."""
        number = next(each.chunk.number for each in held if each.chunk)
        by_choice: dict[int, list[TextDelta]] = {}
        for event in added:
            (index, _), _ = self._texts.place_of(event, number)
            by_choice.setdefault(index, []).append(event)
        for index, events in by_choice.items():
            yield self._notice(held, index, events)

    def _notice(self, held: list[_Held], index: int, events: list[TextDelta]) -> bytes:
        """A frame of our own, unless the first held frame, whose calls follow, has text that comes before."""
        frames = [(each, item) for each in held if (item := self._item_of(each, index)) is not None]
        contents = [text_of(_delta_of(item).get("content") or "") for _, item in frames]
        said = self._texts.start((index, "content"))
        if frames and frames[0][0] is held[0]:
            said.text = contents.pop(0)
        joins = bool(said.text)
        for event in events:
            said.add(event, added=True)
        said.text += GAP if any(contents) else ""
        if joins:
            set_text(frames[0][1], "delta", "content", said.text)
            held[0].edited = True
            return b""
        sent, lost_role = self._before([said], frames[0][0].chunk if frames else None)
        if lost_role:
            frames[0][0].edited = True
        return sent

    def _item_of(self, held: _Held, index: int) -> Json | None:
        items = self._reader.items_of(held.chunk.document) if held.chunk else ()
        return next((item for at, item in items if at == index), None)

    def _before(self, left: list[Said], chunk: Chunk | None) -> tuple[bytes, bool]:
        """Frames of our own to go before `chunk`, and whether it lost a choice's role to them: the first frame of a
        choice gives its role, and only that."""
        sent, lost_role = b"", False
        for said in left:
            index, name = said.place
            delta: Json = {name: said.text}
            for at, item in self._reader.items_of(chunk.document) if chunk else ():
                if at == index and _delta_of(item).get("role"):
                    delta = {"role": _delta_of(item).pop("role"), **delta}
                    lost_role = True
            sent += self._chunk(index, delta)
        return sent, lost_role

    def _chunk(self, index: int, delta: Json) -> bytes:
        head = {name: self._reader.head[name] for name in _HEAD if name in self._reader.head}
        choice = {"index": index, "delta": delta, "finish_reason": None}
        return block_of(dumps({**head, "object": "chat.completion.chunk", "choices": [choice]}))

    def refuse(self, sentence: str) -> bytes:
        self._forget()
        self._over = self.changed = True
        return block_of(error_body(sentence)) + block_of(b"[DONE]")

    def keep_alive(self) -> bytes:
        if self._over or not self._reader.choices or not (self._begun or self.holding):
            return b""
        first = next((each.chunk.number for each in self._held if each.chunk), self._number + 1)
        return self._chunk(self._texts.first_open(first), {})

    def message(self) -> bytes | None:
        return message_of(self._reader)


def _delta_of(item: Json) -> Json:
    return item.get("delta") or {}


def _says_nothing(document: Json) -> bool:
    """Whether what is left of a chunk may as well not be sent."""
    return not document.get("usage") and not any(
        item.get("finish_reason") or any(_delta_of(item).values()) for item in document["choices"]
    )


def _with_document(raw: bytes, document: Json) -> bytes:
    """The frame with another document; its other lines are kept where it has one line of data and that is first."""
    data = data_of(raw)
    if raw.startswith(b"data") and b"\n" not in data and raw.count(data) == 1:
        return raw.replace(data, dumps(document))
    return block_of(dumps(document))
