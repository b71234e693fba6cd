"""What all wire formats of the scripted provider share: text cut into deltas, SSE frames, calls with their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from tests.upstream.received import Received
from tests.upstream.script import DELTA_CHARS, Call, Pieces, Reply, ShellCall, Step, Text, Thinking
from tests.upstream.shell import shell_call

CREATED = 1_760_000_000  # a fixed time, so that the same script always gives the same bytes

type Frames = Iterator[bytes | Step]
type Resolved = Thinking | Text | Call | Step


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def deltas(text: Pieces) -> Iterator[str | Step]:
    """The text in pieces, as the script cut it or else DELTA_CHARS at a time."""
    if not isinstance(text, str):
        yield from text
        return
    for start in range(0, len(text), DELTA_CHARS):
        yield text[start : start + DELTA_CHARS]


def joined(text: Pieces) -> str:
    return "".join(piece for piece in deltas(text) if isinstance(piece, str))


def arguments(call: Call) -> Pieces:
    """The call's arguments as the text that goes over the wire."""
    return json.dumps(call.arguments) if isinstance(call.arguments, Mapping) else call.arguments


def resolved(reply: Reply, received: Received, prefix: str) -> list[Resolved]:
    """The reply's parts, with shell calls in the client's shape and an id, such as `call_7_0`, for every call."""
    parts: list[Resolved] = []
    for place, part in enumerate(reply.parts):
        if isinstance(part, ShellCall):
            part = shell_call(part, received.tools)
        if isinstance(part, Call) and part.id is None:
            part = replace(part, id=f"{prefix}_{received.number:04}_{place}")
        parts.append(part)
    return parts


def has_calls(parts: list[Resolved]) -> bool:
    return any(isinstance(part, Call) for part in parts)
