"""What a session did, in order: read from the history that each request carries, and remembered beyond it.

A history is read backwards to the first call that is known already, so that a turn's cost does not grow with the
conversation. What clients take out of a history (compaction, rewinds) still happened. Kept in memory, and bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.commands import Unreadable
from lockgate.policies.flows.deeds import Acts, acts_of, unread
from lockgate.policies.run import refused_calls
from lockgate.wire.calls import Answered, Called, parts_of
from lockgate.wire.turns import digest, encoded, messages_of

SESSIONS = 2_000
KNOWN_CALLS = 4_000
"""So many calls of a session are known again."""
PENDING = 200
CALLS = 50_000
"""So many ids of calls lead to their session, for agents that tell none."""
MAX_NEW = 400
"""Of a history that was never seen, so many last calls are read."""
MANY = 16


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

    def fork(self) -> State:
        """A copy that may go on by itself."""
        ...


@dataclass(slots=True)
class Session[S: State]:
    """One conversation and those that began from it."""

    state: S
    known: OrderedDict[bytes, None] = field(default_factory=OrderedDict[bytes, None])
    pending: OrderedDict[str, Step] = field(default_factory=OrderedDict[str, Step])
    """Calls that went on to the client and have no result yet."""


class Traces[S: State]:
    """The sessions of one rule."""

    def __init__(self, make: Callable[[], S], workspace: str = "") -> None:
        self._make, self._workspace = make, workspace
        self._sessions: OrderedDict[str, Session[S]] = OrderedDict()
        self._by_call: OrderedDict[str, Session[S]] = OrderedDict()

    def acts(self, call: ToolCall) -> Acts:
        """Raises Unreadable."""
        return acts_of(call, self._workspace)

    async def session(self, x: Exchange) -> Session[S]:
        """The exchange's session, with everything that its request tells."""
        messages = messages_of(x.format, x.request.document)
        session, fresh = self._session(x, messages), list[tuple[int, Called | Answered, bytes]]()
        for at in range(len(messages) - 1, -1, -1):
            parts = [(at, part, _key(part, at)) for part in parts_of(x.format, messages[at])]
            fresh += reversed([each for each in parts if each[2] not in session.known])
            if any(each[2] in session.known for each in parts) or len(fresh) > 2 * MAX_NEW:
                break
        if fresh:
            fresh.reverse()
            await self._read(session, fresh, x)
        if x.purpose != "side":
            _drop(session, {part.id for _, part, _ in fresh}, x)
        return session

    def let_go(self, session: Session[S], call: ToolCall, acts: Acts, x: Exchange) -> None:
        """The call goes on, as far as this rule is concerned."""
        session.pending[call.id] = Step(call=call, acts=acts, session_id=x.session_id or x.id)
        self._name(session, call.id)
        _bound(session.pending, PENDING)

    def _session(self, x: Exchange, messages: Sequence[object]) -> Session[S]:
        parent = x.session.parent_id if x.session else ""
        session = self._sessions.get(x.session_id) or self._sessions.get(parent) or self._called(x.format, messages)
        session = session or Session(self._make())
        for key in (x.session_id, parent):
            if key:
                self._sessions[key] = session
                self._sessions.move_to_end(key)
        _bound(self._sessions, SESSIONS)
        return session

    def _called(self, format: str, messages: Sequence[object]) -> Session[S] | None:
        """The session that the latest call of the history was made in."""
        for message in reversed(messages):
            for part in reversed(parts_of(format, message)):
                return self._by_call.get(part.id)
        return None

    def _name(self, session: Session[S], id: str) -> None:
        if _unique(id):
            self._by_call[id] = session
            _bound(self._by_call, CALLS)

    async def _read(
        self, session: Session[S], fresh: Sequence[tuple[int, Called | Answered, bytes]], x: Exchange
    ) -> None:
        calls = {part.id: _call(part) for _, part, _ in fresh if isinstance(part, Called)}
        acts = self._all(calls) if len(calls) < MANY else await asyncio.to_thread(self._all, calls)
        for at, part, key in fresh:
            if key in session.known:
                continue  # another request told it meanwhile
            session.known[key] = None
            _bound(session.known, KNOWN_CALLS)
            if isinstance(part, Called):
                before = session.pending.pop(part.id, None)
                if before is not None and before.call.arguments != calls[part.id].arguments:
                    _changed(session.state, before, calls[part.id])
                session.pending[part.id] = Step(
                    call=calls[part.id], acts=acts[part.id], session_id=x.session_id or x.id, message=at
                )
                self._name(session, part.id)
            else:
                step = session.pending.pop(part.id, None) or _nameless(part)
                session.state.happen(replace(step, result=part.text, message=at))
        _bound(session.pending, PENDING)

    def _all(self, calls: dict[str, ToolCall]) -> dict[str, Acts]:
        return {id: self._of_the_past(call) for id, call in calls.items()}

    def _of_the_past(self, call: ToolCall) -> Acts:
        try:
            return self.acts(call)
        except Unreadable as error:
            return unread(call, error)


def _changed(state: State, before: Step, now: ToolCall) -> None:
    """A call that came back with other arguments was refused, or written anew by the client or a later rule."""
    if "Blocked by the Lockgate rule" in now.arguments:
        state.refuse(before)


def _drop[S: State](session: Session[S], told: set[str], x: Exchange) -> None:
    """What was let go and is not in the history that goes on was refused later, or never reached the client."""
    mine = x.session_id or x.id
    for id, step in list(session.pending.items()):
        if step.session_id == mine and step.message < 0 and id not in told:
            session.state.refuse(session.pending.pop(id))


def working[S: State](session: Session[S], x: Exchange) -> S:
    """What has happened, and what is happening: calls without a result count, unless they were refused here."""
    state: S = session.state.fork()  # pyright: ignore[reportAssignmentType]
    refused = refused_calls(x.decisions)
    for id, step in session.pending.items():
        state.refuse(step) if id in refused else state.happen(step)
    return state


def _call(part: Called) -> ToolCall:
    return ToolCall(block=0, id=part.id, name=part.name, arguments=part.arguments, custom=part.custom)


def _nameless(part: Answered) -> Step:
    """A result whose call nobody remembers."""
    return Step(
        call=ToolCall(block=0, id=part.id, name="", arguments=""), acts=Acts(tool="", told="a call unknown here")
    )


_COUNTED = re.compile(r"[:_-]\d{1,4}$")


def _unique(id: str) -> bool:
    """Whether the id names one call among all: some servers count them."""
    return len(id) >= 12 and not _COUNTED.search(id)


def _key(part: Called | Answered, at: int) -> bytes:
    said = part.arguments if isinstance(part, Called) else part.text
    place = b"" if _unique(part.id) else str(at).encode()
    return digest(type(part).__name__.encode(), encoded(part.id), place, encoded(said))


def _bound[K, V](kept: OrderedDict[K, V], size: int) -> None:
    while len(kept) > size:
        kept.popitem(last=False)
