"""What the API works with: settings, and the services that the command line uses too. `lockgate.app` fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from lockgate.access.audit import Audit, NoAudit
from lockgate.access.keyring import Keyring
from lockgate.activity import Activity
from lockgate.admin.large import Large
from lockgate.admin.passwords import Passwords
from lockgate.admin.rules import Rules
from lockgate.admin.setup import Setup
from lockgate.admin.throttle import Throttle
from lockgate.admin.trials import Trials
from lockgate.config import Loaded
from lockgate.health import Health
from lockgate.metrics import Metrics
from lockgate.sections import Admin
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.kills import Kills
from lockgate.storage.notes import Notes
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.queries import Queries
from lockgate.storage.trail import Trail


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
    loaded: Loaded
    """The configuration since the start."""
    keyring: Keyring
    people: Service[Administrators]
    access: Service[Access]
    keys: Service[ProviderKeys]
    log: Queries
    """What the log remembers: rows, a page of them, sums."""
    large: Large
    """The same for what may be large: whole exchanges, conversations, texts that are searched."""
    notes: Service[Notes]
    """Labels and notes, which people leave in the log."""
    approvals: ApprovalDesk
    kills: Service[Kills]
    rules: Service[Rules]
    """The policy set in force, and the files that it comes from."""
    activity: Activity
    """What goes on now."""
    health: Health
    metrics: Metrics
    trail: Callable[[], Trail]
    """What reads the audit trail, as a context manager."""
    setup: Setup
    audit: Audit = field(default_factory=NoAudit)
    trials: Trials
    passwords: Passwords
    providers: frozenset[str] = frozenset()
    """What a provider key may be for: formats and model hosts."""
    pairs: Throttle = field(default_factory=lambda: Throttle(tries=10, seconds=30))
    """Of log-ins, by the name that was given and the address."""
    names: Throttle = field(default_factory=lambda: Throttle(tries=100, seconds=10))
    """Of log-ins, by the name alone: so much that no single address can shut somebody out."""
    addresses: Throttle = field(default_factory=lambda: Throttle(tries=20, seconds=10))
    """Of log-ins, by address."""
