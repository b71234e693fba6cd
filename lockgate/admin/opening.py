"""Fills the desk from a configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from lockgate.access.audit import Audit, NoAudit
from lockgate.access.keyring import Keyring
from lockgate.admin.desk import Desk, Service
from lockgate.admin.proxy import Proxy
from lockgate.admin.setup import Setup
from lockgate.config import Config, Loaded
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.queries import Queries
from lockgate.storage.trail import Trail


def open_desk(
    config: Config, keyring: Keyring, thread: Executor, proxy: Proxy, audit: Audit | None = None
) -> tuple[Desk, Sequence[Callable[[], Awaitable[None] | None]]]:
    """The desk, and what closes it; nothing is asked of the database yet."""
    people, access = Administrators(config.database, keyring), Access(config.database, keyring)
    keys = ProviderKeys(config.database, keyring)
    desk = Desk(
        settings=config.admin,
        loaded=proxy.loaded or Loaded(config=config, file=None, origins={}),
        keyring=keyring,
        people=Service(people, thread),
        access=Service(access, thread),
        keys=Service(keys, thread),
        log=(log := Queries(config.database)),
        activity=proxy.activity,
        health=proxy.health,
        metrics=proxy.metrics,
        trail=partial(Trail, config.database),
        setup=Setup(keyring, seconds=60 * config.admin.setup_minutes),
        audit=audit or NoAudit(),
        providers=frozenset({"anthropic", "openai", "google", *config.hosts}),
    )
    return desk, (desk.passwords.close, people.close, access.close, keys.close, log.close)
