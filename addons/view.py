"""What a person who watches in mitmweb, mitmproxy or the terminal sees of what the rules did. Nothing here decides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

from mitmproxy import ctx, flow, http
from mitmproxy.hooks import UpdateHook

from lockgate.exchange import Exchange, Ports
from lockgate.ports import Approvals
from lockgate.records import Approval, Decision, ExchangeRow

log = logging.getLogger(__name__)

MARKS = {"blocked": ":no_entry:", "refused": ":no_entry:", "changed": ":pencil2:"}
EXCHANGE = "lockgate_exchange"
"""In a flow's metadata: the id of its exchange, which flows that are saved keep."""
HELD = "held for a person: lockgate approve "
SHORT_ID = 8

_concealed: WeakKeyDictionary[flow.Flow, Mapping[str, str]] = WeakKeyDictionary()


def remember(flow: http.HTTPFlow, x: Exchange) -> None:
    """Which exchange it is, and what nobody may read of it, also after its end."""
    flow.metadata[EXCHANGE] = x.id
    _concealed[flow] = x.concealed


def concealed_in(flow: flow.Flow | None) -> Mapping[str, str]:
    """The texts of a flow that nobody may read, and what stands for them."""
    return _concealed.get(flow, {}) if flow is not None else {}


def show(flow: http.HTTPFlow, row: ExchangeRow, decisions: Iterable[Decision] = ()) -> None:
    """Mark a flow that rules acted on, and say so in a line; what no rule touched costs nothing.

    What rules in shadow mode would have done is said without a mark.
    """
    acted = [one for one in decisions if one.mode == "shadow" and one.action not in ("forwarded", "failed")]
    if not (row.rules or acted):
        return
    told = [f"{row.outcome} by {', '.join(row.rules)}"] if row.rules else []
    told += dict.fromkeys(f"{one.rule} in shadow mode would have {one.action}" for one in acted)
    comment = f"{'; '.join(told)}: lockgate log show {row.id[-SHORT_ID:]}"
    if row.rules:
        flow.marked = MARKS.get(row.outcome, "")
        log.info("%s %s %s: %s", row.host, row.endpoint, row.model, comment)
    _say(flow, comment)


class Asked(Protocol):
    """`lockgate.addons.passage.Passage`."""

    flow: http.HTTPFlow
    x: Exchange


def shown_while_held(ports: Ports, passages: Mapping[str, Asked]) -> Ports:
    """The ports, through which a flow that waits for a person says so meanwhile."""
    return replace(ports, approvals=_Shown(ports.approvals, passages))


class _Shown:
    """The port `Approvals`, and a comment on the flow while a person is asked about one of its calls."""

    def __init__(self, inner: Approvals, passages: Mapping[str, Asked]) -> None:
        self._inner, self._passages = inner, passages

    async def ask(self, asked: Approval, put: Callable[[Approval], None]) -> Approval:
        flow = next((one.flow for one in self._passages.values() if one.x.id == asked.exchange_id), None)
        if flow is None:
            return await self._inner.ask(asked, put)

        def tell(approval: Approval) -> None:
            _say(flow, f"{HELD}{approval.id[-SHORT_ID:]}")
            put(approval)

        before = flow.comment
        _say(flow, f"{HELD}list")  # one that was asked before is not put again
        try:
            return await self._inner.ask(asked, tell)
        finally:
            if flow.comment.startswith(HELD):
                _say(flow, before)


def _say(flow: http.HTTPFlow, comment: str) -> None:
    flow.comment = comment
    ctx.master.addons.trigger(UpdateHook([flow]))
