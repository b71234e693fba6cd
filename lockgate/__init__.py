"""A transparent control proxy for AI traffic. These are the names that policy authors use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lockgate.events import NEW_BLOCK as NEW_BLOCK
    from lockgate.events import BlockEnd as BlockEnd
    from lockgate.events import Event as Event
    from lockgate.events import MessageEnd as MessageEnd
    from lockgate.events import MessageStart as MessageStart
    from lockgate.events import ReplyError as ReplyError
    from lockgate.events import Request as Request
    from lockgate.events import TextDelta as TextDelta
    from lockgate.events import ThinkingDelta as ThinkingDelta
    from lockgate.events import ToolCall as ToolCall
    from lockgate.events import Turn as Turn
    from lockgate.events import Unknown as Unknown
    from lockgate.events import Usage as Usage
    from lockgate.exchange import Exchange as Exchange
    from lockgate.policies.base import Blocked as Blocked
    from lockgate.policies.base import Monitor as Monitor
    from lockgate.policies.base import NoOptions as NoOptions
    from lockgate.policies.base import Policy as Policy
    from lockgate.ports import Ask as Ask

__all__ = [
    "NEW_BLOCK",
    "Ask",
    "BlockEnd",
    "Blocked",
    "Event",
    "Exchange",
    "MessageEnd",
    "MessageStart",
    "Monitor",
    "NoOptions",
    "Policy",
    "ReplyError",
    "Request",
    "TextDelta",
    "ThinkingDelta",
    "ToolCall",
    "Turn",
    "Unknown",
    "Usage",
]

_HOMES = {"Ask": "ports", "Exchange": "exchange"} | dict.fromkeys(
    ("Blocked", "Monitor", "NoOptions", "Policy"), "policies.base"
)


def __getattr__(name: str) -> Any:
    """Imported when asked for: `import lockgate` stays cheap for the proxy and the command line."""
    if name not in __all__:
        raise AttributeError(f"module 'lockgate' has no attribute {name!r}")
    return getattr(import_module(f"lockgate.{_HOMES.get(name, 'events')}"), name)
