"""A conversation as pages show it: calls with what came back folded together, long texts cut. Nothing here reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lockgate.admin.sessions import Some
from lockgate.storage.turns import Turn
from lockgate.wire.blocks import Block

TEXT_CHARACTERS = 8_000
FOLDED_CHARACTERS = 700
"""Of what is folded away: thinking, calls, results, asides."""
ASIDE_CHARACTERS = 300
"""Shorter ones are not folded."""
_TAGGED = re.compile(r"\s*<([a-z][\w-]{0,40})>.*</\1>\s*", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Piece:
    """One block, and for a call what came back."""

    block: Block
    rest: str
    """Where the whole text is."""
    results: list[Piece] = field(default_factory=list["Piece"])

    @property
    def text(self) -> str:
        return self.block.text[: self._limit]

    @property
    def is_cut(self) -> bool:
        return len(self.block.text) > self._limit

    @property
    def is_aside(self) -> bool:
        """Whether it is the client's own word to the model: a system message, or a text within one tag."""
        if self.block.kind != "text" or self.block.role == "assistant" or len(self.block.text) < ASIDE_CHARACTERS:
            return False
        return self.block.role in ("system", "developer") or _TAGGED.fullmatch(self.block.text) is not None

    @property
    def _limit(self) -> int:
        return TEXT_CHARACTERS if self.block.kind == "text" and not self.is_aside else FOLDED_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A turn as it is shown."""

    turn: Turn
    asked: Sequence[Piece]
    answered: Sequence[Piece]


def told(some: Some) -> list[Told]:
    """The turns, each result at its call: the call may be on the page before, its result on the page after."""
    calls: dict[str, Piece] = {}
    if some.previous:
        list(_pieces(some.previous, "answered", calls))
    shown = [
        Told(
            turn=turn,
            asked=() if turn.repeats else list(_pieces(turn, "asked", calls)),
            answered=list(_pieces(turn, "answered", calls)),
        )
        for turn in some.turns
    ]
    if some.following:
        list(_pieces(some.following, "asked", calls))
    return shown


def alone(turn: Turn) -> Told:
    """One exchange by itself."""
    return told(Some(turns=[turn], previous=None, following=None))[0]


def _pieces(turn: Turn, side: str, calls: dict[str, Piece]) -> Iterator[Piece]:
    """What stands by itself; results are added to their calls."""
    for number, block in enumerate(turn.asked if side == "asked" else turn.answered):
        piece = Piece(block=block, rest=f"/exchanges/{turn.exchange.id}/texts/{side}/{number}")
        if block.kind == "call":
            if block.call_id:
                calls[block.call_id] = piece
            yield piece
        elif call := calls.get(block.call_id) if block.call_id else None:
            if all(each.block != block for each in call.results):
                call.results.append(piece)
        else:
            yield piece
