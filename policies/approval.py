"""`approval`: a tool call waits until a person has decided about it."""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.asking import ask_person
from lockgate.policies.asking_options import Asking, webhook_of
from lockgate.policies.base import Policy
from lockgate.ports import Webhook


class AskPerson(Policy):
    """Has every tool call that the rule matches wait until a person has decided about it.

    `lockgate approve` lists what waits, shows it, and approves, denies or edits it, against any of the proxies at one
    database; the client is kept alive meanwhile. A decision is bound to exactly the call that was shown, and counts
    once. A client that gives up and sends its request again finds the same approval, and an answer that was given
    meanwhile. Put the rule after those that change calls: what they change later was not shown to anyone. As a step of
    a `protocol`, only calls that score high enough wait.

    Example:
        deadline_seconds: 600
        default: deny
    """

    Options = Asking

    @classmethod
    def provision(cls, options: Asking) -> Webhook | None:
        return webhook_of(options)

    @classmethod
    def needed_seconds(cls, options: Asking) -> float:
        """The person's time, and a little more."""
        return options.needed_seconds

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        return (await ask_person(self, self.options, self.shared, call, x),)
