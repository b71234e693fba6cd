"""Requests of the Responses API: what the model is told, and which tools the client declares.

Codex declares its tools in an item of the input (`additional_tools`), inside namespaces, so both are looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import Path, Request, Role, Spot
from lockgate.wire.document import loads_object

type Document = Mapping[str, Any]

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool"}
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""The parts that hold a text, and the field that holds it."""
_DECLARING = ("additional_tools", "tool_search_output")
"""The items that declare tools."""
_SEALED = ("reasoning", "compaction")
"""The items that the provider signs or encrypts: never looked into, never touched."""


def read_request(body: bytes) -> Request:
    """Raises WireError when the body is not a request of this format."""
    document = loads_object(body)
    if not isinstance(document.get("input", ""), str | list):
        raise WireError("the request's 'input' is neither a text nor a list of items")
    return Request(
        raw=body,
        document=document,
        model=str(document.get("model") or ""),
        stream=document.get("stream") is True,
        tools=tuple(tool_names(document)),
        find_texts=find_texts,
    )


def find_texts(document: Document) -> Iterator[Spot]:
    """Every text that the model reads: instructions, items of the input, tool descriptions, in this order."""
    yield from _content(("instructions",), "system", document.get("instructions"))
    for name, value in _mapping(_mapping(document.get("prompt")).get("variables")).items():
        yield from _content(("prompt", "variables", name), "user", value)
    yield from _content(("input",), "user", document.get("input"), items=True)
    yield from _definitions(("tools",), document.get("tools"))


def _content(path: Path, role: Role, value: Any, *, items: bool = False) -> Iterator[Spot]:
    """The texts of a string, a part, or a list of parts or items."""
    if isinstance(value, str):
        yield Spot(path, role, value)
    elif isinstance(value, dict):
        part = cast(Document, value)
        key = _TEXTS.get(str(part.get("type")))
        if key is not None and isinstance(part.get(key), str):
            yield Spot((*path, key), role, part[key])
    elif isinstance(value, list):
        for place, one in enumerate(cast(list[Any], value)):
            item = _mapping(one)
            is_item = items or "role" in item or item.get("type") == "message"
            yield from _item((*path, place), item) if is_item else _content((*path, place), role, one)


def _item(path: Path, item: Document) -> Iterator[Spot]:
    kind = str(item.get("type", "message"))
    if kind in _SEALED:
        return
    if kind in (*_DECLARING, "mcp_list_tools"):
        yield from _definitions((*path, "tools"), item.get("tools"))
        return
    role = _ROLES.get(str(item.get("role")), "user")
    yield from _content((*path, "content"), role, item.get("content"))
    yield from result_texts(path, item)


def result_texts(path: Path, item: Document) -> Iterator[Spot]:
    """What a tool answered: a text, parts, or what a shell printed."""
    key = "result" if item.get("type") == "program_output" else "output"
    yield from _content((*path, key), "tool", item.get(key))
    if isinstance(item.get(key), list):
        for place, one in enumerate(cast(list[Any], item[key])):
            for stream in ("stdout", "stderr"):
                yield from _content((*path, key, place, stream), "tool", _mapping(one).get(stream))


def _definitions(path: Path, tools: Any) -> Iterator[Spot]:
    for place, tool in _tools(tools):
        description = tool.get("description")
        if isinstance(description, str):
            yield Spot((*path, place, "description"), "definition", description)
        yield from _definitions((*path, place, "tools"), tool.get("tools"))


def tool_names(document: Document) -> Iterator[str]:
    """The names of the tools that the client declares, wherever it does; a built-in tool's type where it has none."""
    yield from _names(document.get("tools"))
    given = document.get("input")
    for item in cast(list[Any], given) if isinstance(given, list) else ():
        if _mapping(item).get("type") in _DECLARING:
            yield from _names(_mapping(item).get("tools"))


def _names(tools: Any) -> Iterator[str]:
    for _, tool in _tools(tools):
        if tool.get("type") == "namespace":
            yield from _names(tool.get("tools"))
        elif name := tool.get("name") or tool.get("type"):
            yield str(name)


def _tools(tools: Any) -> Iterable[tuple[int, Document]]:
    given = cast(list[Any], tools) if isinstance(tools, list) else []
    return [(place, _mapping(tool)) for place, tool in enumerate(given)]


def _mapping(value: Any) -> Document:
    return cast(Document, value) if isinstance(value, dict) else {}
