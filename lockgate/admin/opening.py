"""Fills the desk from a configuration."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial

from lockgate.access.audit import Audit, NoAudit
from lockgate.access.keyring import Keyring
from lockgate.admin.desk import Desk, Service
from lockgate.admin.large import Large
from lockgate.admin.passwords import Passwords
from lockgate.admin.proxy import Proxy
from lockgate.admin.rules import Rules
from lockgate.admin.setup import Setup
from lockgate.admin.trials import Trials
from lockgate.config import Config, Loaded
from lockgate.parts import Parts
from lockgate.storage.access import Access
from lockgate.storage.administrators import Administrators
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.kills import Kills
from lockgate.storage.notes import Notes
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.queries import Queries
from lockgate.storage.trail import Trail


def open_desk(
    config: Config, keyring: Keyring, thread: Executor, proxy: Proxy, parts: Parts, audit: Audit | None = None
) -> Desk:
    """Nothing is asked of the database yet. What is to be closed with the desk is among its parts."""
    url, loaded = config.database, proxy.loaded or Loaded(config=config, file=None, origins={})
    return Desk(
        settings=config.admin,
        loaded=loaded,
        keyring=keyring,
        log=parts.add(Queries(url)),
        large=parts.add(Large(url)),
        approvals=parts.add(ApprovalDesk(url)),
        kills=Service(parts.add(Kills(url)), thread),
        notes=Service(parts.add(Notes(url)), thread),
        keys=Service(parts.add(ProviderKeys(url, keyring)), thread),
        access=Service(parts.add(Access(url, keyring)), thread),
        people=Service(parts.add(Administrators(url, keyring)), thread),
        rules=Service(Rules(loaded, proxy.registry), thread),
        trials=parts.add(Trials()),
        passwords=parts.add(Passwords()),
        activity=proxy.activity,
        health=proxy.health,
        metrics=proxy.metrics,
        trail=partial(Trail, url),
        setup=Setup(keyring, seconds=60 * config.admin.setup_minutes),
        audit=audit or NoAudit(),
        providers=frozenset({"anthropic", "openai", "google", *config.hosts}),
    )
