"""Requests of the Chat Completions format: what they ask, and the answers that Lockgate itself gives to them.

Nothing here does I/O.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import Path, Request, Role, Spot
from lockgate.wire.document import dumps, loads_object
from lockgate.wire.sse import block_of

type Json = dict[str, Any]

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def objects(value: Any) -> Iterator[tuple[int, Json]]:
    """The objects in a list, each with its position; nothing where there is no list."""
    items = cast(list[Any], value) if isinstance(value, list) else []
    return ((at, cast(Json, item)) for at, item in enumerate(items) if isinstance(item, dict))


def read_request(body: bytes) -> Request:
    """The request that `body` holds. Raises WireError when it is none of this format."""
    document = loads_object(body)
    model, stream = document.get("model"), document.get("stream")
    if not isinstance(document.get("messages"), list):
        raise WireError("not a Chat Completions request: 'messages' is not a list")
    if not isinstance(model, str | None):
        raise WireError("not a Chat Completions request: 'model' is not a string")
    if not isinstance(stream, bool | None):
        raise WireError("not a Chat Completions request: 'stream' is neither true nor false")
    return Request(
        raw=body,
        document=document,
        model=model or "",  # Azure names the model in the path
        stream=bool(stream),
        tools=tuple(str(definition["name"]) for _, definition in _definitions(document) if definition.get("name")),
        find_texts=find_texts,
    )


def find_texts(document: Mapping[str, Any]) -> Iterator[Spot]:
    """What the model reads as text: the messages in order, the predicted output, the descriptions of tools."""
    for at, message in objects(document.get("messages")):
        role = _ROLES.get(str(message.get("role")), "user")
        for name in ("content", "refusal"):
            yield from texts_in(message.get(name), ("messages", at, name), role)
    for _, prediction in objects([document.get("prediction")]):
        yield from texts_in(prediction.get("content"), ("prediction", "content"), "user")
    for path, definition in _definitions(document):
        yield from texts_in(definition.get("description"), (*path, "description"), "definition")


def texts_in(value: Any, path: Path, role: Role) -> Iterator[Spot]:
    """The texts of a content: a string, or parts."""
    if isinstance(value, str):
        yield Spot(path, role, value)
    for at, part in objects(value):
        kind = part.get("type")
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            yield Spot((*path, at, kind), role, part[kind])


def _definitions(document: Mapping[str, Any]) -> Iterator[tuple[Path, Json]]:
    """The client's tools, each with where its name and description stand."""
    for at, tool in objects(document.get("tools")):
        kind = tool.get("type", "function")
        for _, definition in objects([tool.get(kind)] if kind in ("function", "custom") else None):
            yield ("tools", at, kind), definition
    for at, function in objects(document.get("functions")):
        yield ("functions", at), function


def error_body(sentence: str, *, kind: str = "invalid_request_error") -> bytes:
    """A refusal as the provider would word it."""
    return dumps({"error": {"message": sentence, "type": kind, "param": None, "code": None}})


def answer(request: Request, text: str) -> tuple[str, bytes]:
    """A complete assistant reply that says `text`: its content type and body, streamed if the request asks for it."""
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": request.model}
    if request.stream:
        return "text/event-stream; charset=utf-8", b"".join(_stream(head, text, _wants_usage(request)))
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return "application/json", dumps({**head, "object": "chat.completion", "choices": [choice], "usage": _NO_USAGE})


def _stream(head: Json, text: str, with_usage: bool) -> Iterator[bytes]:
    opening = {"role": "assistant", "content": "", "refusal": None}
    for delta, reason in ((opening, None), ({"content": text}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield block_of(dumps({**head, "object": "chat.completion.chunk", "choices": [choice]}))
    if with_usage:
        yield block_of(dumps({**head, "object": "chat.completion.chunk", "choices": [], "usage": _NO_USAGE}))
    yield block_of(b"[DONE]")


def _wants_usage(request: Request) -> bool:
    return any(options.get("include_usage") is True for _, options in objects([request.document.get("stream_options")]))
