"""Fills the desk from a configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from lockgate.access.audit import Audit, NoAudit
from lockgate.access.keyring import Keyring
from lockgate.admin.desk import Desk, Service
from lockgate.admin.large import Large
from lockgate.admin.proxy import Proxy
from lockgate.admin.rules import Rules
from lockgate.admin.setup import Setup
from lockgate.config import Config, Loaded
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.kills import Kills
from lockgate.storage.notes import Notes
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.queries import Queries
from lockgate.storage.trail import Trail


def open_desk(
    config: Config, keyring: Keyring, thread: Executor, proxy: Proxy, audit: Audit | None = None
) -> tuple[Desk, Sequence[Callable[[], Awaitable[None] | None]]]:
    """The desk, and what closes it; nothing is asked of the database yet."""
    people, access = Administrators(config.database, keyring), Access(config.database, keyring)
    keys, notes = ProviderKeys(config.database, keyring), Notes(config.database)
    approvals, kills = ApprovalDesk(config.database), Kills(config.database)
    loaded = proxy.loaded or Loaded(config=config, file=None, origins={})
    desk = Desk(
        settings=config.admin,
        loaded=loaded,
        keyring=keyring,
        people=Service(people, thread),
        access=Service(access, thread),
        keys=Service(keys, thread),
        log=(log := Queries(config.database)),
        large=(large := Large(config.database)),
        notes=Service(notes, thread),
        approvals=approvals,
        kills=Service(kills, thread),
        rules=Service(Rules(loaded, proxy.registry), thread),
        activity=proxy.activity,
        health=proxy.health,
        metrics=proxy.metrics,
        trail=partial(Trail, config.database),
        setup=Setup(keyring, seconds=60 * config.admin.setup_minutes),
        audit=audit or NoAudit(),
        providers=frozenset({"anthropic", "openai", "google", *config.hosts}),
    )
    return desk, (
        desk.passwords.close,
        desk.trials.close,
        people.close,
        access.close,
        keys.close,
        notes.close,
        kills.close,
        approvals.close,
        log.close,
        large.close,
    )
