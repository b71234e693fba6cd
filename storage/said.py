"""What was said in a comm, as text to search: what is new in a request, and all of a reply. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import Event, Request, TextDelta, ThinkingDelta, ToolCall
from lockgate.records import Comm
from lockgate.wire.codec import Format
from lockgate.wire.conversation import MESSAGES, Conversation, Part, split
from lockgate.wire.document import dumps, loads
from lockgate.wire.endpoints import Endpoint, endpoint_for

SPOKEN_ROLES = ("user", "tool")
"""Whose texts in a request are new: the model's own passed here as replies, and instructions repeat every turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One text. `role` is user, tool, assistant, thinking or call; a call's text is its tool's name and arguments."""

    role: str
    text: str
    message: bytes | None = None
    """The hash of the message that says it, in a request; a reply's texts are those of its whole body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What one comm says. `tools` names each tool that is called, once for each call."""

    texts: tuple[Said, ...] = ()
    tools: tuple[str, ...] = ()


NOTHING = Spoken()


def texts_of(comm: Comm) -> tuple[Said, ...]:
    """What is new in a request, or all of a reply. Raises WireError for what its codec cannot read."""
    return spoken(comm).texts


def spoken(comm: Comm, conversation: Conversation | None = None) -> Spoken:
    """Nothing for what is no message of a conversation. Raises WireError for what its codec cannot read.

    `conversation` is a request's body where somebody has taken it apart already.
    """
    known = endpoint_of(comm.endpoint)
    if not comm.content or known is None or not known.converses:
        return NOTHING
    if comm.type == "REQUEST":
        apart = conversation or split(known.format.name, comm.content)
        if apart is None:
            raise WireError("it is no conversation")
        return Spoken(texts=tuple(_new_in(known.format, apart)))
    events = _events(known, comm.content)
    tools = tuple(event.name for event in events if isinstance(event, ToolCall))
    return Spoken(texts=tuple(_told(events)), tools=tools)


def said_in(format: Format, hash: bytes, content: bytes) -> Iterator[Said]:
    """What one message of a request says, by its hash and its content as they are stored. Raises WireError."""
    request = format.read_request(dumps({"model": "", MESSAGES[format.name]: [loads(content)]}))
    for spot in request.texts():
        if spot.role in SPOKEN_ROLES and spot.text:
            yield Said(role=spot.role, text=spot.text, message=hash)


def request_texts(endpoint: str, content: bytes) -> Iterable[str]:
    """Every text of a request, for counting. Raises WireError."""
    known = endpoint_of(endpoint)
    return () if known is None else [spot.text for spot in known.format.read_request(content).texts()]


def endpoint_of(endpoint: str) -> Endpoint | None:
    """Where a comm went, which is how its format is known; the method may stand before the path."""
    return endpoint_for("POST", endpoint.rpartition(" ")[2])


def _new_in(format: Format, conversation: Conversation) -> Iterator[Said]:
    """What users and tools said after the model spoke last. Only that much is read."""
    new: list[Part] = []
    for part in reversed(conversation.messages):
        if part.role == "assistant":
            break
        new.append(part)
    for part in reversed(new):
        yield from said_in(format, part.hash, part.content)


def _events(known: Endpoint, content: bytes) -> list[Event]:
    blank = Request(raw=b"", document={}, model="", stream=False, find_texts=lambda _: ())
    reply = known.format.reply(blank, streamed=False, hold_calls=False)
    frames = [*reply.receive_data(content), *reply.receive_data(b"")]
    return [event for frame in frames for event in frame.events]


def _told(events: Iterable[Event]) -> Iterator[Said]:
    for event in events:
        match event:
            case TextDelta() if event.text:
                yield Said(role="assistant", text=event.text)
            case ThinkingDelta() if event.text:
                yield Said(role="thinking", text=event.text)
            case ToolCall():
                yield Said(role="call", text="\n".join((event.name, *_leaves(event.arguments, event.custom))))
            case _:
                pass


def _leaves(arguments: str, custom: bool) -> Iterator[str]:
    """The values in a call's arguments as a person reads them, each after its key."""
    if custom:
        yield arguments
        return
    try:
        yield from _values("", loads(arguments))
    except WireError:
        yield arguments


def _values(key: str, node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in cast(dict[str, Any], node).items():
            yield from _values(name, value)
    elif isinstance(node, list):
        for value in cast(list[Any], node):
            yield from _values(key, value)
    else:
        yield f"{key}: {node}" if key else str(node)
