"""The message that an Anthropic reply spells out, gathered block by block. Nothing here does I/O."""

from __future__ import annotations

from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import ToolCall, Usage
from lockgate.wire.document import dumps, loads

TEXT_KEYS = {"text": "text", "thinking": "thinking"}
"""Kinds of blocks that say something, and the key under which they say it, in the block and in its deltas."""


class Block:
    """One content block: how it started, and what its deltas added."""

    __slots__ = ("is_open", "kind", "more", "pieces", "start")

    def __init__(self, start: dict[str, Any]) -> None:
        """`start` is the `content_block`. Raises WireError where it lacks what its kind needs."""
        self.start = start
        self.kind = string(start, "type", "a content block")
        self.pieces: list[str] = []
        self.more: list[dict[str, Any]] = []
        self.is_open = True
        if key := TEXT_KEYS.get(self.kind):
            self.pieces.append(string(start, key, f"a {self.kind} block") if key in start else "")
        if self.kind == "tool_use":
            string(start, "id", "a tool_use block")
            string(start, "name", "a tool_use block")

    def call(self, index: int) -> ToolCall:
        """The tool call that the block is."""
        return ToolCall(block=index, id=self.start["id"], name=self.start["name"], arguments=self.arguments())

    def arguments(self) -> str:
        """The JSON text as sent; some servers send it whole with the start of the block."""
        return "".join(self.pieces) or dumps(self.start.get("input") or {}).decode()

    def document(self) -> dict[str, Any]:
        """The block as a whole reply would hold it."""
        document = dict(self.start)
        if key := TEXT_KEYS.get(self.kind):
            document[key] = "".join(self.pieces)
        elif self.pieces or self.kind == "tool_use":
            document["input"] = _input(self.arguments())
        for delta in self.more:
            _add(document, delta)
        return document


def _input(arguments: str) -> Any:
    try:
        return loads(arguments)
    except WireError:
        return arguments  # cut, or never JSON: the log shows what there was


def _add(document: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta.get("type") == "citations_delta":
        before: Any = document.get("citations")
        document["citations"] = [*(cast(list[Any], before) if isinstance(before, list) else ()), delta.get("citation")]
    else:  # a signature, a compaction's content, and what is still unknown
        document.update((key, value) for key, value in delta.items() if key != "type")


class Message:
    """The message so far."""

    def __init__(self) -> None:
        self.started: dict[str, Any] | None = None
        self.blocks: list[Block] = []
        self.usage: Usage | None = None
        self._counts: dict[str, Any] = {}
        self._ends: list[dict[str, Any]] = []

    def start(self, message: dict[str, Any]) -> None:
        """Take in the `message` of a `message_start`."""
        self.started = message
        self._count(message.get("usage"))

    def end(self, document: dict[str, Any]) -> None:
        """Take in a `message_delta`, whose counts take the place of earlier ones."""
        self._ends.append(document)
        self._count(document.get("usage"))

    def _count(self, counts: Any) -> None:
        if isinstance(counts, dict):
            given = cast(dict[str, Any], counts)
            self._counts |= {key: value for key, value in given.items() if value is not None or key not in self._counts}
        self.usage = usage_of(self._counts)

    def document(self) -> bytes | None:
        """The JSON text of the message; None before it started."""
        if self.started is None:
            return None
        document = self.started | {"content": [block.document() for block in self.blocks]}
        for end in self._ends:
            document |= end["delta"]
            document |= {key: value for key, value in end.items() if key not in ("type", "delta")}
        return dumps(document | {"usage": self._counts})


def usage_of(counts: Any) -> Usage:
    """Tokens as a `usage` object counts them; what is missing or no number is 0."""

    def count(key: str, of: Any = counts) -> int:
        value = of.get(key) if isinstance(of, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        return value if isinstance(value, int) else 0

    written = count("cache_creation_input_tokens")
    hour = count("ephemeral_1h_input_tokens", counts.get("cache_creation")) if written else 0
    return Usage(
        input_tokens=count("input_tokens"),
        output_tokens=count("output_tokens"),
        cache_read_tokens=count("cache_read_input_tokens"),
        cache_write_tokens=written,
        cache_write_1h_tokens=min(written, hour),
    )


def stop_reason(reason: str, *, calls: int) -> str:
    """The reason that fits the calls that are left; a limit, a refusal or a pause stays what it is."""
    if reason == "tool_use" and not calls:
        return "end_turn"
    return "tool_use" if reason == "end_turn" and calls else reason


def string(document: dict[str, Any], key: str, what: str) -> str:
    """The value under `key`. Raises WireError where it is no string."""
    value = document.get(key)
    if not isinstance(value, str):
        raise WireError(f"Anthropic: {what} has its `{key}` as a string")
    return value


def error_document(sentence: str, kind: str) -> dict[str, Any]:
    """An error as the service words it, in a body or in a stream."""
    return {"type": "error", "error": {"type": kind, "message": sentence}}
