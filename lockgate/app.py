"""Puts the parts together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.access.budgets import Budgets
from lockgate.access.charges import Charges
from lockgate.access.keyring import keyring_of
from lockgate.access.keys import Keys
from lockgate.access.records import Token
from lockgate.access.shared_limits import SharedLimiter
from lockgate.access.token import PREFIX
from lockgate.access.tokens import Tokens
from lockgate.access.writing import Writing
from lockgate.addons.door import Door
from lockgate.addons.gate import Gate
from lockgate.addons.kill_watch import KillWatch
from lockgate.addons.route import Route
from lockgate.addons.service import Refusal, Service, refuse_second
from lockgate.certs.ca import open_authority
from lockgate.certs.signing import SigningKey, open_signing_key
from lockgate.config import Config, Loaded, SharedLimits, load, secret_from_environment
from lockgate.errors import Error
from lockgate.exchange import Exchange, ExchangeRow, Ports, now
from lockgate.history.history import History
from lockgate.policies.further import load_sets
from lockgate.policies.kill_switch import KillSwitch
from lockgate.policies.pack import own_rules, policy_file
from lockgate.policies.registry import PolicySet, Registry
from lockgate.policies.versions import Versions
from lockgate.routing.models import HttpModels
from lockgate.routing.webhooks import HttpWebhooks
from lockgate.storage.access_store import CHANNEL, SqlAccess
from lockgate.storage.asking import SqlApprovals
from lockgate.storage.log import SqlLog
from lockgate.storage.released import SqlArchive
from lockgate.storage.signals import Signals
from lockgate.storage.upkeep import Upkeep
from lockgate.usage.prices import load_prices, read_prices

if TYPE_CHECKING:
    from lockgate.addons.passage import Finished

logger = logging.getLogger(__name__)

COUNT_SECONDS = 1.0
"""How often what tokens and budgets have used is written down; a quota is counted in the database at once."""


def build(loaded: Loaded, finished: Finished | None = None) -> Service:
    """The proxy that a configuration describes, ready to be loaded into mitmproxy. Raises Error with a sentence."""
    config = loaded.config
    open_authority(config.ca, config.hosts)
    policy_set = load_sets(config)
    if config.prices:
        read_prices(config.prices)  # a mistake in it is said now, not by the log's thread
    signer = open_signing_key(config.home) if config.seal.sign else None
    log, access = _log(config, signer), _Access(config)
    upkeep, signals = Upkeep(config.database, config.retention, signer=signer), Signals(config.database)
    kills = KillWatch(KillSwitch(), config.database, config.stop_file, signals)

    def open_log() -> None:
        log.start()
        upkeep.start()
        signals.start()
        kills.start(gate.stop_exchanges)
        access.start(gate, signals)

    models, archive = HttpModels(log), SqlArchive(config.database)
    approvals, webhooks = SqlApprovals(config.database, signals), HttpWebhooks()
    registry, route = Registry(policy_set), Route(config)
    _keep(policy_set, config)
    ports = Ports(log=log, models=models, sessions=kills, approvals=approvals, webhooks=webhooks)
    gate = Gate(config, route, registry, ports, finished or _nobody, History(archive), kills.switch, access.door)
    return Service(
        config=config,
        gate=gate,
        route=route,
        registry=registry,
        read_rules=_rules_of(loaded),
        watched=lambda: _files_of(loaded, registry),
        open_log=open_log,
        issue=lambda: access.tokens.issue(_own_token()),
        closables=(models, webhooks, approvals, signals, archive, upkeep, kills, *access.closables, log),
    )


def _log(config: Config, signer: SigningKey | None) -> SqlLog:
    return SqlLog(
        config.database,
        queue_rows=config.limits.log_queue_rows,
        prices=config.prices,
        spill=config.home / "spill",
        spill_bytes=config.limits.spill_bytes,
        spill_free_bytes=config.limits.spill_free_bytes,
        refuse=config.log_full == "refuse",
        signer=signer,
    )


class _Access:
    """Who may speak, and what they have used."""

    def __init__(self, config: Config) -> None:
        keyring = keyring_of(config)
        store = SqlAccess(config.database, keyring)
        self.tokens, self._keys, budgets = Tokens(store, keyring), Keys(store), Budgets(store)
        self.limiter = _shared_limiter(config.access.limits)
        charges = Charges(config.access.limits, budgets, lambda: load_prices(config.prices), limiter=self.limiter)
        self.door = Door(config, self.tokens, self._keys, charges)
        self._writing = (
            Writing("the use of tokens", self.tokens.look_after, seconds=COUNT_SECONDS),
            Writing("the use of budgets", budgets.write, seconds=COUNT_SECONDS),
        )
        self.closables = (*self._writing, store, *([self.limiter] if self.limiter else []))

    def start(self, gate: Gate, signals: Signals) -> None:
        """Needs a running loop."""

        def changed() -> Awaitable[None]:
            self.tokens.forget()
            self._keys.forget()
            return gate.check_guests()

        signals.watch(CHANNEL, changed)
        for each in self._writing:
            each.start()
        if self.limiter:
            self.limiter.start()


def _shared_limiter(limits: SharedLimits) -> SharedLimiter | None:
    """Where the limits of several proxies are counted; None where each counts in its memory."""
    url = secret_from_environment(limits.redis_env) if limits.redis_env else limits.redis
    return SharedLimiter(url, when_away=limits.when_away) if url else None


def _own_token() -> Token:
    """For as long as this process lasts, and no longer."""
    return Token(project_id="", project="", hint=PREFIX, name="run", expires_at=now() + timedelta(days=365))


def script_addons() -> list[object]:
    """What addons/control.py loads: a service, or one that says why there is none."""
    try:
        refuse_second()
        return [build(load())]
    except Error as error:
        return [Refusal(error)]


def _rules_of(loaded: Loaded) -> Callable[[], PolicySet]:
    def read() -> PolicySet:
        config = load(loaded.file, loaded.flags).config
        policy_set = load_sets(config)
        _keep(policy_set, config)
        return policy_set

    return read


def _keep(policy_set: PolicySet, config: Config) -> None:
    """Remember which rules are in force; where that cannot be written, they are in force all the same."""
    try:
        Versions(config.home).keep(policy_set, own_rules(config))
        Versions(config.home).keep_further(policy_set.further)
    except OSError as error:
        logger.warning("the policy set %s cannot be kept for a rollback: %s", policy_set.version, error)


def _files_of(loaded: Loaded, registry: Registry) -> list[Path]:
    """The configuration, its policy set, and the files that its rules' policies come from."""
    own = (loaded.file, policy_file(loaded.config.policy))
    further = registry.current.further.files if registry.current.further else ()
    return [*(file for file in own if file), *registry.current.files, *further]


def _nobody(row: ExchangeRow, x: Exchange) -> None:
    pass


__all__ = ["Config", "build", "script_addons"]
