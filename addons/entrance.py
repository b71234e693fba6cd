"""What the door says of each kind of flow: a tunnel, a request beside a conversation, an exchange."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mitmproxy import http

from lockgate.addons.door import Door, Guest
from lockgate.addons.passage import Passage
from lockgate.addons.reply import FAILED
from lockgate.addons.stops import Side, Stops
from lockgate.config import Host
from lockgate.errors import AccessError, told
from lockgate.policies.pipeline import Refused

log = logging.getLogger(__name__)

ACCESS = "access"
"""What refuses where a token does."""


async def enter_other(door: Door, flow: http.HTTPFlow) -> None:
    """A tunnel, or a plain request, to a host that is no model host: for who has a token, where one is needed."""
    try:
        await door.enter_other(flow)
    except Exception as error:
        door.refused(error, flow, flow.request.host)
        flow.request.stream = False
        headers = {"content-type": "text/plain", "proxy-authenticate": 'Basic realm="Lockgate"'}
        flow.response = http.Response.make(407, f"{_told(error)}.\n", headers)


async def enter(door: Door, flow: http.HTTPFlow, asked: str) -> Guest | None:
    """Who asks; None for who shows no token, and needs none. Raises AccessError, or StorageError."""
    try:
        return await door.enter(flow)
    except Exception as error:
        door.refused(error, flow, asked)
        raise


async def enter_side(door: Door, flow: http.HTTPFlow, asked: str, host: Host) -> Side | None:
    """What becomes of a request that carries no conversation; None where it may pass, with the provider's key in it."""
    guest = None
    try:
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


async def let_in(door: Door, passage: Passage, host: Host, request_bytes: int) -> None:
    """Hold an exchange to grants, limits and quotas, and put the provider's key in it. Raises AccessError."""
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


async def end_refused(door: Door, stops: Stops, passages: Mapping[str, Passage]) -> None:
    """End what is under way with a token that can be used no more."""
    for passage in list(passages.values()):
        why = await door.refusal(passage.guest) if passage.guest else None
        if why and stops.end(passage, Refused(ACCESS, str(why), "error"), str(why)):
            door.refused(why, passage.flow, passage.x.host, passage.guest)


def _told(error: Exception) -> str:
    """What whoever asks is told; a fault of ours goes to the program's log."""
    if isinstance(error, AccessError):
        return str(error)
    log.error("access could not be checked: %s", told(error))
    return FAILED
