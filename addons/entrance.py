"""What the door says of each kind of flow: a tunnel, a request beside a conversation, an exchange."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from mitmproxy import http

from lockgate.access.limits import Limited
from lockgate.addons.door import Door, Guest
from lockgate.addons.passage import Passage
from lockgate.addons.reply import FAILED
from lockgate.addons.route import Route
from lockgate.addons.stops import Side, Stops
from lockgate.config import Config, Host
from lockgate.errors import AccessError, ConfigError, StorageError, WireError, told
from lockgate.metrics import Metrics, Refusal
from lockgate.policies.kill_switch import RULE as KILL
from lockgate.policies.pipeline import Refused
from lockgate.policies.registry import PolicySet, Registry
from lockgate.records import Outcome
from lockgate.wire.endpoints import Endpoint

log = logging.getLogger(__name__)

ACCESS = "access"
"""What refuses where a token does."""


class Entrance:
    """What becomes of each kind of flow at the door; where there is none, whoever comes may pass."""

    def __init__(self, door: Door | None, config: Config, route: Route, stops: Stops) -> None:
        self.door, self._config, self._route, self._stops = door, config, route, stops
        self._metrics = route.metrics

    def never_passes(
        self, flow: http.HTTPFlow, asked: str, endpoint: Endpoint | None
    ) -> tuple[Refusal, int, str] | None:
        """The kind, status and sentence for what never passes, whatever the rules say."""
        if "websocket" in flow.request.headers.get("upgrade", "").lower():
            return "protocol", 426, "Lockgate reads this host's HTTP replies only: use HTTPS with server-sent events."
        if self._route.misdirected(flow, asked):
            named = flow.request.pretty_host
            return "misdirected", 421, f"this connection is for {asked}, and the request names {named}."
        if endpoint is None and (refused := self._stops.refused(flow, asked)):
            return "stop", 400, str(refused)
        if endpoint is None and self._config.unknown_endpoint == "block":
            path = flow.request.path.partition("?")[0]
            sentence = f"Lockgate does not know {flow.request.method} {path}, and 'unknown_endpoint' is 'block'."
            return "endpoint", 400, sentence
        return None

    def connect(self, flow: http.HTTPFlow) -> None:
        """Remember who opens a tunnel."""
        if self.door:
            self.door.connect(flow)

    def concerns(self, flow: http.HTTPFlow) -> bool:
        """Whether the door has to look at this request."""
        return self.door is not None and self.door.concerns(flow)

    async def enter_other(self, flow: http.HTTPFlow) -> None:
        """A tunnel, or a plain request, to a host that is no model host: for who has a token, where one is needed."""
        if (door := self.door) is None:
            return
        try:
            with Counting(self._metrics):
                await door.enter_other(flow)
        except Exception as error:
            door.refused(error, flow, flow.request.host)
            flow.request.stream = False
            headers = {"content-type": "text/plain", "proxy-authenticate": 'Basic realm="Lockgate"'}
            flow.response = http.Response.make(407, f"{_told(error)}.\n", headers)

    async def enter(self, flow: http.HTTPFlow, asked: str) -> Guest | None:
        """Who asks; None for who shows no token, and needs none. Raises AccessError, or StorageError."""
        if (door := self.door) is None or not door.concerns(flow):
            return None
        try:
            return await door.enter(flow)
        except Exception as error:
            door.refused(error, flow, asked)
            raise

    async def enter_side(self, flow: http.HTTPFlow, asked: str, host: Host) -> Side | None:
        """A request that carries no conversation; None where it may pass, with the provider's key in it."""
        if (door := self.door) is None:
            return None
        guest = None
        try:
            with Counting(self._metrics, asked):
                if guest := await door.enter(flow):
                    door.admit(guest, flow, host, asked)
                    await door.exchange(guest, flow, host, asked)
        except AccessError as error:
            door.refused(error, flow, asked, guest)
            sentence = str(Refused(ACCESS, str(error), "error"))
            return Side(asked, host.format, sentence, recorded=not error.repeats)
        except Exception as error:
            door.refused(error, flow, asked, guest)
            return Side(asked, host.format, _told(error))
        return None

    async def let_in(self, passage: Passage, host: Host, request_bytes: int) -> None:
        """Hold an exchange to grants, limits and quotas, and put the provider's key in it. Raises AccessError."""
        if (door := self.door) is None:
            return
        flow, x, guest = passage.flow, passage.x, passage.guest
        try:
            if guest:
                door.admit(guest, flow, host, x.host, x)
            if passage.converses or passage.compacts:
                passage.take(await door.seat(guest, x, request_bytes))
            if guest:
                if passage.converses:
                    await door.charge(guest)
                await door.exchange(guest, flow, host, x.host)
        except Exception as error:
            door.refused(error, flow, x.host, guest)
            raise

    def answered(self, passage: Passage, response: http.Response) -> None:
        """The provider has answered."""
        if self.door and passage.guest:
            self.door.answered(passage.guest, response.status_code, response.headers.get("retry-after", ""))

    def left(self, passage: Passage, outcome: Outcome | None) -> Coroutine[Any, Any, None] | None:
        """The exchange is over, and is charged for what it took."""
        if self.door and passage.stay:
            self.door.charges.end(passage.stay, passage.taken(passage.stay, outcome))
        return self.door.leave(passage.guest) if self.door and passage.guest else None

    async def end_refused(self, passages: Mapping[str, Passage]) -> None:
        """End what is under way with a token that can be used no more."""
        if (door := self.door) is None:
            return
        for passage in list(passages.values()):
            why = await door.refusal(passage.guest) if passage.guest else None
            if why and self._stops.end(passage, Refused(ACCESS, str(why), "error"), str(why)):
                door.refused(why, passage.flow, passage.x.host, passage.guest)


async def rules_for(registry: Registry, guest: Guest | None) -> PolicySet:
    """Those for all, and those that the token and its project are given. Raises AccessError."""
    if guest is None:
        return registry.current
    try:
        return await registry.judging((guest.token.project_grant.policy, guest.token.grant.policy))
    except ConfigError as error:
        raise AccessError(
            "the policy set that the token is held to cannot be put in force; tell its operator"
        ) from error


def kind_of(error: Exception) -> Refusal:
    """What a refusal counts as."""
    match error:
        case Refused():
            return "stop" if error.rule == KILL else "rule"
        case Limited():
            return "log" if isinstance(error.__cause__, StorageError) else "limit"
        case AccessError():
            return "access"
        case WireError():
            return "unreadable"
        case StorageError():
            return "log"
        case _:
            return "failure"


class Counting:
    """Counts what is refused within."""

    def __init__(self, metrics: Metrics, host: str = "") -> None:
        self._metrics, self._host = metrics, host

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            self._metrics.refused(kind_of(error), self._host)


def _told(error: Exception) -> str:
    """What whoever asks is told; a fault of ours goes to the program's log."""
    if isinstance(error, AccessError):
        return str(error)
    log.error("access could not be checked: %s", told(error))
    return FAILED
