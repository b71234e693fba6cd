"""What the door says of each kind of flow: a tunnel, a request beside a conversation, an exchange."""

from __future__ import annotations

import logging

from mitmproxy import http

from lockgate.addons.door import Door
from lockgate.addons.passage import Passage
from lockgate.addons.reply import FAILED
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
        flow.request.stream = False
        headers = {"content-type": "text/plain", "proxy-authenticate": 'Basic realm="Lockgate"'}
        flow.response = http.Response.make(407, f"{_told(error)}.\n", headers)


async def enter_side(door: Door, flow: http.HTTPFlow, asked: str, host: Host) -> str:
    """Why a request that carries no conversation may not pass; "" where it may, with the provider's key in it."""
    try:
        if guest := await door.enter(flow):
            door.admit(guest, flow, host, asked)
            await door.exchange(guest, flow, host, asked)
    except AccessError as error:
        return str(Refused(ACCESS, str(error), "error"))
    except Exception as error:
        return _told(error)
    return ""


async def let_in(door: Door, passage: Passage, host: Host, request_bytes: int) -> None:
    """Hold an exchange to grants, limits and quotas, and put the provider's key in it. Raises AccessError."""
    flow, x, guest = passage.flow, passage.x, passage.guest
    if guest:
        door.admit(guest, flow, host, x.host, x)
    if passage.converses or passage.compacts:
        passage.take(await door.seat(guest, x, request_bytes))
    if guest:
        if passage.converses:
            await door.charge(guest)
        await door.exchange(guest, flow, host, x.host)


def _told(error: Exception) -> str:
    """What whoever asks is told; a fault of ours goes to the program's log."""
    if isinstance(error, AccessError):
        return str(error)
    log.error("access could not be checked: %s", told(error))
    return FAILED
