"""Where the texts of a Chat Completions reply go when policies changed them. Nothing here does I/O.

A choice's message has one string for all of its content: a text that a policy adds is set apart by an empty line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import NEW_BLOCK, Event, TextDelta, ThinkingDelta
from lockgate.wire.openai_chat_parts import THINKING, Block, Call, Choice, Chunk, Json, objects
from lockgate.wire.openai_chat_read import Reader

type Place = tuple[int, str]
"""Where text is said: the choice's index and the member of its message."""

GAP = "\n\n"


@dataclass(slots=True, kw_only=True)
class Said:
    """What is to be said at one place. `follows` says that the client has some of that place's text already."""

    place: Place
    follows: bool = False
    events: list[Event] = field(default_factory=list[Event])
    text: str = ""
    added_last: bool = False

    def add(self, event: TextDelta | ThinkingDelta, *, added: bool) -> None:
        self.events.append(event)
        if not event.text:
            return
        apart = (added or self.added_last) and (self.follows or bool(self.text))
        if apart and not self.text.endswith("\n") and not event.text.startswith("\n"):
            self.text += GAP
        self.text += event.text
        self.added_last = added


class Texts:
    """The texts of one reply. `begun` is the choices of whose content the client has some."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.begun: set[int] = set()

    def edit(
        self,
        chunk: Chunk | None,
        number: int,
        given: Sequence[Event],
        out: Sequence[Event],
        apart: list[TextDelta] | None,
    ) -> tuple[list[Said], bool]:
        """Let frame `number`, which says `given`, say `out` instead, at the places where it says something.

        Gives what is left to say elsewhere, and whether the frame changed. What policies added is put `apart`.
        """
        places = self._places(out, number, apart)
        edited = False
        for event in given:
            if chunk is None or not isinstance(event, TextDelta | ThinkingDelta):
                continue
            place, _ = self.place_of(event, number)
            said = places.pop(place, None) or Said(place=place)
            if len(said.events) != 1 or said.events[0] is not event:
                set_text(self.item_of(chunk, place[0]), self._reader.member, place[1], said.text)
                edited = True
        return [said for said in places.values() if said.text], edited

    def _places(self, out: Sequence[Event], number: int, apart: list[TextDelta] | None) -> dict[Place, Said]:
        places: dict[Place, Said] = {}
        for event in out:
            if not isinstance(event, TextDelta | ThinkingDelta):
                continue
            place, added = self.place_of(event, number)
            if added and apart is not None and isinstance(event, TextDelta):
                apart.append(event)
            else:
                places.setdefault(place, self.start(place)).add(event, added=added)
        for said in places.values():
            if said.added_last and self._goes_on(said.place[0], number):
                said.text += GAP
        return places

    def place_of(self, event: TextDelta | ThinkingDelta, number: int) -> tuple[Place, bool]:
        """Where a text of frame `number` is said, and whether a policy added it."""
        if event.block == NEW_BLOCK:
            return (self.first_open(number), "content"), True
        blocks = self._reader.blocks
        if not 0 <= event.block < len(blocks):
            raise WireError(f"a text belongs to block {event.block}, which the reply does not have")
        block = blocks[event.block]
        return (block.choice.index, block.name if isinstance(block, Block) else "content"), isinstance(block, Call)

    def first_open(self, number: int) -> int:
        """The first choice that had not finished before frame `number`."""
        choices = sorted(self._reader.choices.items())
        return next((index for index, choice in choices if not _finished_before(choice, number)), 0)

    def _goes_on(self, index: int, number: int) -> bool:
        choice = self._reader.choices.get(index)
        return choice is None or not _finished_before(choice, number + 1)

    def start(self, place: Place) -> Said:
        return Said(place=place, follows=place[1] == "content" and place[0] in self.begun)

    def note(self, sent: Sequence[Event], number: int) -> None:
        """Remember of which choices the client has content now."""
        for event in sent:
            if isinstance(event, TextDelta) and event.text:
                (index, name), _ = self.place_of(event, number)
                if name == "content":
                    self.begun.add(index)

    def item_of(self, chunk: Chunk, index: int) -> Json:
        """What a document says about a choice. Raises WireError when it says nothing."""
        for at, item in self._reader.items_of(chunk.document):
            if at == index:
                return item
        raise WireError(f"there is no choice {index} to say a text in")


def _finished_before(choice: Choice, number: int) -> bool:
    return choice.finished_at is not None and choice.finished_at < number


def set_text(item: Json, member: str, name: str, text: str) -> None:
    """Let a choice say `text`. What tells its tokens, or repeats it, goes: it would tell what was there before."""
    said = item.get(member) or item.setdefault(member, {})
    names = [other for other in THINKING if said.get(other)] if name in THINKING else [name]
    for each in names or [name]:
        said[each] = _with_text(said.get(each), text)
    if name in THINKING:
        said.pop("reasoning_details", None)
    if item.get("logprobs"):
        item["logprobs"] = None


def _with_text(value: Any, text: str) -> Any:
    """`text` in place of the value, a string or a list of parts; its first text part says all of it."""
    if not isinstance(value, list):
        return text
    parts = objects(cast(Any, value), "content")
    first = next((part for part in parts if "text" in part), None)
    if first is None:
        return text
    first["text"] = text
    return [part for part in parts if part is first or "text" not in part]
