"""What the kill switch means for flows: which are refused, and which are ended while they run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace

from mitmproxy import http

from lockgate.addons.bodies import refuse
from lockgate.addons.cut import Exchanges
from lockgate.addons.identify import agent_of
from lockgate.addons.passage import Passage
from lockgate.addons.route import Route
from lockgate.errors import told
from lockgate.policies.kill_switch import KillSwitch, described, refusal
from lockgate.policies.pipeline import Refused
from lockgate.wire.endpoints import FAMILIES

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Side:
    """A flow of a model host that carries no conversation."""

    host: str
    provider: str
    refused: str = ""
    recorded: bool = True
    """False where the log takes no more, and that is why the request was refused; and where the audit trail sums it up
    with others, so that nobody fills the log by being refused."""


class Stops:
    """Asks the switch about flows."""

    def __init__(self, switch: KillSwitch, route: Route) -> None:
        self.switch, self._route, self.exchanges, self._metrics = switch, route, Exchanges(), route.metrics

    def check(self, passage: Passage) -> None:
        """Raises Refused where the exchange is stopped."""
        kill = self.switch.stops(passage.x, passage.original.model)
        if kill and passage.stop(why := refusal(kill), described(kill)):
            raise why

    def refused(self, flow: http.HTTPFlow, asked: str) -> Refused | None:
        """Why a flow that carries no conversation does not pass."""
        kill = self.switch.stops_other(host=asked, agent=agent_of(flow.request.headers))
        return refusal(kill) if kill else None

    def refuse_other(self, flow: http.HTTPFlow) -> bool:
        """Answer a tunnel's or a plain request to a host that is no model host, where it is stopped."""
        why = self.refused(flow, self._route.asked_host(flow))
        if why:
            self._metrics.refused("stop")
            flow.response = _plainly(why)
        return why is not None

    def apply(self, passages: Mapping[str, Passage], sides: MutableMapping[str, Side]) -> None:
        """End what is under way and is stopped now, however far it is; what has not begun is refused when it does."""
        for flow in list(self.exchanges.open()):
            try:
                self._apply(flow, passages, sides)
            except Exception as error:  # the others are ended all the same
                log.error("what is stopped could not be ended by its own means: %s", told(error))
                self.exchanges.drop(flow.client_conn)
        for client, host in self._route.tunnels():
            if self.switch.stops_other(host=host):
                self._metrics.refused("stop")
                self.exchanges.drop(client)

    def _apply(self, flow: http.HTTPFlow, passages: Mapping[str, Passage], sides: MutableMapping[str, Side]) -> None:
        if passage := passages.get(flow.id):
            if kill := self.switch.stops(passage.x, passage.original.model):
                self.end(passage, refusal(kill), described(kill))
        elif side := sides.get(flow.id):
            if not side.refused and (why := self.refused(flow, side.host)):
                self._metrics.refused("stop", side.host)
                sides[flow.id] = replace(side, refused=str(why))
                self._cut(flow, why, side.provider)
        elif self._route.model_host(flow) is None and (why := self.refused(flow, self._route.asked_host(flow))):
            self._metrics.refused("stop")
            self._cut(flow, why)

    def end(self, passage: Passage, why: Refused, reason: str) -> bool:
        """Cut one exchange; nothing happens to one that is over."""
        if not passage.stop(why, reason):
            return False
        flow, format = passage.flow, passage.format
        self.exchanges.cut(flow, str(why), lambda: refuse(format, str(why), 400))
        return True

    def _cut(self, flow: http.HTTPFlow, why: Refused, provider: str = "") -> None:
        def answer() -> http.Response:
            return refuse(FAMILIES[provider], str(why), 400) if provider else _plainly(why)

        self.exchanges.cut(flow, str(why), answer)


def _plainly(why: Refused) -> http.Response:
    return http.Response.make(403, f"{why}\n", {"content-type": "text/plain; charset=utf-8"})
