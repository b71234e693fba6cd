"""What the proxy that the API is a part of tells of itself. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lockgate.activity import Activity
from lockgate.config import Loaded
from lockgate.health import Health
from lockgate.metrics import Metrics
from lockgate.policies.registry import Registry, load_rules

type Watch = Callable[[str, Callable[[], Awaitable[None] | None]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What goes on, how its parts are, what it has counted, and which rules are in force."""

    activity: Activity
    health: Health
    metrics: Metrics
    registry: Registry = field(default_factory=lambda: Registry(load_rules(())))
    loaded: Loaded | None = None
    """The configuration, and the file that it came from."""
    watch: Watch = lambda channel, changed: None
    """`lockgate.storage.signals.Signals.watch`."""
