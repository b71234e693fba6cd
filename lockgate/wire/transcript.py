"""Where the messages of a conversation stand, in a request and in a whole reply; `blocks` reads each. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from lockgate.wire.blocks import Block, blocks_of

type Json = Mapping[str, Any]


def preamble_of(format: str, document: Json) -> Iterator[Block]:
    """What stands before the messages of a request."""
    if format != "openai-chat":
        key = "instructions" if format == "openai-responses" else "system"
        yield from blocks_of(format, {"role": "system", "content": document.get(key)})
    if names := [name for tool in _objects(document.get("tools")) if (name := _tool_name(tool))]:
        yield Block(kind="text", role="tools", text=", ".join(names))


def messages_of(format: str, document: Json) -> Sequence[Any]:
    """The messages of a request; a lone text counts as one of the user."""
    found = document.get("input" if format == "openai-responses" else "messages")
    if isinstance(found, str):
        return ({"role": "user", "content": found},)
    return cast(list[Any], found) if isinstance(found, list) else ()


def replied_in(format: str, document: Json) -> Sequence[Any]:
    """The messages of a whole reply; of Chat, one for each choice."""
    if format == "anthropic":
        return ({"role": "assistant", "content": document.get("content")},) if "content" in document else ()
    if format == "openai-chat":
        return [{"role": "assistant", **message} for one in _objects(document.get("choices"))
                for message in _objects([one.get("message")])]  # fmt: skip
    return _objects(document.get("output"))


def stop_of(format: str, document: Json) -> str:
    """Why a whole reply ended, in the provider's words; "" where it does not say."""
    if format == "anthropic":
        return _text(document.get("stop_reason"))
    if format == "openai-chat":
        return ", ".join(filter(None, (_text(one.get("finish_reason")) for one in _objects(document.get("choices")))))
    details = [_text(one.get("reason")) for one in _objects([document.get("incomplete_details")])]
    return " ".join(filter(None, (_text(document.get("status")), *details)))


def _tool_name(tool: Json) -> str:
    """A tool's name wherever its format has it; a built-in tool's type."""
    inner = [_text(one.get("name")) for key in ("function", "custom") for one in _objects([tool.get(key)])]
    return next(filter(None, (_text(tool.get("name")), *inner, _text(tool.get("type")))), "")


def _objects(values: Any) -> list[Json]:
    return [one for one in cast(list[Any], values) if isinstance(one, dict)] if isinstance(values, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
