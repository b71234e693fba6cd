"""Finds things in text that comes in pieces, with results that do not depend on where it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from lockgate.events import NEW_BLOCK, BlockEnd, Event, MessageEnd, TextDelta, text_delta
from lockgate.exchange import Exchange
from lockgate.policies.base import Policy
from lockgate.policies.patterns import Finder, Found

PIECE_CHARS = 1_024
"""Longer texts are taken in such pieces: it bounds what a pattern that nearly matches everywhere may cost."""


class Pieces(Protocol):
    """One text on its way, looked through: pieces in, pieces out, joined the same for every cut."""

    finds: int
    """How many finds there were so far."""

    @property
    def held(self) -> str:
        """What is held back, as it came."""
        ...

    def receive_text(self, text: str) -> str: ...
    def end(self) -> str: ...


type Instead = Callable[[int, Found], str]
"""What stands instead of a find of the finder with this number."""


class Window:
    """One text: pieces in, pieces out. The pieces that come out, joined, are the same for every cut.

    Finds are taken from left to right without overlap; where two begin at one place, the finder listed first wins.
    What more text could still change is held back: never more than the longest find.
    """

    def __init__(self, finders: Sequence[Finder], instead: Instead) -> None:
        self._finders, self._instead = finders, instead
        self._text = ""
        """The character before what is held back, which `\\b` and `^` look at, and what is held back."""
        self._at = 0
        """Where in it what is held back begins."""
        self.finds = 0

    @property
    def held(self) -> str:
        """What is held back, as it came."""
        return self._text[self._at :]

    def receive_text(self, text: str) -> str:
        """What may go on, now that this piece has come."""
        pieces = (text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS))
        return "".join(self._take(piece, ended=False) for piece in pieces)

    def end(self) -> str:
        """The rest: no more text comes."""
        return self._take("", ended=True)

    def _take(self, piece: str, *, ended: bool) -> str:
        text, at, out = self._text + piece, self._at, list[str]()
        nexts = [finder.find(text, at) for finder in self._finders]
        while True:
            found = self._first(nexts)
            opens = [len(text) + 1 if ended else finder.open_from(text, at) for finder in self._finders]
            if found is None or not _decided(found[1].start, found[0], opens):
                break
            out += (text[at : found[1].start], self._instead(*found))
            self.finds += 1
            at = found[1].end
            nexts = [
                finder.find(text, at) if old is not None and old.start < at else old
                for finder, old in zip(self._finders, nexts, strict=True)
            ]
        bound = min(len(text) if found is None else found[1].start, len(text), *opens)
        out.append(text[at:bound])
        keep = max(bound - 1, 0)
        self._text, self._at = text[keep:], bound - keep
        return "".join(out)

    def _first(self, nexts: Sequence[Found | None]) -> tuple[int, Found] | None:
        found = [(number, found) for number, found in enumerate(nexts) if found is not None]
        return min(found, key=lambda one: (one[1].start, one[0]), default=None)


def _decided(start: int, number: int, opens: Sequence[int]) -> bool:
    """Whether no more text can put another find before this one."""
    return all(place > start or (place == start and other > number) for other, place in enumerate(opens))


def replace_finds(finders: Sequence[Finder], instead: Instead, text: str) -> str:
    """The whole text with every find replaced: the same as a Window gives for its pieces."""
    if not any(finder.occurs(text) for finder in finders):
        return text
    window = Window(finders, instead)
    return window.receive_text(text) + window.end()


class TextWindow(Policy):
    """The base of policies that find things in text, wherever the deltas were cut.

    A subclass sets `finders` and says in `instead` what stands in place of a find; it may raise Blocked there.
    """

    def __init__(self, options: Any, shared: Any = None) -> None:
        super().__init__(options, shared)
        self.finders: Sequence[Finder] = ()
        self.moved = False
        """Whether the last hook gave back what it was given, only later or in other pieces: nothing to record."""
        self._windows: dict[int, Pieces] = {}
        """The texts that have begun and not ended, by block."""

    @classmethod
    def sees(cls, options: Any) -> frozenset[str]:
        """What a rule with these options looks at."""
        return frozenset({"text", "event"})

    def instead(self, number: int, found: Found) -> str:
        """What stands instead of a find of `finders[number]`."""
        raise NotImplementedError

    def new_window(self) -> Pieces | None:
        """What a text that begins now is looked through with; None where nothing is looked for."""
        return Window(self.finders, self.instead) if self.finders else None

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        out = self.take(text)
        return (out,) if isinstance(out, TextDelta) else out

    def take(self, text: TextDelta) -> TextDelta | tuple[()]:
        """What a piece of text becomes: what waits for nothing need not be asked as if it did."""
        window = self._windows.get(text.block) or self._begun(text.block)
        if window is None:
            self.moved = False
            return text
        finds, out = window.finds, window.receive_text(text.text)
        if text.block == NEW_BLOCK:  # whole, and no end of it follows
            out += window.end()
        self.moved = window.finds == finds
        if out == text.text:
            return text
        return text_delta(text.block, out) if out else ()

    def _begun(self, block: int) -> Pieces | None:
        window = self.new_window()
        if window is not None and block != NEW_BLOCK:
            self._windows[block] = window
        return window

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        if isinstance(event, TextDelta):  # nearly all of them
            return await self.on_text(event, x)
        self.moved = False
        match event:
            case BlockEnd(block=block):
                return (*self._end(block), event)
            case MessageEnd():
                return (*await self.on_end(x), event)
            case _:
                return await super().on_event(event, x)

    async def on_end(self, x: Exchange) -> Iterable[Event]:
        """What is held back of blocks whose end was never said."""
        return tuple(rest for block in list(self._windows) for rest in self._end(block))

    def let_go(self, event: Event) -> Iterable[Event]:
        """What was held back goes on as it came, where the rule says so for a search that failed."""
        blocks = [event.block] if isinstance(event, TextDelta | BlockEnd) else list(self._windows)
        held = {block: self._windows.pop(block).held for block in blocks if block in self._windows}
        return (*(TextDelta(block=block, text=text) for block, text in held.items() if text), event)

    def _end(self, block: int) -> Iterable[Event]:
        window = self._windows.get(block)
        if window is None:
            return ()
        finds, rest = window.finds, window.end()
        del self._windows[block]
        self.moved = window.finds == finds
        return (TextDelta(block=block, text=rest),) if rest else ()
