"""Frames of a streamed Responses reply, read: which item and text each is about, and what it says.

Nothing here changes or forwards anything. A text that no delta told, only a repeat at the end, is an event all the
same; so a server that sends nothing but `response.completed` is seen whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from lockgate.errors import WireError
from lockgate.events import BlockEnd, Event, MessageEnd, MessageStart, ReplyError, Unknown, Usage
from lockgate.wire.codec import Frame
from lockgate.wire.document import NotJson, dumps, loads
from lockgate.wire.openai_responses_items import (
    BY_DELTA,
    BY_DONE,
    BY_PART,
    CALL_DELTAS,
    CALL_DONES,
    CALL_TEXTS,
    PARTS,
    Block,
    Document,
    Item,
    Kind,
    call_of,
    is_call,
    mapping,
    number,
    objects,
    string,
    usage_of,
    word,
)

_UNKNOWN = (Unknown(),)
BEGINNINGS = ("response.created", "response.queued", "response.in_progress")


@dataclass(slots=True, eq=False)
class Piece:
    """What a frame was read as."""

    type: str
    document: Document
    item: Item | None = None
    block: Block | None = None
    delta: str | None = None
    """The text that a delta of `block` adds; None for other frames."""
    fast: bool = True
    """Whether it may pass as it came while nothing was changed before it."""
    starts: bool = False
    """Whether it begins a call that is to be held."""
    shows: Sequence[Block] = ()
    """The texts that it lets the client know of."""
    matched: Sequence[tuple[Document, Item]] = ()
    """The output that it repeats, each with the item it was."""
    ends: bool = False
    error: bool = False


@dataclass(slots=True, eq=False)
class Reader:
    """The state of one reply as it comes."""

    hold_calls: bool
    items: list[Item] = field(default_factory=list[Item])
    owners: list[Block | Item] = field(default_factory=list[Block | Item])
    """Texts and calls by their block number."""
    response: Document | None = None
    """The response object as last told."""
    opening: Document | None = None
    """The response object as first told, before anything was said."""
    usage: Usage | None = None
    over: bool = False
    _by_index: dict[int, Item] = field(default_factory=dict[int, Item])
    _by_place: dict[tuple[int, str, int], Block] = field(default_factory=dict[tuple[int, str, int], Block])

    def read(self, raw: bytes, data: bytes) -> Frame:
        """One frame. Raises WireError for a known type of a wrong shape."""
        try:
            document = loads(data) if data else None
        except NotJson:
            document = None
        if not isinstance(document, dict):
            return Frame(raw, _UNKNOWN, Piece("", {}))
        known = cast(Document, document)
        name: Any = known.get("type", "error" if "error" in known else "")
        kind = BY_DELTA.get(name) if isinstance(name, str) else None
        if kind is not None:
            return self._read_delta(raw, kind, known)
        piece = Piece(str(name), known)
        return Frame(raw, self._read_other(piece), piece)

    def _read_delta(self, raw: bytes, kind: Kind, document: Document) -> Frame:
        try:
            block = self._by_place.get((document["output_index"], kind.parts, document[kind.place]))
        except (KeyError, TypeError):
            block = None  # told below
        if block is None or block.kind is not kind:
            block = self._open(self._item(document), kind, number(document, kind.place))
        if block.ended:
            raise WireError(f"{kind.delta}: comes after the end of its text")
        text = document.get("delta")
        if not isinstance(text, str):
            raise WireError(f"{kind.delta}: 'delta' is not a text")
        block.came.append(text)
        return Frame(
            raw, (kind.event(block=block.number, text=text),), Piece(kind.delta, document, block.item, block, text)
        )

    def _read_other(self, piece: Piece) -> tuple[Event, ...]:
        reader = self._READERS.get(piece.type)
        if reader is None:
            index: Any = piece.document.get("output_index")
            piece.item = self._by_index.get(index) if isinstance(index, int) else None
            return _UNKNOWN
        if self.over:
            raise WireError(f"{piece.type}: comes after the end of the reply")
        return tuple(reader(self, piece))

    def _item(self, document: Document) -> Item:
        item = self._by_index.get(number(document, "output_index"))
        if item is None or item.done:
            raise WireError(f"{document['type']}: output_index {document['output_index']} names no open item")
        return item

    def _new_item(self, index: int, document: Document) -> Item:
        if self.items and index <= self.items[-1].came:
            raise WireError(f"output_index {index} comes after {self.items[-1].came}")
        for key in ("type", "id"):
            word(document, key)  # checked before it is kept
        item = self._by_index[index] = Item(index, document)
        self.items.append(item)
        return item

    def _open(self, item: Item, kind: Kind, place: int) -> Block:
        block = item.blocks.get((kind.parts, place))
        if block is None:
            block = Block(len(self.owners), item, kind, place)
            self.owners.append(block)
            item.blocks[kind.parts, place] = self._by_place[item.came, kind.parts, place] = block
        if block.kind is not kind:
            raise WireError(f"a {kind.part} comes where a {block.kind.part} was")
        return block

    # -- the kinds of frames, each: fill the piece in, give the events

    def _read_beginning(self, piece: Piece) -> list[Event]:
        first = self.response is None
        told = self._read_response(piece)
        self.opening = self.opening or {**told, "output": list[Any]()}
        if told.get("output"):
            piece.fast = False  # said before its items: it is left to them
        return [start_of(told)] if first else []

    def _read_response(self, piece: Piece) -> Document:
        self.response = mapping(piece.document, "response")
        self.usage = usage_of(self.response) or self.usage
        return self.response

    def _read_added(self, piece: Piece) -> list[Event]:
        document = mapping(piece.document, "item")
        piece.item = item = self._new_item(number(piece.document, "output_index"), document)
        self._claim(item, piece)
        events = self._absorb(item, document, piece, last=False)
        piece.shows = tuple(item.blocks.values())
        return events

    def _claim(self, item: Item, piece: Piece) -> None:
        if not is_call(item.document):
            return
        if item.number is None:
            item.number = len(self.owners)
            self.owners.append(item)
        if self.hold_calls:
            piece.starts, piece.fast = True, False

    def _read_part(self, piece: Piece) -> list[Event]:
        parts, place = PARTS[piece.type.rpartition(".")[0]]
        piece.item, part = self._item(piece.document), mapping(piece.document, "part")
        kind = BY_PART.get((parts, word(part, "type")))
        if kind is None:
            return list(_UNKNOWN)
        piece.block = self._open(piece.item, kind, number(piece.document, place))
        piece.shows = (piece.block,)
        return self._absorb_text(piece.block, string(part, kind.text), piece, last=piece.type.endswith(".done"))

    def _read_text_done(self, piece: Piece) -> list[Event]:
        kind = BY_DONE[piece.type]
        piece.item = self._item(piece.document)
        piece.block = self._open(piece.item, kind, number(piece.document, kind.place))
        return self._absorb_text(piece.block, string(piece.document, kind.text), piece, last=True)

    def _read_call_delta(self, piece: Piece) -> list[Event]:
        piece.item = self._item(piece.document)
        if piece.item.document.get("type") not in CALL_TEXTS:
            raise WireError(f"{piece.type}: its item is a {piece.item.document.get('type')}")
        piece.item.pieces.append(string(piece.document, "delta"))
        return []

    def _read_call_done(self, piece: Piece) -> list[Event]:
        piece.item = self._item(piece.document)
        piece.item.claims.append(string(piece.document, CALL_DONES[piece.type]))
        return []

    def _read_done(self, piece: Piece) -> list[Event]:
        index, document = number(piece.document, "output_index"), mapping(piece.document, "item")
        item = self._item(piece.document) if index in self._by_index else self._new_item(index, document)
        piece.item = item
        return self._finish(item, document, piece)

    def _finish(self, item: Item, document: Document, piece: Piece) -> list[Event]:
        _check_type(item, document, piece)
        word(document, "id")  # checked before it is kept
        begun, item.document, item.done = item.document, document, True
        self._claim(item, piece)
        events = self._absorb(item, document, piece, last=True)
        if item.number is not None and is_call(document):
            item.call = call_of(document, item.number)
            claims = [*item.claims, "".join(item.pieces), begun.get(CALL_TEXTS.get(begun["type"], ""))]
            item.torn = any(claim and claim != item.call.arguments for claim in claims)
            events.append(item.call)
        return events

    def _absorb(self, item: Item, document: Document, piece: Piece, *, last: bool) -> list[Event]:
        """The events of an item's whole form: what its deltas left out, and the ends of its texts."""
        events: list[Event] = []
        for parts in ("summary", "content"):
            for place, part in enumerate(objects(document, parts)):
                kind = BY_PART.get((parts, word(part, "type")))
                if kind is not None:
                    block = self._open(item, kind, place)
                    events += self._absorb_text(block, string(part, kind.text), piece, last=last)
        if last:
            for block in item.blocks.values():
                events += _end(block)
        return events

    def _absorb_text(self, block: Block, text: str, piece: Piece, *, last: bool) -> list[Event]:
        events: list[Event] = []
        said = "".join(block.came)
        if text != said and not block.ended and text.startswith(said):
            events.append(block.kind.event(block=block.number, text=text[len(said) :]))
            block.came.append(text[len(said) :])
        elif text != said:
            piece.fast = False  # a repeat that says something else is made to agree
        return events + (_end(block) if last else [])

    def _read_end(self, piece: Piece) -> list[Event]:
        response = self._read_response(piece)
        self.over = piece.ends = True
        events = self.read_output(response, piece)
        return [*events, MessageEnd(stop_reason=stop_reason_of(response, piece.type), usage=usage_of(response))]

    def read_output(self, response: Document, piece: Piece) -> list[Event]:
        """The events of the whole output that were not told before."""
        events: list[Event] = []
        piece.matched = self._match(objects(response, "output"))
        for document, item in piece.matched:
            if not item.done:
                events += self._finish(item, document, piece)
                continue
            _check_type(item, document, piece)
            events += self._absorb(item, document, piece, last=True)
            if item.call is None and is_call(document):
                raise WireError(f"{piece.type}: a {document.get('type')} comes again as the client's to run")
            if item.call is not None and call_of(document, item.call.block) != item.call:
                item.torn, piece.fast = True, False
        for item in self.items:
            for block in item.blocks.values():
                events += _end(block)
        return events

    def _match(self, output: list[Document]) -> list[tuple[Document, Item]]:
        """Each repeated item with the one that was streamed: by its id, else by where it stands."""
        named = {name: item for item in self.items if (name := word(item.document, "id"))}
        repeated = {word(document, "id") for document in output}
        left = [item for item in self.items if word(item.document, "id") not in repeated]
        pairs: list[tuple[Document, Item]] = []
        for document in output:
            item = named.pop(word(document, "id"), None)
            if item is None and left and left[0].document.get("type") == document.get("type"):
                item = left.pop(0)
            if item is None:
                item = self._new_item(self.items[-1].came + 1 if self.items else 0, document)
            pairs.append((document, item))
        return pairs

    def _read_failed(self, piece: Piece) -> list[Event]:
        response = self._read_response(piece)
        self.over = piece.error = True
        output = objects(response, "output")
        piece.matched, piece.fast = self._match(output), not output
        return [error_of(response.get("error"))]

    def _read_error(self, piece: Piece) -> list[Event]:
        self.over = piece.error = True
        return [error_of(piece.document.get("error") or piece.document)]

    _READERS: ClassVar[dict[str, Callable[[Reader, Piece], list[Event]]]] = {
        **dict.fromkeys(BEGINNINGS, _read_beginning),
        **dict.fromkeys(("response.completed", "response.incomplete"), _read_end),
        **dict.fromkeys(BY_DONE, _read_text_done),
        **dict.fromkeys(CALL_DELTAS, _read_call_delta),
        **dict.fromkeys(CALL_DONES, _read_call_done),
        **dict.fromkeys([f"{part}.added" for part in PARTS], _read_part),
        **dict.fromkeys([f"{part}.done" for part in PARTS], _read_part),
        "response.output_item.added": _read_added,
        "response.output_item.done": _read_done,
        "response.failed": _read_failed,
        "error": _read_error,
    }

    def message(self) -> bytes | None:
        """The reply as it came, as a whole one; None before any of it came."""
        if self.response is None and not self.items:
            return None
        response: Document = self.response or {"object": "response"}
        if not response.get("output"):
            response = {**response, "output": [_came(item) for item in self.items]}
        return dumps(response)


