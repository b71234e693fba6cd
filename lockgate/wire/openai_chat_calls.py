"""The calls of a Chat Completions reply, told as the policies decided. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.errors import WireError
from lockgate.events import Event, ToolCall
from lockgate.wire.openai_chat_parts import Call, Choice, Chunk, Json, Piece
from lockgate.wire.openai_chat_read import Reader

_FOR_CALLS = ("tool_calls", "function_call")
"""The reasons to finish that promise a call."""


class Calls:
    """What became of the calls of one reply. A call without a verdict of its own goes on as it came."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._verdicts: dict[int, ToolCall | None] = {}
        self._told: set[int] = set()

    @property
    def changed(self) -> bool:
        """Whether a call was replaced or dropped."""
        return bool(self._verdicts)

    def note(self, given: Sequence[Event], out: Sequence[Event]) -> None:
        """Remember what was decided about the calls that a frame completed."""
        calls = {event.block: event for event in out if isinstance(event, ToolCall)}
        for event in given:
            if isinstance(event, ToolCall) and (now := calls.pop(event.block, None)) is not event:
                self._verdicts[event.block] = now
        if calls:
            raise WireError(f"a call belongs to block {min(calls)}, which its frame does not complete")

    def edit(self, chunk: Chunk) -> bool:
        """Let a frame tell what is left of the calls. Whether that changed it."""
        changed = [self._edit_piece(piece) for piece in chunk.pieces]
        for index, item in self._reader.items_of(chunk.document):
            if item.get("finish_reason") in _FOR_CALLS and self._all_dropped(self._reader.choices[index]):
                item["finish_reason"] = "stop"
                changed.append(True)
        return any(changed)

    def _all_dropped(self, choice: Choice) -> bool:
        return bool(choice.calls) and not any(self._survives(call) for call in choice.calls)

    def _survives(self, call: Call) -> bool:
        return self._verdicts.get(call.number, call) is not None

    def _edit_piece(self, piece: Piece) -> bool:
        call = piece.call
        if call.number not in self._verdicts:
            return self._move(piece)
        now = self._verdicts[call.number]
        if now is None or call.number in self._told:  # the first piece of a replaced call tells all of it
            _remove(piece)
            return True
        self._told.add(call.number)
        _replace(piece, now)
        self._move(piece)
        return True

    def _move(self, piece: Piece) -> bool:
        """Give a piece the index that its call has now: the indices in use are the first of those that came."""
        if None not in self._verdicts.values() or "index" not in piece.entry:
            return False
        calls = piece.call.choice.calls
        rank = [call.number for call in calls if self._survives(call)].index(piece.call.number)
        if piece.entry["index"] in (None, calls[rank].place):
            return False
        piece.entry["index"] = calls[rank].place
        return True


def _remove(piece: Piece) -> None:
    said = piece.said
    if piece.call.place is None:
        said.pop("function_call", None)
        return
    said["tool_calls"] = [other for other in said["tool_calls"] if other is not piece.entry]
    if not said["tool_calls"]:
        del said["tool_calls"]


def _replace(piece: Piece, now: ToolCall) -> None:
    kind = "custom" if piece.call.custom else "function"
    body: Json = piece.entry.get(kind) or piece.entry.setdefault(kind, {})
    body["name"] = now.name
    body["input" if piece.call.custom else "arguments"] = now.arguments
    if now.id != piece.call.id:
        piece.entry["id"] = now.id
