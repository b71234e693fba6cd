"""Keeps the kill switch as the database and the stop file say, and tells of every change.

Where the database is away, what was known stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockgate.access.audit import LOCAL, Audit, NoAudit
from lockgate.addons.stop_file import look
from lockgate.errors import Error, StorageError, told
from lockgate.exchange import Exchange
from lockgate.policies.kill_switch import KillSwitch, described
from lockgate.records import Kill, now
from lockgate.storage.early_kills import MOST, has_any
from lockgate.storage.signals import KILLS, Signals

if TYPE_CHECKING:
    from lockgate.storage.kills import Kills

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon a stop file is seen."""
CLOSE_SECONDS = 5.0
SHOWN = 20
"""So many changes are told one by one."""
UNSAVED = 1_000
"""So many ended sessions wait for the database at most; the latest count."""


class KillWatch:
    """`start` reads what is in force before the first request, then keeps up; `lockgate.exchange.SessionEnds`."""

    def __init__(self, switch: KillSwitch, url: str, file: Path, signals: Signals, audit: Audit | None = None) -> None:
        self.switch, self._audit = switch, audit or NoAudit()
        self._url, self._path, self._signals = url, file, signals
        self._apply: Callable[[], None] = lambda: None
        self._stored: Sequence[Kill] = ()
        self._file: Kill | None = None
        self._unsaved: dict[str, Kill] = {}
        """Ended here by a rule, and not stored yet."""
        self._said = ""
        self._kills: Kills | None = None
        self._thread = ThreadPoolExecutor(1, "lockgate-kill")
        """Asks the database, one thing at a time, also what nobody waits for any more."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, apply: Callable[[], None]) -> None:
        """`apply` ends what is under way and is stopped now. Raises StorageError where the database cannot be asked."""
        self._apply = apply
        if has_any(self._url):
            self._take(self._opened().in_force())
        self._look()
        self._signals.watch(KILLS, self.read)
        self._begin(self._watch_file())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait([self._later(self._close)], timeout=CLOSE_SECONDS)
        self._thread.shutdown(wait=False)

    async def read(self) -> None:
        """What is in force by now. Raises what the database says; what was known stays in force then."""
        self._take(await self._later(self._saved))

    def end_session(self, x: Exchange, names: Sequence[str], *, seconds: float, rule: str, sentence: str) -> None:
        until = now() + timedelta(seconds=seconds)
        kill = Kill(
            scope="session", target=x.session_id, names=tuple(names), set_by=f"rule {rule}", reason=sentence,
            until=until,
        )  # fmt: skip
        self.switch.spare(x.id)
        self._unsaved[kill.id] = kill
        if len(self._unsaved) > UNSAVED:
            del self._unsaved[next(iter(self._unsaved))]
        self._put_in_force()
        self._begin(self._store())

    async def _store(self) -> None:
        try:
            await self.read()
        except Exception as error:  # told again, and tried again, when the database is back
            log.warning("a session that a rule ended is stopped by this proxy alone for now: %s", told(error))

    def _later[T](self, ask: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, ask)

    def _saved(self) -> Sequence[Kill]:
        """What is in force, with what was not stored yet."""
        known = self._opened().in_force()
        ids = {kill.id for kill in known}
        new = [kill for kill in list(self._unsaved.values()) if kill.id not in ids and kill.holds(now())]
        try:
            for kill in new:
                self._opened().add(kill)
        except StorageError:
            raise
        except Error as error:  # there are too many: what others stopped is to be heard of all the same
            log.error("a session that a rule ended is stopped by this proxy alone: %s", error)
            return known
        return [*reversed(new), *known]

    def _close(self) -> None:
        if self._kills is not None:
            self._kills.close()

    def _opened(self) -> Kills:
        if self._kills is None:
            from lockgate.storage.kills import Kills  # late: SQLAlchemy

            self._kills = Kills(self._url)
        return self._kills

    def _take(self, stored: Sequence[Kill]) -> None:
        for kill in stored:
            self._unsaved.pop(kill.id, None)
        if len(stored) > MOST:
            log.error("more than %d kills are in force: those before the newest %d are not heeded", MOST, MOST)
            stored = stored[:MOST]
        if stored != self._stored:
            self._stored = stored
            self._put_in_force()

    def _put_in_force(self) -> None:
        before = {kill.id: kill for kill in self.switch.kills}
        kills = [*([self._file] if self._file else []), *self._unsaved.values(), *self._stored]
        self.switch.replace(kills)
        after = {kill.id: kill for kill in self.switch.kills}
        _tell("in force", [kill for id, kill in after.items() if id not in before])
        _tell("over", [kill for id, kill in before.items() if id not in after])
        self._apply()

    async def _watch_file(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._look()
            except Exception as error:
                log.error("the stop file could not be heeded: %s", told(error))

    def _look(self) -> None:
        kill, sentence = look(self._path)
        if sentence and sentence != self._said:
            log.error("%s", sentence)
        self._said = sentence
        if kill != self._file:
            self._note(kill)
            self._file = kill
            self._put_in_force()

    def _note(self, kill: Kill | None) -> None:
        """Whoever writes or removes the file needs no database, so that nobody else can note it."""
        is_new, by = kill is not None, kill or self._file
        self._audit.note(
            who=by.set_by if by else "", where=LOCAL, act="kill.create" if is_new else "kill.lift",
            subject=f"stop file {self._path}", outcome="success", after={"reason": kill.reason} if kill else None,
        )  # fmt: skip

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tell(what: str, kills: Sequence[Kill]) -> None:
    for kill in kills[:SHOWN]:
        log.warning("%s: %s", what, described(kill))
    if len(kills) > SHOWN:
        log.warning("%s: %d kills more", what, len(kills) - SHOWN)
