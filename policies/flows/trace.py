"""What a history tells of what a session did: read backwards, to what is known already. Values only.

A turn's cost does not grow with the conversation, therefore. A history that is new here, as after a restart, is read as
far as the bounds go, the latest calls first; that something was left out is told.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from time import thread_time
from typing import Protocol, Self

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable
from lockgate.policies.flows.deeds import Acts, acts_of, unread
from lockgate.wire.calls import Answered, Called, Part, parts_of
from lockgate.wire.turns import digest, encoded

MAX_PARTS = 8_000
"""So many calls and results are read of a history, the latest."""
MAX_SECONDS = 3.0
"""No longer than this is a history read, in time of the processor; a call that was begun is read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call that was made, and its result where it is known."""

    call: ToolCall
    acts: Acts
    result: str | None = None
    message: int = -1
    """The place of its answer among the messages of the request that brought it."""
    session_id: str = ""


class State(Protocol):
    """What a rule remembers of what happened."""

    def happen(self, step: Step) -> None:
        """The call was made."""
        ...

    def refuse(self, step: Step) -> None:
        """The call was tried, and was not made."""
        ...

    def miss(self) -> None:
        """Before what is told next stands what was not read."""
        ...

    def fork(self) -> Self:
        """A copy that may go on by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The messages of a request, of a session of which some is known already."""

    format: str
    messages: Sequence[object]
    known: Collection[bytes]
    session_id: str
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class Read[S: State]:
    """What a session is once a history was read."""

    state: S
    pending: OrderedDict[str, Step]
    """Calls without a result."""
    parts: Sequence[tuple[Part, bytes]]
    """What was new, and by what it is known again."""
    left_out: int
    """So many of the first messages were not read."""


type _Fresh = tuple[int, Part, bytes, Acts | None]
"""The place of a part's message, the part, what it is known by, and what it does where it is a call."""


def read_history[S: State](history: History, state: S, pending: OrderedDict[str, Step]) -> Read[S]:
    """What the session is after it; `state` and `pending` stay as they are."""
    fresh, left_out = _new(history)
    state, pending = state.fork() if fresh else state, pending.copy()
    if left_out:
        state.miss()
    for at, part, _, acts in fresh:
        if isinstance(part, Called) and acts is not None:
            step = Step(call=_call(part), acts=acts, message=at, session_id=history.session_id)
            _again(state, pending.pop(part.id, None), step.call)
            pending[part.id] = step
        elif isinstance(part, Answered):
            step = pending.pop(part.id, None) or _nameless(part)
            state.happen(replace(step, result=part.text, message=at))
    return Read(state, pending, [(part, key) for _, part, key, _ in fresh], left_out)


def reaches(history: History, most: int) -> bool:
    """Whether what is known already, or the beginning, is among the last `most` messages."""
    start = max(0, len(history.messages) - most)
    return not start or any(
        key_of(part, at) in history.known
        for at in range(len(history.messages) - 1, start - 1, -1)
        for part in parts_of(history.format, history.messages[at])
    )


def _new(history: History) -> tuple[list[_Fresh], int]:
    """What is new, in order, and how many messages before it were left out."""
    began, fresh = thread_time(), list[_Fresh]()
    for at, part, key in _backwards(history):
        if len(fresh) >= MAX_PARTS or thread_time() - began > MAX_SECONDS:
            return fresh[::-1], at + 1
        fresh.append((at, part, key, _acts(part, history.workspace) if isinstance(part, Called) else None))
    return fresh[::-1], 0


def _backwards(history: History) -> Iterator[tuple[int, Part, bytes]]:
    """What is new, the latest first."""
    known = history.known
    for at in range(len(history.messages) - 1, -1, -1):
        parts = [(at, part, key_of(part, at)) for part in parts_of(history.format, history.messages[at])]
        yield from reversed([each for each in parts if each[2] not in known])
        if any(each[2] in known for each in parts):
            return


def _acts(part: Called, workspace: str) -> Acts:
    """What a call of the past did; where it cannot be read, only its name is known."""
    call = _call(part)
    try:
        return acts_of(call, workspace)
    except Unreadable as error:
        return unread(call, error)


def _again(state: State, before: Step | None, now: ToolCall) -> None:
    """A call that came back with other arguments was refused, or written anew by the client or a later rule."""
    if before is None or before.call.arguments == now.arguments:
        return
    if "Blocked by the Lockgate rule" in now.arguments:
        state.refuse(before)


def _call(part: Called) -> ToolCall:
    return ToolCall(block=0, id=part.id, name=part.name, arguments=part.arguments, custom=part.custom)


def _nameless(part: Answered) -> Step:
    """A result whose call nobody remembers."""
    return Step(
        call=ToolCall(block=0, id=part.id, name="", arguments=""), acts=Acts(tool="", told="a call unknown here")
    )


_COUNTED = re.compile(r"[:_-]\d{1,4}$")


def is_unique(id: str) -> bool:
    """Whether the id names one call among all: some servers count them."""
    return len(id) >= 12 and not _COUNTED.search(id)


def key_of(part: Part, at: int) -> bytes:
    """What the part in this place is known by."""
    said = part.arguments if isinstance(part, Called) else part.text
    place = b"" if is_unique(part.id) else str(at).encode()
    return digest(type(part).__name__.encode(), encoded(part.id), place, encoded(said))
