"""Frames of a streamed Responses reply, sent: each as it came, or changed to agree with what was sent before it.

Everything later in the stream repeats what was said earlier, so this keeps what the client was told: the texts, the
calls, where each item stands, and how the frames are numbered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard, cast

from lockgate.errors import WireError
from lockgate.events import NEW_BLOCK, BlockEnd, Event, TextDelta, ThinkingDelta, ToolCall
from lockgate.wire.codec import Frame
from lockgate.wire.document import dumps
from lockgate.wire.openai_responses_items import (
    BY_DONE,
    BY_PART,
    CALL_DELTAS,
    CALL_DONES,
    PARTS,
    Block,
    Document,
    Item,
    message_frames,
    message_item,
    new_id,
    with_call,
    with_call_begun,
    with_text,
)
from lockgate.wire.openai_responses_read import BEGINNINGS, Piece, Reader
from lockgate.wire.sse import block_of

type Note = tuple[int, list[str]]
"""A text that a policy adds: before which of the waiting items it stands, and its pieces."""


@dataclass(slots=True, eq=False)
class Sender:
    """The state of one reply as the client knows it."""

    reader: Reader
    rename: bool
    """Whether a reply that loses a call gets an id that the provider does not know."""
    changed: bool = False
    moved: bool = False
    """Whether a frame may no longer pass as it came without a look."""
    closed: bool = False
    begun: bool = False
    added: list[tuple[int, Document]] = field(default_factory=list[tuple[int, Document]])
    _last: int | None = None
    """The number of the last frame sent."""
    _drift: int = 0
    """How far the frames' numbers are ahead of the provider's."""
    _next: int = 0
    """The output_index after all that are taken."""
    _shift: int = 0
    """How far the items' indices are ahead of the provider's."""
    _new_id: str = ""

    # -- frames that nobody changed

    def mark(self, piece: Piece, events: Sequence[Event]) -> None:
        """Remember a frame that goes out as it came."""
        if piece.delta is not None and piece.block is not None:
            piece.block.sent.append(piece.delta)
            piece.block.shown = True
        else:
            self._place_all(piece)
            for event in events:
                if isinstance(event, TextDelta | ThinkingDelta):
                    self.block(event).sent.append(event.text)
            self._settle_frame(piece, events)
        self._last = piece.document.get("sequence_number", self._last)
        self.begun = True

    def _settle_frame(self, piece: Piece, events: Sequence[Event]) -> None:
        """What the client knows after this frame."""
        for block in piece.shows:
            block.shown = True
        for event in events:
            if isinstance(event, BlockEnd):
                self.block(event).closed = True
        if piece.item is not None and piece.type == "response.output_item.done":
            piece.item.over = True
        self.closed = self.closed or piece.ends or piece.error

    def block(self, event: TextDelta | ThinkingDelta | BlockEnd) -> Block:
        owner = self._owner(event.block)
        if not isinstance(owner, Block):
            raise WireError(f"block {event.block} is a call: it holds no text")
        return owner

    def _owner(self, block: int) -> Block | Item:
        if not 0 <= block < len(self.reader.owners):
            raise WireError(f"a policy spoke of block {block}, which is not in this reply")
        return self.reader.owners[block]

    def _place_all(self, piece: Piece) -> None:
        """Give a place to the items that this frame tells of first."""
        items = [item for _, item in piece.matched] if piece.ends else [piece.item]
        for item in items:
            if item is not None and item.index is None and not item.dropped:
                self._place(item)

    def _place(self, item: Item) -> None:
        item.index = item.came + self._shift
        self._next = item.index + 1

    # -- frames that may differ

    def send(self, frame: Frame, out: Iterable[Event]) -> bytes:
        """The bytes of one frame and of the texts that go with it."""
        piece: Piece = frame.document
        if piece.item is not None and piece.item.dropped:
            return self._texts(piece, out)[0] + self._leave_out(piece)
        self._place_all(piece)
        if piece.type in BEGINNINGS:
            sent = self._send_frame(frame, piece, None)
            return sent + self._texts(piece, out)[0]
        texts, own = self._texts(piece, out)
        return texts + self._send_frame(frame, piece, own)

    def _send_frame(self, frame: Frame, piece: Piece, own: str | None) -> bytes:
        self.begun = True
        document = self._agreeing(piece, own)
        sent = self._leave_out(piece) if document is None else self._encode(frame.raw, piece, document)
        self._settle_frame(piece, frame.events)
        return sent

    def _texts(self, piece: Piece, out: Iterable[Event]) -> tuple[bytes, str | None]:
        """New frames for the texts in `out`, and the text of this frame itself (None: it says nothing any more)."""
        frames, own = list[bytes](), list[str]()
        notes: list[str] = []
        for event in out:
            if self.is_note(event) or (isinstance(event, TextDelta) and self.block(event).closed):
                notes.append(event.text)
                continue
            frames += self._add(notes)
            if isinstance(event, TextDelta | ThinkingDelta):
                block = self.block(event)
                block.sent.append(event.text)
                if block is piece.block and piece.delta is not None:
                    own.append(event.text)
                elif block.shown and event.text:
                    frames.append(self._delta(block, event.text))
        frames += self._add(notes)
        return b"".join(frames), "".join(own) if own else None

    def is_note(self, event: Event) -> TypeGuard[TextDelta]:
        """Whether it is a text that no block of the reply asks for: a new one, or one about a call."""
        if not isinstance(event, TextDelta):
            return False
        return event.block == NEW_BLOCK or isinstance(self._owner(event.block), Item)

    def _delta(self, block: Block, text: str) -> bytes:
        logprobs: Document = {"logprobs": []} if block.kind.part == "output_text" else {}
        id = block.item.document.get("id", "")
        at = {"item_id": id, "output_index": block.item.index, block.kind.place: block.place}
        self.changed = True
        return self.fresh({"type": block.kind.delta, **at, "delta": text, **logprobs})

    def _add(self, texts: list[str]) -> list[bytes]:
        """A message of its own that says these texts; nothing where there are none."""
        text = "".join(texts)
        texts.clear()
        if not text:
            return []
        item, index = message_item(text), self._next
        self._next, self._shift, self.changed = index + 1, self._shift + 1, True
        self.added.append((index, item))
        return [self.fresh(document) for document in message_frames(item, index)]

    def fresh(self, document: Document) -> bytes:
        """A frame of our own, numbered after the last one."""
        self.moved = True
        if self._last is not None or not self.begun:
            self._last = (-1 if self._last is None else self._last) + 1
            self._drift += 1
            document["sequence_number"] = self._last
        self.begun = True
        return block_of(dumps(document), event=document["type"])

    def _leave_out(self, piece: Piece) -> bytes:
        self.changed = True
        self.forget(piece)
        return b""

    def forget(self, piece: Piece) -> None:
        """This frame is never sent: the later ones move up."""
        self.moved = True
        self._drift -= isinstance(piece.document.get("sequence_number"), int)

    def _encode(self, raw: bytes, piece: Piece, document: Document) -> bytes:
        values: Document = {}
        sequence, index = document.get("sequence_number"), document.get("output_index")
        if isinstance(sequence, int):
            self._last = sequence + self._drift
            values["sequence_number"] = self._last
        if isinstance(index, int):
            values["output_index"] = index + self._shift if piece.item is None else piece.item.index
        if document is not piece.document:
            self.changed = self.moved = True
        elif all(document[key] == value for key, value in values.items()):
            return raw
        named = raw.startswith(b"event:") or b"\nevent:" in raw
        return block_of(dumps({**document, **values}), event=piece.type if named else "")

    # -- repeats

    def _agreeing(self, piece: Piece, own: str | None) -> Document | None:
        """The frame's document as it agrees with what was sent; itself where it does, None to leave it out."""
        document = piece.document
        if piece.delta is not None:
            return None if own is None else with_text(document, "delta", own)
        if piece.type in BY_DONE and piece.block is not None:
            return with_text(document, BY_DONE[piece.type].text, "".join(piece.block.sent))
        if piece.type.rpartition(".")[0] in PARTS and piece.block is not None:
            part = with_text(document["part"], piece.block.kind.text, "".join(piece.block.sent))
            return _with(document, "part", part)
        if isinstance(document.get("response"), dict):
            return _with(document, "response", self.released(document["response"], piece))
        if piece.item is None:
            return document
        if isinstance(document.get("item"), dict):
            return _with(document, "item", self._released_item(piece.item, document["item"], piece.type))
        return document if piece.item.replacement is None else self._replaced(piece, piece.item, piece.item.replacement)

    def _replaced(self, piece: Piece, item: Item, call: ToolCall) -> Document | None:
        """A frame between the beginning and the end of a call that was replaced: its arguments come as one delta."""
        if piece.type in CALL_DONES:
            named = {"name": call.name} if "name" in piece.document else {}
            return {**piece.document, CALL_DONES[piece.type]: call.arguments, **named}
        if piece.type not in CALL_DELTAS or item.told:
            return None
        item.told = True
        return {**piece.document, "delta": call.arguments}

    def _released_item(self, item: Item, document: Document, type: str = "") -> Document:
        """The item with the texts and the call that were sent."""
        released = document
        for parts in ("summary", "content"):
            given: list[Document] = document.get(parts) or []
            agreed = [self._released_part(item, parts, place, part) for place, part in enumerate(given)]
            if any(new is not old for new, old in zip(agreed, given, strict=True)):
                released = {**released, parts: agreed}
        if item.replacement is None:
            return released
        if type == "response.output_item.added":
            return with_call_begun(released, item.replacement, told_later=bool(item.pieces))
        return with_call(released, item.replacement)

    def _released_part(self, item: Item, parts: str, place: int, part: Document) -> Document:
        kind, block = BY_PART.get((parts, part.get("type", ""))), item.blocks.get((parts, place))
        return part if kind is None or block is None else with_text(part, kind.text, "".join(block.sent))

    def released(self, response: Document, piece: Piece) -> Document:
        """The response object as it agrees with what was sent."""
        output: list[Document] = response.get("output") or []
        if output or (piece.ends and not self.reader.items):  # some servers leave it empty though items came
            response = self._with_output(response, output, piece)
        return {**response, "id": self._new_id} if self._new_id and "id" in response else response

    def _with_output(self, response: Document, output: list[Document], piece: Piece) -> Document:
        if piece.ends or piece.error:
            pairs = [(item.index, self._released_item(item, document)) for document, item in piece.matched]
            agreed = self._sorted([(index, one) for index, one in pairs if index is not None])
        else:
            agreed = self.sent_output()
        if agreed == output:
            return response
        changed = {**response, "output": agreed}
        if isinstance(response.get("output_text"), str):  # some servers add it for convenience
            changed["output_text"] = "".join(_text_of(item) for item in agreed)
        return changed

    def sent_output(self) -> list[Document]:
        """The items that the client has whole."""
        done = [item for item in self.reader.items if item.over and item.index is not None]
        return self._sorted([(cast(int, item.index), self._released_item(item, item.document)) for item in done])

    def _sorted(self, items: list[tuple[int, Document]]) -> list[Document]:
        return [document for _, document in sorted([*items, *self.added], key=lambda pair: pair[0])]

    # -- the end of a hold

    def release(self, held: Sequence[tuple[Frame, Sequence[Event]]]) -> bytes:
        """The held frames: the added texts first, then the calls that survive."""
        chunks = [self.settle([out for _, out in held])]
        for frame, out in held:
            chunks.append(self.send(frame, [one for one in out if not self.is_note(one)]))
        return b"".join(chunks)

    def settle(self, outs: Sequence[Sequence[Event]]) -> bytes:
        """Give every waiting item its place, and every added text one before the first call among them."""
        waiting = [item for item in self.reader.items if item.index is None]
        self._judge(waiting, {one.block: one for out in outs for one in out if isinstance(one, ToolCall)})
        notes = self._notes(waiting, [one for out in outs for one in out])
        frames: list[bytes] = []
        for place, item in enumerate([*waiting, None]):
            for _, texts in [note for note in notes if note[0] == place]:
                frames += self._add(texts)
            if item is not None and item.dropped:
                self._shift -= 1
            elif item is not None:
                self._place(item)
        return b"".join(frames)

    def _judge(self, waiting: list[Item], kept: dict[int, ToolCall]) -> None:
        """Note which calls go and which say something else. A call that never came whole goes."""
        for item in waiting:
            if item.number is None or (item.done and item.call is None):
                continue
            call = kept.pop(item.number, None)
            if item.call is None or call is None:
                item.dropped = True
                self.changed = self.moved = True
                self._new_id = self._new_id or (new_id("resp") if self.rename else "")
            elif item.torn or call != item.call:
                item.replacement = call
        if kept:
            raise WireError(f"a policy gave a call of block {min(kept)}, which the model did not make in this reply")

    def _notes(self, waiting: list[Item], events: list[Event]) -> list[Note]:
        """The added texts, each with its place among the waiting items: where it was said, but before any call.

        What is said about a call, or after the last that the items say, stands at the end of what comes before calls.
        """
        limit = next((place for place, item in enumerate(waiting) if item.number is not None), len(waiting))
        notes: list[Note] = []
        by_key: dict[tuple[int, int], list[str]] = {}
        last, reached = (-1, 0), -1
        final = max((at for at, event in enumerate(events) if self._item_of(event) in waiting), default=-1)
        for at, event in enumerate(events):
            if self.is_note(event):
                late = event.block != NEW_BLOCK or at > final
                key = (limit if late else min(reached + 1, limit), event.block)
                if key not in by_key or (event.block == NEW_BLOCK and last != key):
                    by_key[key] = []
                    notes.append((key[0], by_key[key]))
                by_key[key].append(event.text)
                last = key
            elif (item := self._item_of(event)) in waiting:
                reached = max(reached, waiting.index(item))
        return notes

    def _item_of(self, event: Event) -> Item | None:
        if self.is_note(event) or not isinstance(event, TextDelta | ThinkingDelta | BlockEnd | ToolCall):
            return None
        owner = self._owner(event.block)
        return owner if isinstance(owner, Item) else owner.item


def _with(document: Document, key: str, value: Document) -> Document:
    return document if value is document[key] else {**document, key: value}


def _text_of(item: Document) -> str:
    parts: list[Document] = item.get("content") or []
    return "".join(str(part.get("text", "")) for part in parts if part.get("type") == "output_text")
