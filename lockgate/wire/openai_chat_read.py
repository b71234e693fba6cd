"""Chat Completions documents read as events, a chunk of a stream or a whole completion. Nothing here does I/O.

A choice's text, refusal, thinking and each of its calls is a block; blocks are numbered as they appear. A text stays
open until the choice calls a tool or finishes. A call is complete when its choice finishes, because the pieces of
several calls may be interleaved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import (
    BlockEnd,
    Event,
    MessageEnd,
    MessageStart,
    ReplyError,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    Usage,
)
from lockgate.wire.openai_chat_parts import (
    THINKING,
    Block,
    Call,
    Choice,
    Chunk,
    Json,
    Piece,
    object_of,
    objects,
    string,
    text_of,
    usage_of,
)

_KNOWN = {"role", "content", "refusal", "tool_calls", "function_call", *THINKING}
_NOT_KEPT = {"choices", "obfuscation", "usage", "error"}


class Reader:
    """Documents of one reply in, events out. `member` is where choices speak: "delta" or "message"."""

    def __init__(self, member: str, expected: int = 1) -> None:
        self.member = member
        self.choices: dict[int, Choice] = {}
        self.blocks: list[Block | Call] = []
        self.head: Json = {}
        """The members of the chunks that are not about a choice."""
        self.usage: Usage | None = None
        self.counts: Json | None = None
        """The usage as the provider says it."""
        self.ended = False
        self.failed = False
        self._whole = member == "message"
        self._expected = 0 if self._whole else expected
        self._finished = False
        self._number = 0
        self._now: list[Event] = []
        self._pieces: list[Piece] = []

    def read(self, document: Json) -> tuple[tuple[Event, ...], Chunk]:
        """The events that a document completes. Raises WireError where its shape is not the format's."""
        self._number += 1
        if event := self._read_plain(document):
            return (event,), Chunk(document, self._number, ())
        self._now, self._pieces = [], []
        items = objects(document.get("choices"), "choices")
        if usage := document.get("usage"):
            self._count(usage)
        if not items or not self.choices:
            self._read_head(document, starts=bool(items or self._whole) and not self.choices)
        if len(items) > 1 and len(dict(self.items_of(document))) < len(items):
            raise WireError("a choice is repeated in one document")
        for position, item in enumerate(items):
            self._read_choice(item, self.index_of(item, position))
        if self._whole:
            self._finish_all()
        if self._finished:
            self._read_end()
        return tuple(self._now), Chunk(document, self._number, self._pieces)

    def _read_plain(self, document: Json) -> TextDelta | None:
        """The text of a document that goes on with one and says nothing else: the shortest way for nearly all."""
        try:
            (item,) = document["choices"]
            said = item[self.member]
            text, choice = said["content"], self.choices[item["index"]]
            block = choice.open["content"]
        except (KeyError, ValueError, TypeError):
            return None
        if len(said) != 1 or len(choice.open) != 1 or type(text) is not str or not text:
            return None
        if item.get("finish_reason") or item.get("logprobs") or document.get("usage"):
            return None
        block.parts.append(text)
        return TextDelta(block=block.number, text=text)

    def read_error(self, document: Json) -> ReplyError:
        """The error of a document that brings one. Nothing may be said with it or after it."""
        for _, item in self.items_of(document):
            said = object_of(item.get(self.member) or {}, self.member)
            if any(value for name, value in said.items() if name != "role"):
                raise WireError("a document brings an error and goes on with the reply")
        self.failed = True
        for choice in self.choices.values():
            choice.open.clear()
        error = document.get("error") or document
        members = cast(Json, error) if isinstance(error, dict) else {"message": error}
        kind = members.get("type") or members.get("code") or "error"
        return ReplyError(kind=str(kind), message=str(members.get("message", "")))

    def items_of(self, document: Json) -> Iterator[tuple[int, Json]]:
        """What a document says about each choice, by the choice's index."""
        items = objects(document.get("choices"), "choices")
        return ((self.index_of(item, position), item) for position, item in enumerate(items))

    def index_of(self, item: Json, position: int) -> int:
        """Which choice an item is about; compatible servers leave it out where there is but one."""
        index = item.get("index")
        if index is None:
            return position
        if type(index) is not int:
            raise WireError(f"a choice's index is not a number but {type(index).__name__}")
        return index

    def finish(self) -> tuple[Event, ...]:
        """The events of the end of the stream. Raises WireError where a choice has not finished."""
        if not self.failed and any(choice.finished_at is None for choice in self.choices.values()):
            raise WireError("the reply ended without its closing frames: a choice has no finish_reason")
        if self.ended or self.failed or not self.choices:
            return ()
        return (self._end(),)

    def _read_head(self, document: Json, *, starts: bool) -> None:
        for key, value in document.items():
            if key not in _NOT_KEPT and (value or self.head.get(key) is None):
                self.head[key] = value
        if starts:
            self._now.append(MessageStart(id=str(document.get("id") or ""), model=str(document.get("model") or "")))

    def _count(self, usage: Any) -> None:
        self.counts = object_of(usage, "usage")
        self.usage = usage_of(self.counts)

    def _finish_all(self) -> None:
        for choice in self.choices.values():
            self._finish(choice, choice.finish)
        self._finished = True

    def _read_end(self) -> None:
        """The message ends with its last choice; a choice that was asked for may still begin."""
        self._finished = False
        choices = self.choices.values()
        if not self.ended and len(choices) >= self._expected and all(c.finished_at is not None for c in choices):
            self._now.append(self._end())

    def _end(self) -> MessageEnd:
        self.ended = True
        reason = self.choices[min(self.choices)].finish if self.choices else ""
        return MessageEnd(stop_reason=reason, usage=self.usage)

    def _read_choice(self, item: Json, index: int) -> None:
        choice = self.choices.get(index) or self._begin(index)
        said = object_of(item.get(self.member) or {}, self.member)
        self._read_texts(choice, said)
        self._read_calls(choice, said)
        if not said.keys() <= _KNOWN:
            self._keep(choice, said)
        if logprobs := item.get("logprobs"):
            for name, tokens in object_of(logprobs, "logprobs").items():
                choice.logprobs.setdefault(name, []).extend(cast(list[Any], tokens) if isinstance(tokens, list) else [])
        if (reason := string(item, "finish_reason")) and choice.finished_at is None:
            if usage := item.get("usage"):
                self._count(usage)  # where Moonshot says it
            choice.finish = reason
            if not self._whole:
                self._finish(choice, reason)
                self._finished = True

    def _begin(self, index: int) -> Choice:
        if self.ended or self.failed:
            raise WireError(f"choice {index} begins after the reply's end")
        self.choices[index] = choice = Choice(index=index)
        return choice

    def _read_texts(self, choice: Choice, said: Json) -> None:
        thoughts = {string(said, name): name for name in THINKING if said.get(name)}  # both say the same, or both count
        if thoughts:
            self._read_text(choice, "thinking", next(iter(thoughts.values())), "".join(thoughts))
        for name in ("content", "refusal"):
            value = said.get(name)
            if value:
                self._read_text(choice, name, name, value if isinstance(value, str) else text_of(value))

    def _read_text(self, choice: Choice, kind: str, name: str, text: str) -> None:
        if not text:
            return
        if kind != "thinking" and "thinking" in choice.open:
            self._close(choice, "thinking")
        block = choice.open.get(kind) or self._open(choice, kind, name)
        block.parts.append(text)
        event = ThinkingDelta if kind == "thinking" else TextDelta
        self._now.append(event(block=block.number, text=text))

    def _open(self, choice: Choice, kind: str, name: str) -> Block:
        self._check_open(choice)
        block = Block(number=len(self.blocks), choice=choice, name=name)
        self.blocks.append(block)
        choice.texts.append(block)
        choice.open[kind] = block
        return block

    def _check_open(self, choice: Choice) -> None:
        if choice.finished_at is not None or self.failed:
            raise WireError(f"choice {choice.index} says more after its end")

    def _close(self, choice: Choice, *kinds: str) -> None:
        for kind in kinds:
            self._now.append(BlockEnd(block=choice.open.pop(kind).number))

    def _read_calls(self, choice: Choice, said: Json) -> None:
        entries = [(entry, False) for entry in objects(said.get("tool_calls"), "tool_calls")]
        if function := said.get("function_call"):
            entries.append(({"function": object_of(function, "function_call")}, True))
        for entry, older in entries:
            self._check_open(choice)
            self._close(choice, *choice.open)
            self._pieces.append(Piece(said, entry, self._read_call(choice, entry, older)))

    def _read_call(self, choice: Choice, entry: Json, older: bool) -> Call:
        call = self._find_call(choice, entry, older) or self._begin_call(choice, entry, older)
        body = object_of(entry.get("custom" if call.custom else "function") or {}, "a tool call")
        if entry.get("function" if call.custom else "custom"):
            raise WireError("a tool call is both a function and custom")
        call.id = call.id or string(entry, "id")
        name = string(body, "name")
        if name != call.name:  # a server that repeats the whole name in every piece means it once
            call.name += name
        call.parts.append(string(body, "input" if call.custom else "arguments"))
        return call

    def _find_call(self, choice: Choice, entry: Json, older: bool) -> Call | None:
        """The call that a piece goes on with, None where it begins one.

        Servers that leave the index out or number every call 0 begin a call with another id and a name; servers that
        make up an id for each piece send the name once.
        """
        if self._whole:
            return None
        place, id = entry.get("index"), string(entry, "id")
        named = bool(object_of(entry.get("function") or entry.get("custom") or {}, "a tool call").get("name"))
        calls = [call for call in choice.calls if (call.place is None) == older and place in (None, call.place)]
        if id and (same := [call for call in calls if call.id == id]):
            return same[-1]
        last = calls[-1] if calls else None
        another = id and last and last.id if place is not None else id or (last and last.parts != [""])
        return None if named and another and not older else last

    def _begin_call(self, choice: Choice, entry: Json, older: bool) -> Call:
        place = entry.get("index")
        if place is None:
            place = len(choice.calls)
        if type(place) is not int:
            raise WireError(f"a tool call's index is not a number but {type(place).__name__}")
        custom = entry.get("type") == "custom" or "custom" in entry
        call = Call(number=len(self.blocks), choice=choice, place=None if older else place, custom=custom)
        self.blocks.append(call)
        choice.calls.append(call)
        return call

    def _keep(self, choice: Choice, said: Json) -> None:
        for name in said.keys() - _KNOWN:
            value, before = said[name], choice.others.get(name)
            if isinstance(value, list) and isinstance(before, list):
                choice.others[name] = [*cast(list[Any], before), *cast(list[Any], value)]
            elif value is not None:
                choice.others[name] = value

    def _finish(self, choice: Choice, reason: str) -> None:
        choice.finish, choice.finished_at = reason, self._number
        self._close(choice, *choice.open)
        for call in choice.calls:
            self._now.append(
                ToolCall(block=call.number, id=call.id, name=call.name, arguments=call.arguments, custom=call.custom)
            )
