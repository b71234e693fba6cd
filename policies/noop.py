"""`noop`: lets everything pass."""

from __future__ import annotations

from lockgate.policies.base import Policy


class Noop(Policy):
    """Lets everything pass.

    Example:
        {}
    """
