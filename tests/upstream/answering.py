"""From a script's answer to an HTTP response: status, headers, and the body's pieces with the steps between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import orjson

from tests.upstream import anthropic_messages, openai_chat, openai_responses
from tests.upstream.compressing import chosen, compressor
from tests.upstream.received import Format, Received
from tests.upstream.rendering import Frames
from tests.upstream.script import Answer, Cut, End, Failure, Gate, InBandError, Pause, Plain, Raw, Reply, Reset, Step

FORMATS: dict[Format, ModuleType] = {
    "anthropic": anthropic_messages,
    "chat": openai_chat,
    "responses": openai_responses,
}
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes out. Without `length` the body's end is told by the transfer itself."""

    status: int
    headers: dict[str, str]
    body: Iterable[bytes | Step]
    length: int | None = None
    before: Sequence[Step] = ()


def response(answer: Answer, received: Received) -> Response:
    """Renders an answer in the format that the request was made in."""
    if isinstance(answer, Plain):
        fields = dict(answer.headers)
        return Response(
            status=answer.status, headers=fields, body=answer.body, length=answer.length, before=answer.before
        )
    wire = FORMATS[received.format or "anthropic"]
    if isinstance(answer, Failure):
        body = orjson.dumps(wire.error(answer.message, answer.type, received))
        fields = JSON | wire.headers(received) | dict(answer.headers)
        return Response(status=answer.status, headers=fields, body=[body], length=len(body), before=answer.before)
    return _stream(answer, received, wire) if received.streamed else _whole(answer, received, wire)


def plain_json(document: object, status: int = 200) -> Plain:
    """A harmless JSON answer."""
    body = orjson.dumps(document)
    return Plain(status, JSON, [body], len(body))


def _fields(reply: Reply, received: Received, wire: ModuleType, encoding: str | None) -> dict[str, str]:
    kind = EVENTS if received.streamed else JSON
    coding = {"content-encoding": encoding} if encoding else {}
    return kind | wire.headers(received) | coding | dict(reply.headers)


def _stream(reply: Reply, received: Received, wire: ModuleType) -> Response:
    encoding = chosen(reply.encoding, received.header("accept-encoding"))
    fields = _fields(reply, received, wire, encoding)
    body = _compressed(_told(wire, reply, received), encoding)
    return Response(status=200, headers=fields, body=body, before=reply.before)


def _told(wire: ModuleType, reply: Reply, received: Received) -> Frames:
    """The frames, where an error in band is the last one."""
    for place, frame in enumerate(wire.frames(reply, received)):
        match frame:
            case InBandError():
                yield wire.in_band(frame, received, place)
                return
            case Raw():
                yield frame.data
            case _:
                yield frame


def _compressed(frames: Frames, encoding: str | None) -> Iterator[bytes | Step]:
    shrink = compressor(encoding)
    for frame in frames:
        yield shrink.piece(frame) if isinstance(frame, bytes) else frame
    if rest := shrink.end():
        yield rest


def _whole(reply: Reply, received: Received, wire: ModuleType) -> Response:
    """One JSON document: the script's waits come before it, and its first fault in its middle."""
    encoding = chosen(reply.encoding, received.header("accept-encoding"))
    shrink = compressor(encoding)
    body = shrink.piece(orjson.dumps(wire.whole(reply, received))) + shrink.end()
    steps = [step for step in wire.frames(reply, received) if not isinstance(step, bytes)]
    waits = [step for step in steps if isinstance(step, Gate | Pause)]
    fault = next((step for step in steps if isinstance(step, Cut | Reset | End)), None)
    pieces = [body[: len(body) // 2], fault] if fault else [body]
    fields = _fields(reply, received, wire, encoding)
    length = None if isinstance(fault, End) else len(body)
    return Response(status=200, headers=fields, body=pieces, length=length, before=[*reply.before, *waits])
