"""What the API works with: settings, and the services that the command line uses too. `lockgate.app` fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from lockgate.access.keyring import Keyring
from lockgate.activity import Activity
from lockgate.admin.passwords import Passwords
from lockgate.admin.setup import Setup
from lockgate.admin.throttle import Throttle
from lockgate.exchange import now
from lockgate.sections import Admin
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.notes import Notes
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.queries import Queries

type Outcome = Literal["success", "denied", "error"]


class Audit(Protocol):
    """Where administrative acts are noted. What it is given holds no secret."""

    def note(
        self,
        *,
        who: str,
        where: str,
        act: str,
        subject: str,
        outcome: Outcome,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None: ...


class NoAudit:
    """For tests, and until there is one."""

    def note(self, **entry: Any) -> None:
        pass


class Service[Acts]:
    """A service of the database's, whose acts take place on a thread of the desk's, one after the other."""

    def __init__(self, acts: Acts, thread: Executor) -> None:
        self._acts, self._thread = acts, thread

    async def do[Result](self, act: Callable[[Acts], Result]) -> Result:
        """What the act gives. Raises `lockgate.errors.Error`. Once begun, it goes on though nobody waits for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, self._acts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Ports, and the memory of this process: who tried to log in too often, and the set-up link."""

    settings: Admin
    keyring: Keyring
    people: Service[Administrators]
    access: Service[Access]
    keys: Service[ProviderKeys]
    log: Queries
    """What the log remembers."""
    notes: Service[Notes]
    """Labels and notes, which people leave in the log."""
    activity: Activity
    """What goes on now."""
    setup: Setup
    audit: Audit = field(default_factory=NoAudit)
    passwords: Passwords = field(default_factory=Passwords)
    clock: Callable[[], datetime] = now
    providers: frozenset[str] = frozenset()
    """What a provider key may be for: formats and model hosts."""
    names: Throttle = field(default_factory=lambda: Throttle(tries=10, seconds=30))
    """Of log-ins, by the name that was given."""
    addresses: Throttle = field(default_factory=lambda: Throttle(tries=20, seconds=10))
    """Of log-ins, by address."""
    strangers: Throttle = field(default_factory=lambda: Throttle(tries=30, seconds=60))
    """Of notes about those who may not enter, by address, so that nobody fills the audit trail from outside."""
