"""The sessions of one rule, and what each did. Kept in memory, and bounded.

What clients take out of a history (compaction, rewinds) still happened. A history that was not seen before, as after a
restart, is read in a thread, beside what else goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lockgate.errors import Error
from lockgate.events import ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.flows.deeds import Acts, acts_of
from lockgate.policies.flows.trace import MAX_PARTS, History, Read, State, Step, is_unique, reaches, read_history
from lockgate.policies.run import refused_calls
from lockgate.wire.calls import Called, parts_of
from lockgate.wire.turns import messages_of

log = logging.getLogger(__name__)

SESSIONS = 2_000
PENDING = 200
CALLS = 50_000
"""So many ids of calls lead to their session, for agents that tell none."""
FEW = 16
"""So many messages are read at once."""


class Unread(Error):
    """Whether a call may be made depends on what the session did before, which was not read."""


@dataclass(slots=True)
class Session[S: State]:
    """One conversation and those that began from it."""

    state: S
    known: OrderedDict[bytes, None] = field(default_factory=OrderedDict[bytes, None])
    pending: OrderedDict[str, Step] = field(default_factory=OrderedDict[str, Step])
    """Calls that went on to the client and have no result yet."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Its requests are read one after the other."""
    news: str = ""
    """What was left out of a history, until it is told."""

    def take_news(self) -> str:
        news, self.news = self.news, ""
        return news


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
        session = self._session(x, messages)
        async with session.reading:
            history = History(
                format=x.format, messages=messages, known=session.known, session_id=_id(x), workspace=self._workspace
            )
            state, pending = session.state, session.pending.copy()
            if reaches(history, FEW):
                read = read_history(history, state, pending)
            else:  # other exchanges of the session go on meanwhile
                read = await asyncio.to_thread(read_history, history, state, pending)
            self._adopt(session, pending, read, x)
        if read.left_out:
            session.news = f"{read.left_out} of the {len(messages)} messages so far were not read, as they are too many"
            log.warning("exchange %s: %s", x.id, session.news)
        return session

    def let_go(self, session: Session[S], call: ToolCall, acts: Acts, x: Exchange) -> None:
        """The call goes on, as far as this rule is concerned."""
        session.pending[call.id] = Step(call=call, acts=acts, session_id=_id(x))
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
        if is_unique(id):
            self._by_call[id] = session
            _bound(self._by_call, CALLS)

    def _adopt(self, session: Session[S], before: OrderedDict[str, Step], read: Read[S], x: Exchange) -> None:
        """The session goes on from what was read, with the calls that were let go meanwhile."""
        late = {id: step for id, step in session.pending.items() if id not in before}
        session.state, session.pending = read.state, read.pending
        session.pending.update(late)
        for part, key in read.parts:
            session.known[key] = None
            if isinstance(part, Called):
                self._name(session, part.id)
        _bound(session.known, MAX_PARTS)
        if x.purpose != "side":
            _drop(session, {part.id for part, _ in read.parts}, x)
        _bound(session.pending, PENDING)


def _drop[S: State](session: Session[S], told: set[str], x: Exchange) -> None:
    """What was let go and is not in the history that goes on was refused later, or never reached the client."""
    for id, step in list(session.pending.items()):
        if step.session_id == _id(x) and step.message < 0 and id not in told:
            session.state.refuse(session.pending.pop(id))


def working[S: State](session: Session[S], x: Exchange) -> S:
    """What has happened, and what is happening: calls without a result count, unless they were refused here."""
    state = session.state.fork()
    refused = refused_calls(x.decisions) if session.pending else frozenset[str]()
    for id, step in session.pending.items():
        state.refuse(step) if id in refused else state.happen(step)
    return state


def _id(x: Exchange) -> str:
    return x.session_id or x.id


def _bound[K, V](kept: OrderedDict[K, V], size: int) -> None:
    while len(kept) > size:
        kept.popitem(last=False)
