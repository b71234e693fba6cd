"""Requests of Anthropic Messages: what is asked, and every text that the model reads in it. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.errors import WireError
from lockgate.events import Path, Request, Role, Spot
from lockgate.wire.document import loads_object

_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system"}


def read_request(body: bytes) -> Request:
    """Raises WireError for what is not a JSON object with a model, messages, and a `stream` that is true or false."""
    document = loads_object(body)
    model, messages, stream = document.get("model"), document.get("messages"), document.get("stream")
    if not isinstance(model, str):
        raise WireError("an Anthropic request names its `model` as a string")
    if not isinstance(messages, list):
        raise WireError("an Anthropic request has its `messages` as a list")
    if stream is not None and not isinstance(stream, bool):
        raise WireError("an Anthropic request has `stream` as true or false")
    return Request(
        raw=body,
        document=document,
        model=model,
        stream=stream is True,
        tools=tuple(_tool_names(document.get("tools"))),
        find_texts=find_texts,
    )


def _tool_names(tools: Any) -> Iterator[str]:
    for _, tool in _objects((), tools):
        if isinstance(name := tool.get("name"), str):
            yield name


def find_texts(document: Mapping[str, Any]) -> Iterator[Spot]:
    """The texts of a request in order. Left out: ids, encoded files, thinking and whatever else carries a signature."""
    yield from _content(("system",), document.get("system"), "system")
    for path, message in _objects(("messages",), document.get("messages")):
        role = _ROLES.get(str(message.get("role")), "user")
        yield from _content((*path, "content"), message.get("content"), role)
    for path, tool in _objects(("tools",), document.get("tools")):
        yield from _described(path, tool)


def _content(path: Path, content: Any, role: Role) -> Iterator[Spot]:
    """A string, one block, or a list of blocks."""
    yield from _string(path, content, role)
    if isinstance(content, dict):
        yield from _block(path, content, role)  # pyright: ignore[reportUnknownArgumentType]
    for at, block in _objects(path, content):
        yield from _block(at, block, role)


def _block(path: Path, block: Mapping[str, Any], role: Role) -> Iterator[Spot]:
    match block.get("type"):
        case "text":
            yield from _string((*path, "text"), block.get("text"), role)
        case "tool_use":
            yield from _leaves((*path, "input"), block.get("input"), role)
        case "document":
            yield from _document(path, block, role)
        case "search_result":
            for key in ("title", "source"):
                yield from _string((*path, key), block.get(key), role)
            yield from _content((*path, "content"), block.get("content"), role)
        case str(kind) if kind.endswith("_result"):  # of a client's tool, and of the provider's own
            yield from result_texts(path, block)
        case _:
            return


def _document(path: Path, block: Mapping[str, Any], role: Role) -> Iterator[Spot]:
    for key in ("title", "context"):
        yield from _string((*path, key), block.get(key), role)
    match block.get("source"):
        case {"type": "text", "data": str(text)}:
            yield Spot((*path, "source", "data"), role, text)
        case {"type": "content", "content": content}:
            yield from _content((*path, "source", "content"), content, role)
        case _:
            return


def result_texts(path: Path, block: Mapping[str, Any]) -> Iterator[Spot]:
    """What a tool answered."""
    for key in ("stdout", "stderr"):
        yield from _string((*path, key), block.get(key), "tool")
    yield from _content((*path, "content"), block.get("content"), "tool")


def _described(path: Path, node: Any) -> Iterator[Spot]:
    """Every description in a tool's definition, those of its parameters too: a place to hide instructions in."""
    if isinstance(node, list):
        for at, item in enumerate(node):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _described((*path, at), item)
    elif isinstance(node, dict):
        for key, value in node.items():  # pyright: ignore[reportUnknownVariableType]
            if key == "description" and isinstance(value, str):
                yield Spot((*path, key), "definition", value)
            else:
                yield from _described((*path, str(key)), value)  # pyright: ignore[reportUnknownArgumentType]


def _leaves(path: Path, node: Any, role: Role) -> Iterator[Spot]:
    yield from _string(path, node, role)
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        for key, value in items:  # pyright: ignore[reportUnknownVariableType]
            yield from _leaves((*path, key), value, role)  # pyright: ignore[reportUnknownArgumentType]


def _string(path: Path, value: Any, role: Role) -> Iterator[Spot]:
    if isinstance(value, str):
        yield Spot(path, role, value)


def _objects(path: Path, values: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(values, list):
        for at, value in enumerate(values):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            if isinstance(value, dict):
                yield (*path, at), value
