"""A conversation as people read it: who said what, called what and was answered what, in one form for every format.

Unlike `find_texts`, it has the thinking, and it never judges: what is not known is named by its type. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from lockgate.wire.calls import Called, parts_of
from lockgate.wire.document import dumps

type Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing said. A call has the tool's name, its id, and its arguments as the text; a result has the call's id."""

    role: str
    kind: Literal["text", "thinking", "call", "result", "other"]
    text: str
    name: str = ""
    id: str = ""


def preamble_of(format: str, document: Json) -> Iterator[Said]:
    """What stands before the messages of a request."""
    if format != "openai-chat":
        key = "instructions" if format == "openai-responses" else "system"
        yield from _content("system", document.get(key))
    if names := [name for tool in _objects(document.get("tools")) if (name := _tool_name(tool))]:
        yield Said(role="tools", kind="other", text=", ".join(names))


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


def said_in(format: str, message: Any) -> Iterator[Said]:
    """What one message or item says, in order."""
    if isinstance(message, dict):
        yield from _SAID[format](cast(Json, message))
    elif isinstance(message, str):
        yield Said(role="", kind="text", text=message)


def stop_of(format: str, document: Json) -> str:
    """Why a whole reply ended, in the provider's words; "" where it does not say."""
    if format == "anthropic":
        return _text(document.get("stop_reason"))
    if format == "openai-chat":
        return ", ".join(filter(None, (_text(one.get("finish_reason")) for one in _objects(document.get("choices")))))
    details = [_text(one.get("reason")) for one in _objects([document.get("incomplete_details")])]
    return " ".join(filter(None, (_text(document.get("status")), *details)))


def _anthropic(message: Json) -> Iterator[Said]:
    role = _text(message.get("role"))
    content = message.get("content")
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else _objects(content):
        kind = block.get("type")
        if kind == "thinking":
            yield Said(role=role, kind="thinking", text=_text(block.get("thinking")))
        elif parts := list(_parts("anthropic", role, {"content": [block]})):
            yield from parts
        else:
            yield from _content(role, [block])


def _chat(message: Json) -> Iterator[Said]:
    role = _text(message.get("role"))
    for key in ("reasoning_content", "reasoning"):
        if thought := _text(message.get(key)):
            yield Said(role=role, kind="thinking", text=thought)
    if role != "tool":
        for key in ("content", "refusal"):
            yield from _content(role, message.get(key))
    yield from _parts("openai-chat", role, message)
    for call in _objects([message.get("function_call")]):
        yield Said(role=role, kind="call", text=_text(call.get("arguments")), name=_text(call.get("name")))


def _responses(item: Json) -> Iterator[Said]:
    kind = _text(item.get("type")) or "message"
    if kind == "message":
        yield from _content(_text(item.get("role")), item.get("content"))
    elif kind == "reasoning":
        texts = [_text(part.get("text")) for key in ("summary", "content") for part in _objects(item.get(key))]
        yield Said(role="assistant", kind="thinking", text="\n\n".join(filter(None, texts)) or "(encrypted)")
    elif parts := list(_parts("openai-responses", "assistant", item)):
        yield from parts
    else:
        yield _other("assistant", item)


_SAID: Mapping[str, Callable[[Json], Iterable[Said]]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
}


def _parts(format: str, role: str, message: Json) -> Iterator[Said]:
    for part in parts_of(format, message):
        if isinstance(part, Called):
            yield Said(role=role, kind="call", text=part.arguments, name=part.name, id=part.id)
        else:
            yield Said(role="tool", kind="result", text=part.text, id=part.id)


def _content(role: str, content: Any) -> Iterator[Said]:
    """A text, or parts of which some are texts."""
    if isinstance(content, str) and content:
        yield Said(role=role, kind="text", text=content)
    for part in _objects(content):
        key = "refusal" if part.get("type") == "refusal" else "text"
        if isinstance(part.get(key), str):
            yield Said(role=role, kind="text", text=part[key])
        else:
            yield _other(role, part)


def _other(role: str, value: Json) -> Said:
    return Said(role=role, kind="other", text=f"[{_text(value.get('type')) or 'unknown'}, {len(dumps(value)):,} bytes]")


def _tool_name(tool: Json) -> str:
    """A tool's name wherever its format has it; a built-in tool's type."""
    inner = [_text(one.get("name")) for key in ("function", "custom") for one in _objects([tool.get(key)])]
    return next(filter(None, (_text(tool.get("name")), *inner, _text(tool.get("type")))), "")


def _objects(values: Any) -> list[Json]:
    return [one for one in cast(list[Any], values) if isinstance(one, dict)] if isinstance(values, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
