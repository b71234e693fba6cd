"""What one message says, block by block, for people to read, whatever its wire format. Nothing here does I/O.

It reads anything: what is no block of a known kind is told as what it is, in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

type Json = Mapping[str, Any]
TOO_DEEP = "(nested too deep to be shown)"

type BlockKind = Literal["text", "thinking", "call", "result", "image", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One thing in a message. Calls and what tools gave for them have the same `call_id`."""

    kind: BlockKind
    role: str = ""
    """Whose message it is in: user, assistant, tool, system …"""
    text: str = ""
    """A call's text is its arguments, as JSON text where they are JSON."""
    name: str = ""
    """The tool that is called; of `other`, its kind."""
    call_id: str = ""
    source: str = ""
    """Of an image: a URL, `data:` ones too; in a message as it is stored, `sha256:` and the hash of its file."""
    type: str = ""
    """Of an image: its media type, where the message says so."""


def blocks_of(format: str, message: Any) -> list[Block]:
    """The blocks of one message or item, in order."""
    if isinstance(message, str):
        return [Block(kind="text", role="user", text=message)]
    if not isinstance(message, dict):
        return [_other("", message)]
    found = cast(Json, message)
    try:
        return list(_item(found) if format == "openai-responses" else _message(found))
    except RecursionError:
        return [Block(kind="other", text=TOO_DEEP)]


def _message(message: Json) -> Iterator[Block]:
    """Of Anthropic's and Chat's messages: their blocks do not share a name with another meaning."""
    role = _text(message.get("role"))
    answered = _text(message.get("tool_call_id"))
    for name in ("reasoning_content", "reasoning"):
        if thought := _text(message.get(name)):
            yield Block(kind="thinking", role=role, text=thought)
    if role == "tool" or answered:
        yield from _result(message.get("content"), answered)
    else:
        yield from _contents(message.get("content"), role)
    if refusal := _text(message.get("refusal")):
        yield Block(kind="text", role=role, text=refusal)
    for call in _objects(message.get("tool_calls")):
        yield _chat_call(call)
    for body in _objects([message.get("function_call")]):
        yield _call(body, "", body.get("arguments"))


def _contents(content: Any, role: str) -> Iterator[Block]:
    if isinstance(content, str):
        if content:
            yield Block(kind="text", role=role, text=content)
        return
    for part in cast(list[Any], content) if isinstance(content, list) else ():
        if isinstance(part, str):
            yield Block(kind="text", role=role, text=part)
        elif isinstance(part, dict):
            yield from _part(cast(Json, part), role)


def _part(part: Json, role: str) -> Iterator[Block]:
    kind = _text(part.get("type"))
    match kind:
        case "text" | "input_text" | "output_text" | "summary_text" | "refusal":
            yield Block(kind="text", role=role, text=_text(part.get("refusal" if kind == "refusal" else "text")))
        case "thinking" | "reasoning_text":
            yield Block(kind="thinking", role=role, text=_text(part.get("thinking") or part.get("text")))
        case "redacted_thinking":
            yield Block(kind="thinking", role=role, text="(hidden by the provider)")
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            yield _call(part, _text(part.get("id")), part.get("input"))
        case "image" | "image_url" | "input_image":
            yield _image(part, role)
        case _ if answered := _text(part.get("tool_use_id")):
            yield from _result(part.get("content"), answered)
        case _:
            yield _other(kind, part, role)


def _item(item: Json) -> Iterator[Block]:
    """Of the Responses API's items."""
    kind = item.get("type", "message")
    call_id = _text(item.get("call_id"))
    match kind:
        case "message":
            yield from _contents(item.get("content"), _text(item.get("role")))
        case "reasoning":
            for block in (*_contents(item.get("summary"), "assistant"), *_contents(item.get("content"), "assistant")):
                yield replace(block, kind="thinking")
        case str() if kind.endswith("_output") and call_id:
            yield from _result(item.get("output"), call_id)
        case str() if kind.endswith("_call"):
            given = next((item[key] for key in ("arguments", "input", "action", "operation") if key in item), None)
            yield _call({"name": item.get("name") or kind}, call_id, given)
        case _:
            yield _other(_text(kind), item)


def _result(content: Any, call_id: str) -> Iterator[Block]:
    """What a tool gave: its texts as one, then its images."""
    if isinstance(content, dict):
        content = [content]
    blocks = list(_contents(content, "tool"))
    text = "\n".join(block.text for block in blocks if block.kind != "image")
    yield Block(kind="result", role="tool", text=text, call_id=call_id)
    for block in blocks:
        if block.kind == "image":
            yield replace(block, call_id=call_id)


def _chat_call(call: Json) -> Block:
    id = _text(call.get("id"))
    for key, arguments in (("function", "arguments"), ("custom", "input")):
        for body in _objects([call.get(key)]):
            return _call(body, id, body.get(arguments))
    return _call({"name": call.get("type")}, id, None)


def _call(body: Json, id: str, arguments: Any) -> Block:
    text = arguments if isinstance(arguments, str) else "" if arguments is None else indented(arguments)
    return Block(kind="call", role="assistant", name=_text(body.get("name")), call_id=id, text=text)


def _image(part: Json, role: str) -> Block:
    source: Any = part.get("source") or part.get("image_url")
    if isinstance(source, dict):
        told = cast(Json, source)
        type, data = _text(told.get("media_type")), _text(told.get("data"))
        url = _text(told.get("url"))
        if data and not data.startswith("sha256:"):
            url = f"data:{type};base64,{data}"
        return Block(kind="image", role=role, source=url or data, type=type)
    return Block(kind="image", role=role, source=_text(source))


def _other(kind: str, value: Any, role: str = "") -> Block:
    return Block(kind="other", role=role, name=kind, text=indented(value))


def indented(value: Any, most: int | None = None) -> str:
    """JSON text to read, at least so many characters of it; what is nested too deep is not told."""
    text, size = list[str](), 0
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False, default=str).iterencode(value):
            text.append(piece)
            size += len(piece)
            if most is not None and size >= most:
                break
    except (ValueError, RecursionError):
        return TOO_DEEP
    return "".join(text)


def _objects(values: Any) -> list[Json]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []  # pyright: ignore[reportUnknownVariableType]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
