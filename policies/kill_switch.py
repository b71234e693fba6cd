"""What is stopped, and whether an exchange is meant: always on, beside every policy set. Nothing here does I/O.

A session is stopped under each name that it is known by. What is found by one name teaches the others, so that a fork,
a compaction or a sub-agent of a stopped session, which all have ids of their own, is stopped as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from lockgate.exchange import Exchange
from lockgate.policies.ledger import session_keys
from lockgate.policies.pipeline import Refused
from lockgate.records import Kill, KillScope, now

RULE = "kill_switch"
"""The rule that decisions name."""
LEARNT = 30_000
"""So many names of stopped sessions are learnt, the latest."""
SPARED = 1_000
_EXACT: tuple[KillScope, ...] = ("project", "token")
_WHAT: dict[KillScope, str] = {
    "session": "this session", "agent": "this agent", "model": "this model", "host": "this host",
    "project": "this project", "token": "this token", "all": "everything",
}  # fmt: skip


class KillSwitch:
    """What is in force now. Where nothing is, asking costs one look."""

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._kills: dict[str, Kill] = {}
        self._sessions: dict[str, Kill] = {}
        self._exact: dict[tuple[str, str], Kill] = {}
        self._globs: Sequence[Kill] = ()
        self._all: Sequence[Kill] = ()
        self._learnt: OrderedDict[str, str] = OrderedDict()
        """Further names of sessions that a kill was found for, and the kill's id."""
        self._spared: OrderedDict[str, None] = OrderedDict()

    @property
    def kills(self) -> Iterable[Kill]:
        return self._kills.values()

    def replace(self, kills: Iterable[Kill]) -> None:
        """From now on these are in force, and no others."""
        self._kills = {kill.id: kill for kill in kills}
        held = sorted(self._kills.values(), key=_end)  # of two about the same, the one that holds longer comes later
        self._all = [kill for kill in held if kill.scope == "all"]
        self._globs = [kill for kill in held if kill.scope in ("agent", "model", "host")]
        self._exact = {(kill.scope, kill.target): kill for kill in held if kill.scope in _EXACT and kill.target}
        sessions = [kill for kill in held if kill.scope == "session"]
        self._sessions = {name: kill for kill in sessions for name in (kill.target, *kill.names) if name}
        self._learnt = OrderedDict((name, id) for name, id in self._learnt.items() if id in self._kills)

    def spare(self, exchange_id: str) -> None:
        """This one exchange may go on to its end: it is the one in which a rule ended its session."""
        self._spared[exchange_id] = None
        if len(self._spared) > SPARED:
            self._spared.popitem(last=False)

    def stops(self, x: Exchange, asked_model: str = "") -> Kill | None:
        """The kill that an exchange is meant by; `asked_model` is what the client named, where rules may change it."""
        if not self._kills or x.id in self._spared:
            return None
        return self._stops_session(x) or self.stops_other(
            host=x.host, agent=x.agent, models=(x.model, asked_model), project=x.project, token=x.token
        )

    def stops_other(
        self, *, host: str, agent: str = "", models: Sequence[str] = (), project: str = "", token: str = ""
    ) -> Kill | None:
        """The same for what belongs to no session."""
        if not self._kills:
            return None
        at = self._clock()
        values: dict[str, Sequence[str]] = {"host": (host,), "agent": (agent,), "model": models}
        exact = (self._exact.get(("project", project)), self._exact.get(("token", token)))
        for kill in (*self._all, *(kill for kill in exact if kill is not None)):
            if kill.holds(at):
                return kill
        for kill in self._globs:
            glob = kill.target.lower()
            if kill.holds(at) and any(fnmatchcase(value.lower(), glob) for value in values[kill.scope] if value):
                return kill
        return None

    def _stops_session(self, x: Exchange) -> Kill | None:
        if not self._sessions:
            return None
        own = (x.session_id, x.session.marker if x.session else "")
        names = (*session_keys(x), x.session.parent_id if x.session else "")
        for name in names:
            kill = self._sessions.get(name) or self._kills.get(self._learnt.get(name, ""))
            if name and kill is not None and kill.holds(self._clock()):
                self._learn((name for name in own if name), kill)
                return kill
        return None

    def _learn(self, names: Iterable[str], kill: Kill) -> None:
        for name in names:
            self._learnt[name] = kill.id
            self._learnt.move_to_end(name)
            if len(self._learnt) > LEARNT:
                self._learnt.popitem(last=False)


def _end(kill: Kill) -> datetime:
    return kill.until or datetime.max.replace(tzinfo=UTC)


def refusal(kill: Kill) -> Refused:
    """What the client is told: that a person stopped it, why where that was said, and that it is of no use to go on."""
    return Refused(RULE, sentence(kill), "error")


def sentence(kill: Kill) -> str:
    if kill.set_by.startswith("rule "):
        return kill.reason
    until = f" until {kill.until:%Y-%m-%d %H:%M} UTC" if kill.until else ""
    reason = f" The reason given: {kill.reason.strip().rstrip('.')}." if kill.reason.strip() else ""
    return (
        f"an operator of Lockgate stopped {_WHAT[kill.scope]}{until}.{reason}"
        " Trying again does not help: only the operator can let it go on."
    )


def described(kill: Kill) -> str:
    """The kill for those who read logs."""
    what = f"{kill.scope} {kill.target}".strip()
    until = f", until {kill.until:%Y-%m-%d %H:%M:%S} UTC" if kill.until else ""
    return f"kill {kill.id}: {what}, by {kill.set_by or 'nobody named'}{until}" + (
        f": {kill.reason}" if kill.reason else ""
    )
