"""What was said in one exchange, for people: the last of what was asked, and the reply as the client got it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lockgate.cli.shown import plain
from lockgate.errors import WireError
from lockgate.events import Event, Request, TextDelta, ThinkingDelta, ToolCall
from lockgate.records import Comm, ExchangeRow
from lockgate.storage.answers import ExchangeDetail
from lockgate.wire.endpoints import Endpoint, endpoint_for

SHOWN_CHARACTERS = 2_000
"""As much of the last message is shown; `--json` has all of it."""


def asked(detail: ExchangeDetail) -> Iterator[str]:
    """The request as the client sent it: how much, and its last message."""
    chain, known = detail.chain("REQUEST"), _endpoint(detail.exchange)
    if chain and (damage := _damage(detail, chain[0])):
        yield damage
        return
    if not chain or not chain[0].content or known is None:
        yield "not recorded, or of a kind that cannot be read"
        return
    try:
        request = known.format.read_request(chain[0].content)
    except WireError as error:
        yield f"cannot be read: {error}"
        return
    yield f"{len(chain[0].content):,} bytes, tools: {', '.join(request.tools) or 'none'}"
    if how := detail.joined.get(chain[0].id):
        yield f"stored once; bytes as sent: {'yes' if how.as_sent else 'no (equal as JSON)'}"
    yield from _indented(_last_message(request))


def _last_message(request: Request) -> str:
    """What the user or a tool said last, or the end of it."""
    said = [spot for spot in request.texts() if spot.role in ("user", "tool")]
    text = f"{said[-1].role}: {said[-1].text}" if said else "nothing was said"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} … ({len(text):,} characters)"


def answered(detail: ExchangeDetail) -> Iterator[str]:
    """The reply as the client got it."""
    chain, known = detail.chain("RESPONSE"), _endpoint(detail.exchange)
    request = next(iter(detail.chain("REQUEST")), None)
    if chain and (damage := _damage(detail, chain[-1])):
        yield damage
        return
    if not chain or not chain[-1].content:
        yield "none"
        return
    try:
        if known is None or not known.converses or request is None:
            raise WireError("of a kind that cannot be read")
        reply = known.format.reply(known.format.read_request(request.content or b""), streamed=False, hold_calls=False)
        frames = [*reply.receive_data(chain[-1].content), *reply.receive_data(b"")]
    except WireError:
        yield from _indented(chain[-1].content[:SHOWN_CHARACTERS].decode("utf-8", "replace"))
        return
    for event in (event for frame in frames for event in frame.events):
        yield from _told(event)


def _damage(detail: ExchangeDetail, comm: Comm) -> str:
    """Why the body cannot be shown, if its parts in the log were changed."""
    how = detail.joined.get(comm.id)
    return f"damaged in the log: {how.damage}" if how and how.damage else ""


def _told(event: Event) -> Iterator[str]:
    match event:
        case TextDelta():
            yield from _indented(event.text)
        case ThinkingDelta():
            yield from _indented(f"(thinking) {event.text}")
        case ToolCall():
            yield from _indented(f"call {event.name} {_pretty(event.arguments)}")
        case _:
            pass


def _pretty(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments


def _indented(text: str) -> Iterator[str]:
    yield from plain(text).split("\n")


def _endpoint(row: ExchangeRow) -> Endpoint | None:
    """Where the request went, which is how its format is known; the method may stand before the path."""
    return endpoint_for("POST", row.endpoint.rpartition(" ")[2])
