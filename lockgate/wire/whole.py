"""A whole reply of any format, read at once. Nothing here does I/O."""

from __future__ import annotations

from lockgate.errors import WireError
from lockgate.events import MessageEnd, ReplyError, Request, Turn
from lockgate.wire.codec import Format
from lockgate.wire.endpoints import ENDPOINTS

_FORMATS: dict[str, Format] = {endpoint.format.name: endpoint.format for endpoint in ENDPOINTS}


def format_of(name: str) -> Format:
    """The format of this name."""
    return _FORMATS[name]


def read_turn(name: str, request: Request, body: bytes) -> tuple[Turn, bytes]:
    """The reply to a request, streamed where that asks for it, and the message it makes as JSON text.

    Raises WireError for a reply that cannot be read, is not whole, or tells of an error.
    """
    reply = format_of(name).reply(request, streamed=request.stream, hold_calls=False)
    frames = [*reply.receive_data(body), *reply.receive_data(b"")]
    events = tuple(event for frame in frames for event in frame.events)
    if error := next((event for event in events if isinstance(event, ReplyError)), None):
        raise WireError(f"it ends with an error, {error.kind}")
    if not any(isinstance(event, MessageEnd) for event in events):
        raise WireError("it is not complete")
    return Turn(body=body, events=events, usage=reply.usage), reply.message() or b""


def made_turn(name: str, request: Request, text: str) -> Turn:
    """A reply of Lockgate's own that says `text` and calls nothing."""
    return read_turn(name, request, format_of(name).answer(request, text)[1])[0]
