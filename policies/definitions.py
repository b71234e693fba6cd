"""The tools that a request defines, wherever its format lets it define them. Values only; nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from lockgate.events import Path, Request

SCHEMAS = ("input_schema", "parameters")
"""Where Anthropic's and OpenAI's formats keep the schema of a tool's arguments."""
ITEMS = ("additional_tools", "tool_search_output", "mcp_list_tools")
"""The items of a Responses input that define tools."""
_MCP = re.compile(r"mcp__(.+?)__(.+)", re.DOTALL)
_MORE_NAMES = {"computer_use_preview": "computer", "computer-preview": "computer"}
"""What calls of a provider's tool are named, where that is not its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One tool. `body` is where its name, description and schema stand; `outer` what stands in the list of tools."""

    path: Path
    """Where `outer` stands in the document."""
    name: str
    """What calls of it are named."""
    server: str
    """The namespace or MCP server that it belongs to; "" for a tool of the client's own."""
    kind: str
    """`function` or `custom` for a client's tool, else the provider's word for a tool of its own."""
    body: Mapping[str, Any]
    outer: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """The name with that of its server in front, where the name itself does not say it."""
        return self.name if not self.server or self.name.startswith("mcp__") else f"{self.server}/{self.name}"

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """What its arguments have to follow; None where nothing is said, or the arguments are free text."""
        if self.kind == "custom":
            return None
        return next((self.body[key] for key in SCHEMAS if isinstance(self.body.get(key), dict)), None)

    @property
    def description(self) -> str:
        value = self.body.get("description")
        return value if isinstance(value, str) else ""


def definitions_in(request: Request) -> Iterator[Definition]:
    """Every tool in the order of the document; a namespace is told by its tools alone."""
    document = request.document
    for key in ("tools", "functions"):
        yield from _listed((key,), document.get(key), "")
    for at, item in objects(document.get("input")):
        if item.get("type") in ITEMS:
            server = _text(item.get("server_label"))
            yield from _listed(("input", at, "tools"), item.get("tools"), server)


def loaded_names(request: Request) -> Iterator[str]:
    """The tools that a search for tools found by name: Anthropic's references to them."""
    for _, message in objects(request.document.get("messages")):
        for _, block in objects(message.get("content")):
            for _, reference in references(block):
                if name := _text(reference.get("tool_name")):
                    yield name


def references(block: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The references to tools in the result of a tool, and of the provider's own search."""
    content = block.get("content")
    if isinstance(content, dict):
        found = cast(Mapping[str, Any], content).get("tool_references")
        yield from ((("content", "tool_references", at), one) for at, one in objects(found))
    for at, part in objects(content):
        if part.get("type") == "tool_reference":
            yield ("content", at), part


def server_of(name: str) -> str:
    """The MCP server in a name such as mcp__SERVER__TOOL; "" where there is none."""
    found = _MCP.fullmatch(name)
    return found[1] if found else ""


def objects(values: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects in a list, each with its place."""
    for at, value in enumerate(cast(list[Any], values) if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield at, cast(Mapping[str, Any], value)


def _listed(path: Path, tools: Any, server: str) -> Iterator[Definition]:
    for at, tool in objects(tools):
        if tool.get("type") == "namespace":
            yield from _listed((*path, at, "tools"), tool.get("tools"), _text(tool.get("name")) or server)
        else:
            yield _definition((*path, at), tool, server)


def _definition(path: Path, tool: Mapping[str, Any], server: str) -> Definition:
    kind = _text(tool.get("type")) or "function"
    inner: Any = tool.get(kind)
    body = cast(Mapping[str, Any], inner) if isinstance(inner, dict) else tool
    labels = ("name", "server_label", "mcp_server_name")
    name = next((word for key in labels if (word := _text(body.get(key)))), _MORE_NAMES.get(kind, kind))
    return Definition(path=path, name=name, server=server or server_of(name), kind=kind, body=body, outer=tool)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
