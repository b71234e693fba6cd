"""Marks and comments on flows: what rules did, would have done, and what waits for a person."""

from __future__ import annotations

from typing import Any

from mitmproxy import http

from tests.addons.gated import gated
from tests.addons.test_approvals import approval, asking, begun
from tests.addons.test_conversation_view import Flows
from tests.addons.wires import WIRES, bash
from tests.upstream.proxied import Tls, soon, tls
from tests.upstream.script import Text

__all__ = ["tls"]

WIRE = WIRES[0]
DENY: dict[str, Any] = {"name": "no-bash", "use": "tools", "with": {"deny": ["Bash"]}}


class Updates(Flows):
    """Also keeps the comments that those who watch were told of."""

    name = "keeps-updates"

    def __init__(self) -> None:
        super().__init__()
        self.comments: list[str] = []

    def update(self, flows: list[http.HTTPFlow]) -> None:
        for flow in flows:
            if not self.comments or self.comments[-1] != flow.comment:
                self.comments.append(flow.comment)


async def test_a_rule_in_shadow_mode_is_told_without_a_mark(tls: Tls) -> None:
    kept = Updates()
    async with gated(tls, {**DENY, "mode": "shadow"}, addons=(kept,)) as at:
        reply = await begun(at, WIRE, WIRE.reply(Text("So."), bash("ls")))
        await reply.over()
        [row] = await at.log.ended()
        [flow] = kept.flows
    assert (row.outcome, row.rules) == ("passed", ())
    assert flow.marked == ""
    assert flow.comment == f"no-bash in shadow mode would have blocked: lockgate log show {row.id[-8:]}"


async def test_a_rule_that_acts_is_marked(tls: Tls) -> None:
    kept = Updates()
    async with gated(tls, DENY, addons=(kept,)) as at:
        reply = await begun(at, WIRE, WIRE.reply(Text("So."), bash("ls")))
        await reply.over()
        [row] = await at.log.ended()
        [flow] = kept.flows
    assert flow.marked == ":no_entry:"
    assert flow.comment == f"blocked by no-bash: lockgate log show {row.id[-8:]}"


async def test_what_no_rule_touched_has_no_comment(tls: Tls) -> None:
    kept = Updates()
    async with gated(tls, DENY, addons=(kept,)) as at:
        reply = await begun(at, WIRE, WIRE.reply(Text("So.")))
        await reply.over()
        [row] = await at.log.ended()
        [flow] = kept.flows
    assert (flow.marked, flow.comment) == ("", "")
    assert flow.metadata["lockgate_exchange"] == row.id
    assert flow.get_state()  # it can be saved


async def test_a_call_that_waits_says_how_it_is_approved(tls: Tls) -> None:
    kept = Updates()
    async with asking(tls, approval(), addons=(kept,)) as (at, people):
        reply = await begun(at, WIRE, WIRE.reply(Text("So."), bash("rm 0.9")))
        asked, answer = await soon(people.asked.get())
        [flow] = kept.flows
        assert flow.comment == f"held for a person: lockgate approve {asked.id[-8:]}"
        people.asked.put_nowait((asked, answer))
        await people.decide("approved")
        await reply.over()
        [row] = await at.log.ended()
    assert flow.comment == f"passed by ask-first: lockgate log show {row.id[-8:]}"
    assert "held for a person: lockgate approve list" in kept.comments
    assert "" in kept.comments


async def test_a_call_whose_client_left_waits_no_more(tls: Tls) -> None:
    kept = Updates()
    async with asking(tls, approval(), addons=(kept,)) as (at, people):
        await begun(at, WIRE, WIRE.reply(Text("So."), bash("rm 0.9")))
        await soon(people.asked.get())
        at.clients[0].close()
        [row] = await at.log.ended()
        [flow] = kept.flows
    assert row.outcome == "gone"
    assert "held" not in flow.comment