def _check_type(item: Item, document: Document, piece: Piece) -> None:
    """Raise WireError where an item comes again as another kind: what was said of it would not be what it is."""
    if document.get("type") != item.document.get("type"):
        raise WireError(f"{piece.type}: a {item.document.get('type')} became a {document.get('type')}")


def _end(block: Block) -> list[Event]:
    if block.ended:
        return []
    block.ended = True
    return [BlockEnd(block=block.number)]


def _came(item: Item) -> Document:
    """The item as far as it came."""
    if item.done:
        return item.document
    document = dict(item.document)
    for block in item.blocks.values():
        part = {"type": block.kind.part, block.kind.text: "".join(block.came)}
        document[block.kind.parts] = [*(document.get(block.kind.parts) or [])[: block.place], part]
    key = CALL_TEXTS.get(document.get("type", ""))
    if key is not None and item.pieces:
        document[key] = "".join(item.pieces)
    return document


def start_of(response: Document) -> MessageStart:
    return MessageStart(id=str(response.get("id") or ""), model=str(response.get("model") or ""))


def stop_reason_of(response: Document, type: str) -> str:
    """`completed`, or why it is not: the provider's word."""
    details: Any = response.get("incomplete_details")
    reason: Any = cast(Document, details).get("reason") if isinstance(details, dict) else None
    return str(reason or response.get("status") or type.removeprefix("response."))


def error_of(error: Any) -> ReplyError:
    """The provider's error, whichever of its shapes it has."""
    told: Document = cast(Document, error) if isinstance(error, dict) else {}
    return ReplyError(
        kind=str(told.get("code") or told.get("type") or "error"), message=str(told.get("message") or "no message")
    )
