"""Puts the parts together."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.access.audit import LogAudit
from lockgate.access.budgets import Budgets
from lockgate.access.charges import Charges
from lockgate.access.keyring import keyring_of
from lockgate.access.keys import Keys
from lockgate.access.records import Token
from lockgate.access.refusals import WRITE_SECONDS, Refusals
from lockgate.access.shared_limits import SharedLimiter
from lockgate.access.token import PREFIX
from lockgate.access.tokens import Tokens
from lockgate.access.writing import Writing
from lockgate.activity import Activity
from lockgate.addons.door import Door
from lockgate.addons.gate import Gate
from lockgate.addons.kill_watch import KillWatch
from lockgate.addons.route import Route
from lockgate.addons.service import Refusal, Service, listening, refuse_second
from lockgate.admin.management import Management
from lockgate.admin.proxy import Proxy
from lockgate.certs.ca import open_authority
from lockgate.certs.signing import SigningKey, signer_of
from lockgate.config import Config, Loaded, SharedLimits, load, secret_from_environment
from lockgate.errors import Error
from lockgate.exchange import Exchange, Ports
from lockgate.health import Health, Upstreams
from lockgate.history.history import History
from lockgate.metrics import Gauge, Metrics
from lockgate.parts import Parts
from lockgate.policies.further import load_sets
from lockgate.policies.kill_switch import KillSwitch
from lockgate.policies.pack import own_rules, policy_file
from lockgate.policies.registry import PolicySet, Registry
from lockgate.policies.versions import Versions, roll_back
from lockgate.records import ExchangeRow, now
from lockgate.routing.models import HttpModels
from lockgate.routing.webhooks import HttpWebhooks
from lockgate.storage import condition
from lockgate.storage.access_store import SqlAccess
from lockgate.storage.asking import SqlApprovals
from lockgate.storage.heartbeat import Heartbeat, Serving
from lockgate.storage.log import SqlLog
from lockgate.storage.released import SqlArchive
from lockgate.storage.signals import ACCESS, Signals
from lockgate.storage.upkeep import Upkeep
from lockgate.usage.prices import load_prices, read_prices

if TYPE_CHECKING:
    from lockgate.addons.passage import Finished

logger = logging.getLogger(__name__)

COUNT_SECONDS = 1.0
"""How often what tokens and budgets have used is written down; a quota is counted in the database at once."""


def build(loaded: Loaded, finished: Finished | None = None, *, managed: bool = True) -> Service:
    """The proxy that a configuration describes, ready to be loaded into mitmproxy. Raises Error with a sentence.

    One that is not `managed` has no management API, whatever the configuration says.
    """
    config, parts = loaded.config, Parts()
    policy_set = _checked(config)
    signer = signer_of(config)
    metrics, upstreams, signals = Metrics(config.hosts), Upstreams(), Signals(config.database)
    registry, route = Registry(policy_set), Route(config, metrics)
    log = parts.add(_log(config, signer, metrics), SqlLog.start)
    access = _Access(config, log, parts)
    began = time.time_ns() // 1000
    activity = Activity(log, lambda: [passage.growth for passage in gate.passages.values()], before=began)
    audit = LogAudit(log, access.refusals)
    kills = KillWatch(KillSwitch(), config.database, config.stop_file, signals, audit)
    parts.add(kills, lambda kills: kills.start(gate.stop_exchanges))
    parts.add(Upkeep(config.database, config.retention, signer=signer), Upkeep.start)
    archive = parts.add(SqlArchive(config.database))
    parts.add(signals, Signals.start)
    approvals, webhooks = parts.add(SqlApprovals(config.database, signals)), parts.add(HttpWebhooks())
    models = parts.add(HttpModels(activity))
    _keep(policy_set, config)
    ports = Ports(log=activity, models=models, sessions=kills, approvals=approvals, webhooks=webhooks)
    tell = _each(upstreams.ended, finished)
    gate = Gate(config, route, registry, ports, tell, History(archive), kills.switch, access.door)
    signals.watch(ACCESS, lambda: access.look_anew(gate))
    health = _health(log, upstreams, access.limiter)
    metrics.gauges += _gauges(log, gate, health)
    heartbeat = Heartbeat(config.database, lambda: _serving(gate, registry), started_at=health.started_at)
    health.add("heartbeat", parts.add(heartbeat, Heartbeat.start).state)
    if managed and config.admin.listen:
        proxy = Proxy(
            activity=activity, health=health, metrics=metrics, registry=registry, loaded=loaded, watch=signals.watch
        )
        parts.add(Management(config, access.keyring, proxy, audit), Management.start)
    return Service(
        config=config, gate=gate, route=route, registry=registry, parts=parts, health=health, audit=audit,
        issue=access.issue, read_rules=_rules_of(loaded), watched=lambda: _files_of(loaded, registry),
        roll_back=lambda version: roll_back(load(loaded.file, loaded.flags), version),
    )  # fmt: skip


def _checked(config: Config) -> PolicySet:
    """The rules; mistakes in files that others read later are said now."""
    open_authority(config.ca, config.hosts)
    if config.prices:
        read_prices(config.prices)
    return load_sets(config)


def _each(note: Callable[[ExchangeRow], None], finished: Finished | None) -> Finished:
    def tell(row: ExchangeRow, x: Exchange) -> None:
        note(row)
        if finished:
            finished(row, x)

    return tell


def _health(log: SqlLog, upstreams: Upstreams, limiter: SharedLimiter | None) -> Health:
    return Health({
        "database": lambda: condition.database(log),
        "spill": lambda: condition.spill(log),
        "upstreams": upstreams.state,
        **({"redis": limiter.state} if limiter else {}),
    })  # fmt: skip


def _serving(gate: Gate, registry: Registry) -> Serving:
    held = gate.stops.exchanges.held
    version = registry.current.version
    return Serving(listen=listening(), policy_set=version, open_exchanges=gate.under_way, held=held)


def _gauges(log: SqlLog, gate: Gate, health: Health) -> list[Gauge]:
    return [
        Gauge("lockgate_open_exchanges", "Exchanges under way.", lambda: gate.under_way),
        Gauge("lockgate_held_streams", "Replies that wait for rules.", lambda: gate.stops.exchanges.held),
        Gauge("lockgate_log_queue_rows", "Records that are not in the database yet.", lambda: log.waiting_rows),
        Gauge("lockgate_log_queue_bytes", "What of them is in memory.", lambda: log.backlog.size),
        Gauge("lockgate_spill_bytes", "What of them is on the disk.", lambda: log.spill.size if log.spill else 0),
        Gauge("lockgate_spill_limit_bytes", "How much may be.", lambda: log.spill.limit_bytes if log.spill else 0),
        Gauge("lockgate_log_lost_rows", "Records that were lost.", lambda: log.lost_rows, only_grows=True),
        Gauge(
            "lockgate_part_up", "1 for each part that is as it should be, else 0.",
            lambda: {name: float(state is None) for name, state in health.states().items()}, "part",
        ),
    ]  # fmt: skip


def _log(config: Config, signer: SigningKey | None, metrics: Metrics) -> SqlLog:
    return SqlLog(
        config.database,
        queue_rows=config.limits.log_queue_rows,
        prices=config.prices,
        spill=config.home / "spill",
        spill_bytes=config.limits.spill_bytes,
        spill_free_bytes=config.limits.spill_free_bytes,
        refuse=config.log_full == "refuse",
        signer=signer,
        written=metrics.written,
    )


class _Access:
    """Who may speak, and what they have used."""

    def __init__(self, config: Config, log: SqlLog, parts: Parts) -> None:
        self.limiter = limiter = _shared_limiter(config.access.limits)
        if limiter:
            parts.add(limiter, SharedLimiter.start)
        self.keyring = keyring = keyring_of(config)
        store = parts.add(SqlAccess(config.database, keyring))
        self._tokens, self._keys, budgets = Tokens(store, keyring), Keys(store), Budgets(store)
        charges = Charges(config.access.limits, budgets, lambda: load_prices(config.prices), limiter=limiter)
        self.refusals = parts.add(Refusals(log))
        self.door = Door(config, self._tokens, self._keys, charges, self.refusals)
        for writing in (
            Writing("refusals of access", self.refusals.write, seconds=WRITE_SECONDS),
            Writing("the use of budgets", budgets.write, seconds=COUNT_SECONDS),
            Writing("the use of tokens", self._tokens.look_after, seconds=COUNT_SECONDS),
        ):
            parts.add(writing, Writing.start)

    def look_anew(self, gate: Gate) -> Awaitable[None]:
        """Something about access has changed in the database."""
        self._tokens.forget()
        self._keys.forget()
        return gate.check_guests()

    def issue(self) -> str:
        """A token for as long as this process lasts, and no longer."""
        expires = now() + timedelta(days=365)
        return self._tokens.issue(Token(project_id="", project="", hint=PREFIX, name="run", expires_at=expires))


def _shared_limiter(limits: SharedLimits) -> SharedLimiter | None:
    """Where the limits of several proxies are counted; None where each counts in its memory."""
    url = secret_from_environment(limits.redis_env) if limits.redis_env else limits.redis
    return SharedLimiter(url, when_away=limits.when_away) if url else None


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


__all__ = ["Config", "build", "script_addons"]
