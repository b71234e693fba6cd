"""Everything a request says, the arguments of earlier tool calls among it. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from lockgate.events import Path, Request, Role


@dataclass(frozen=True, slots=True)
class Said:
    """A text of a request; `name` is what the argument is called that it is the value of."""

    path: Path
    role: Role
    text: str
    is_json: bool = False
    """Whether it is JSON text: the arguments of a call."""
    name: str = ""


def said_in(request: Request) -> Iterator[Said]:
    """The texts in order, then the arguments of calls that the format keeps as JSON text or beside its texts."""
    for spot in request.texts():
        path = spot.path
        named = spot.role == "assistant" and "input" in path and isinstance(path[-1], str) and path[0] == "messages"
        yield Said(path, spot.role, spot.text, name=str(path[-1]) if named else "")
    yield from _chat(request.document)
    yield from _responses(request.document)


def inputs_in(request: Request) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The arguments of calls that the format keeps as objects, and where they stand."""
    for at, message in _objects(request.document.get("messages")):
        for place, block in _objects(message.get("content")):
            if block.get("type") == "tool_use" and isinstance(block.get("input"), dict):
                yield ("messages", at, "content", place, "input"), block["input"]


def _chat(document: Mapping[str, Any]) -> Iterator[Said]:
    for at, message in _objects(document.get("messages")):
        yield from _texts(("messages", at, "function_call"), _mapping(message.get("function_call")))
        for place, call in _objects(message.get("tool_calls")):
            for kind in ("function", "custom"):
                yield from _texts(("messages", at, "tool_calls", place, kind), _mapping(call.get(kind)))


def _responses(document: Mapping[str, Any]) -> Iterator[Said]:
    for at, item in _objects(document.get("input")):
        if str(item.get("type")).endswith("_call"):
            yield from _texts(("input", at), item)
            yield from _leaves(("input", at, "action"), item.get("action"))


def _texts(path: Path, call: Mapping[str, Any]) -> Iterator[Said]:
    if isinstance(call.get("arguments"), str):
        yield Said((*path, "arguments"), "assistant", call["arguments"], is_json=True)
    if isinstance(call.get("input"), str):
        yield Said((*path, "input"), "assistant", call["input"])


def _leaves(path: Path, value: Any) -> Iterator[Said]:
    if isinstance(value, str):
        yield Said(path, "assistant", value)
    elif isinstance(value, dict):
        for key, part in cast(dict[str, Any], value).items():
            yield from _leaves((*path, key), part)
    elif isinstance(value, list):
        for place, part in enumerate(cast(list[Any], value)):
            yield from _leaves((*path, place), part)


def _objects(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at, item in enumerate(cast(list[Any], value) if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield at, cast(Mapping[str, Any], item)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}
