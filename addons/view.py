"""What a person who watches in mitmweb, mitmproxy or the terminal sees of what the rules did. Nothing here decides."""

from __future__ import annotations

import logging

from mitmproxy import ctx, http
from mitmproxy.hooks import UpdateHook

from lockgate.exchange import ExchangeRow

log = logging.getLogger(__name__)

MARKS = {"blocked": ":no_entry:", "refused": ":no_entry:", "changed": ":pencil2:"}


def show(flow: http.HTTPFlow, row: ExchangeRow) -> None:
    """Mark a flow that rules acted on, and say so in a line; what no rule touched costs nothing."""
    if not row.rules:
        return
    flow.marked = MARKS.get(row.outcome, "")
    flow.comment = f"{row.outcome} by {', '.join(row.rules)}: lockgate log show {row.id[-8:]}"
    log.info("%s %s %s: %s", row.host, row.endpoint, row.model, flow.comment)
    ctx.master.addons.trigger(UpdateHook([flow]))
