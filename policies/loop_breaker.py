"""`loop_breaker`: stops an agent that calls the same again and again, or too much at once."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.option_types import doing

MAX_SESSIONS = 2_000
MAX_CHARS = 20_000
"""No more of a call's arguments is compared."""
_VARYING = re.compile(r"[0-9a-f]{7,}|\d+|\s+")


class Options(Section):
    """How often is too often."""

    same: int = Field(default=5, ge=0, le=1_000)
    """So many calls with the same arguments may be among the last ones of a session; 0 sets no bound."""
    near: int = Field(default=15, ge=0, le=1_000)
    """So many calls that differ only in numbers, hashes and white space; 0 sets no bound."""
    at_once: int = Field(default=32, ge=0, le=1_000)
    """So many calls in one reply; 0 sets no bound."""
    last: int = Field(default=40, gt=0, le=10_000)
    """How many of a session's last calls are looked at."""

    @model_validator(mode="after")
    def _are_seen(self) -> Options:
        for name, bound in (("same", self.same), ("near", self.near)):
            if bound >= self.last:
                raise ValueError(
                    f"'{name}' can never apply: more than {bound} calls are not among the last {self.last}; "
                    f"give a larger 'last' or a smaller '{name}'"
                )
        return self

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, "same", "near", "at_once", off=(0,))


class Shared:
    """The last calls of each session, the longest unused session forgotten first."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._sessions: OrderedDict[str, deque[tuple[bytes, bytes]]] = OrderedDict()

    def calls(self, session: str) -> deque[tuple[bytes, bytes]]:
        calls = self._sessions.setdefault(session, deque(maxlen=self._last))
        self._sessions.move_to_end(session)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return calls


class LoopBreaker(Policy):
    """Stops calls that repeat themselves among a session's last calls, exactly or nearly, and too many calls at once.

    Where an agent tells no session, each exchange stands by itself.

    Example:
        same: 5
        near: 15
        at_once: 32
    """

    Options = Options

    def __init__(self, options: Options, shared: Shared) -> None:
        super().__init__(options, shared)
        self._count = 0

    @classmethod
    def provision(cls, options: Options) -> Any:
        return Shared(options.last)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        options: Options = self.options
        self._count += 1
        if options.at_once and self._count > options.at_once:
            raise Blocked(f"No more than {options.at_once} calls at a time; go on with the results of these first.")
        calls = self.shared.calls(f"{x.agent}\0{x.session_id or x.id}")
        calls.append((same := _digest(call), near := _digest(call, near=True) if options.near else b""))
        if options.same and Counter(one for one, _ in calls)[same] > options.same:
            raise Blocked(_TOLD, reason=f"more than {options.same} times the same among the last {len(calls)} calls")
        if options.near and Counter(one for _, one in calls)[near] > options.near:
            raise Blocked(
                _TOLD, reason=f"more than {options.near} times nearly the same among the last {len(calls)} calls"
            )
        return (call,)


_TOLD = "This has been tried many times already. Look at why it does not help, and try something else or ask."


def _digest(call: ToolCall, *, near: bool = False) -> bytes:
    text = call.arguments[:MAX_CHARS]
    text = _VARYING.sub("#", text) if near else text
    return hashlib.blake2b(f"{call.name}\0{text}".encode("utf-8", "replace"), digest_size=8).digest()
