"""What is sent when a request goes once more, and how its reply is read. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable

from lockgate.errors import WireError
from lockgate.events import Turn
from lockgate.exchange import Exchange
from lockgate.redaction import is_secret
from lockgate.routing.asking import NoAnswer
from lockgate.wire.whole import read_turn

RESENT_BYTES = 32 * 2**20
"""A longer reply to a request sent once more is none."""

_OURS = frozenset({
    "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authorization",
    "proxy-connection", "content-length", "content-encoding", "accept-encoding", "expect",
})  # fmt: skip
"""Headers of one connection or one encoding of the body: the client that sends it again makes its own."""


def resent_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that go with the body as JSON text."""
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS]
    return kept if any(name.lower() == "content-type" for name, _ in kept) else [*kept, _JSON]


_JSON = ("content-type", "application/json")


def secrets_of(headers: Iterable[tuple[str, str]]) -> list[str]:
    """The credentials in them, without their schemes: a server's error may repeat the one that it refuses."""
    given = (value.strip().rpartition(" ")[2] for name, value in headers if is_secret(name))
    return [value for value in given if len(value) >= 8]


def reply_of(x: Exchange, body: bytes) -> tuple[Turn, bytes]:
    """The reply and the message that it makes, as JSON text. Raises NoAnswer."""
    try:
        return read_turn(x.format, x.request, body)
    except WireError as error:
        raise NoAnswer(f"its reply cannot go on: {error}") from error
