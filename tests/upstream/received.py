"""A request as the scripted provider received it, and what its conversation holds."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import brotli
import zstandard

type Format = Literal["anthropic", "chat", "responses"]

PATHS: dict[str, Format] = {
    "/v1/messages": "anthropic",
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/backend-api/codex/responses": "responses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the client declared; `schema` is that of its arguments, empty for a custom tool."""

    name: str
    custom: bool = False
    schema: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request. `raw` is the body as it came, `body` decoded, `document` its JSON or None."""

    number: int
    connection: int
    http: Literal["1.1", "2"]
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    raw: bytes = b""
    body: bytes = field(init=False)
    document: Any = field(init=False)

    def __post_init__(self) -> None:
        body = decoded(self.raw, self.header("content-encoding"))
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "document", _json(body))

    def header(self, name: str) -> str:
        """The header's value, several joined by a comma, empty when absent."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def format(self) -> Format | None:
        """The wire format, if this is a model exchange."""
        return PATHS.get(self.route) if self.method == "POST" and isinstance(self.document, dict) else None

    @property
    def streamed(self) -> bool:
        return bool(self.document.get("stream"))

    @property
    def model(self) -> str:
        return str(self.document.get("model", ""))

    @property
    def tools(self) -> list[Tool]:
        declared: list[Any] = list(self.document.get("tools") or [])
        for item in self._items():  # newer Codex declares its tools in the input
            declared += item.get("tools") or []
        return list(_tools(declared))

    @property
    def turn(self) -> int:
        """How many messages the assistant has sent so far, where a run of its items counts as one."""
        said = [_by_assistant(item) for item in self._items()]
        return sum(now and not before for before, now in zip([False, *said], said, strict=False))

    @property
    def results(self) -> list[str]:
        """What tools gave since the assistant last spoke, as text."""
        found: list[str] = []
        for item in reversed(self._items()):
            if _by_assistant(item):
                break
            found[:0] = _results(item)
        return found

    def _items(self) -> list[dict[str, Any]]:
        items: Any = self.document.get("messages", self.document.get("input")) or []
        return [{"role": "user", "content": items}] if isinstance(items, str) else items


def decoded(raw: bytes, encoding: str) -> bytes:
    """The body without its content encodings, the last applied one first off."""
    for name in reversed([name.strip().lower() for name in encoding.split(",")]):
        match name:
            case "" | "identity":
                pass
            case "gzip" | "x-gzip":
                raw = gzip.decompress(raw)
            case "deflate":
                raw = zlib.decompress(raw)
            case "br":
                raw = bytes(brotli.decompress(raw))  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
            case "zstd":
                raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
            case _:
                raise ValueError(f"a request came with the unknown content-encoding {name!r}")
    return raw


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _tools(declared: Iterable[dict[str, Any]]) -> Iterator[Tool]:
    for tool in declared:
        function = tool.get("function", tool)  # Chat wraps it once more
        if nested := tool.get("tools"):
            yield from _tools(nested)
        elif "name" in function:
            schema: dict[str, Any] = function.get("input_schema") or function.get("parameters") or {}
            yield Tool(name=function["name"], custom=tool.get("type") == "custom", schema=schema)


def _by_assistant(item: dict[str, Any]) -> bool:
    kind = item.get("type", "message")
    return item.get("role") == "assistant" or kind in ("reasoning", "function_call", "custom_tool_call")


def _results(item: dict[str, Any]) -> list[str]:
    if item.get("role") == "tool":
        return [_text(item["content"])]
    if item.get("type") in ("function_call_output", "custom_tool_call_output"):
        return [_text(item["output"])]
    content: Any = item.get("content")
    if not isinstance(content, list):
        return []
    blocks = cast("list[dict[str, Any]]", content)
    return [_text(block.get("content", "")) for block in blocks if block.get("type") == "tool_result"]


def _text(content: Any) -> str:
    """Text of content that is a string or a list of blocks."""
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
