"""What the proxy that the API is a part of tells of itself. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.activity import Activity
from lockgate.config import Loaded
from lockgate.health import Health
from lockgate.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What goes on, how its parts are, and what it has counted."""

    activity: Activity
    health: Health
    metrics: Metrics
    loaded: Loaded | None = None
    """The configuration, and the file that it came from."""
