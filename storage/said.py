"""What was said in a comm, as text to search: what is new in a request, and all of a reply. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import Event, Request, TextDelta, ThinkingDelta, ToolCall
from lockgate.exchange import Comm
from lockgate.wire.document import dumps, loads
from lockgate.wire.endpoints import Endpoint, endpoint_for

SPOKEN_ROLES = ("user", "tool")
"""Whose texts in a request are new: the model's own passed here as replies, and instructions repeat every turn."""
_MODELS_OWN = ("reasoning", "compaction", "item_reference")
"""Items of the Responses API that are the model's, beside its messages and calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One text. `role` is user, tool, assistant, thinking or call; a call's text is its tool's name and arguments."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What one comm says. `tools` names each tool that is called, once for each call."""

    texts: tuple[Said, ...] = ()
    tools: tuple[str, ...] = ()


NOTHING = Spoken()


def texts_of(comm: Comm) -> tuple[Said, ...]:
    """What is new in a request, or all of a reply. Raises WireError for what its codec cannot read."""
    return spoken(comm).texts


def spoken(comm: Comm) -> Spoken:
    """Nothing for what is no message of a conversation. Raises WireError for what its codec cannot read."""
    known = endpoint_of(comm.endpoint)
    if not comm.content or known is None or not known.converses:
        return NOTHING
    if comm.type == "REQUEST":
        return Spoken(texts=tuple(_new_in(known, comm.content)))
    events = _events(known, comm.content)
    tools = tuple(event.name for event in events if isinstance(event, ToolCall))
    return Spoken(texts=tuple(_told(events)), tools=tools)


def request_texts(endpoint: str, content: bytes) -> Iterable[str]:
    """Every text of a request, for counting. Raises WireError."""
    known = endpoint_of(endpoint)
    return () if known is None else [spot.text for spot in known.format.read_request(content).texts()]


def endpoint_of(endpoint: str) -> Endpoint | None:
    """Where a comm went, which is how its format is known; the method may stand before the path."""
    return endpoint_for("POST", endpoint.rpartition(" ")[2])


def _new_in(known: Endpoint, content: bytes) -> Iterator[Said]:
    """What users and tools said after the model spoke last. Only that much is read as the codec reads it."""
    document = loads(content)
    if not isinstance(document, dict):
        raise WireError("not a JSON object")
    asked = cast(dict[str, Any], document)
    key = "messages" if "messages" in asked else "input"
    messages = asked.get(key)
    if isinstance(messages, list):
        listed = cast(list[Any], messages)
        messages = listed[_after_model(listed) :]
    if not messages:
        return
    request = known.format.read_request(dumps({"model": asked.get("model"), key: messages}))
    for spot in request.texts():
        if spot.role in SPOKEN_ROLES and spot.text:
            yield Said(role=spot.role, text=spot.text)


def _after_model(messages: Sequence[Any]) -> int:
    """The place after what the model said last."""
    return next((at + 1 for at in reversed(range(len(messages))) if _is_models(messages[at])), 0)


def _is_models(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    item = cast(dict[str, Any], message)
    kind = str(item.get("type", ""))
    return item.get("role") == "assistant" or kind.endswith("_call") or kind in _MODELS_OWN


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
