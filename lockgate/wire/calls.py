"""The tool calls of a conversation and what they were answered, message by message, in one form for every format.

Unlike `turns`, which tells whether a history is the one that was released, this tells what was done. Nothing here does
I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lockgate.events import Spot
from lockgate.wire import anthropic_request, openai_chat_request, openai_responses_request
from lockgate.wire.document import dumps

type Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """That the model called a tool; `arguments` is JSON text, or free text where the tool is `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the call of this id gave."""

    id: str
    text: str


type Part = Called | Answered


def parts_of(format: str, message: Any) -> Sequence[Part]:
    """The calls and answers in one message of a conversation, in order; none where it has no such thing."""
    return tuple(_PARTS[format](cast(Json, message))) if isinstance(message, dict) else ()


def _anthropic(message: Json) -> Iterator[Part]:
    for block in _objects(message.get("content")):
        kind = str(block.get("type"))
        if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            yield _called(block.get("id"), block.get("name"), block.get("input"))
        elif kind.endswith("_result") and "tool_use_id" in block:
            yield _answered(block["tool_use_id"], anthropic_request.result_texts((), block))


def _chat(message: Json) -> Iterator[Part]:
    for call in _objects(message.get("tool_calls")):
        for body in _objects([call.get("function")]):
            yield _called(call.get("id"), body.get("name"), body.get("arguments"))
        for body in _objects([call.get("custom")]):
            yield _called(call.get("id"), body.get("name"), body.get("input"), custom=True)
    if message.get("role") == "tool":
        yield _answered(message.get("tool_call_id"), openai_chat_request.texts_in(message.get("content"), (), "tool"))


_FREE = ("custom_tool_call",)
_LATER = ("function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call")
"""Calls that an item of its own answers; other calls the provider ran itself."""


def _responses(item: Json) -> Iterator[Part]:
    kind = str(item.get("type"))
    if kind.endswith("_call"):
        given = next((item[key] for key in ("arguments", "input", "action", "operation") if key in item), None)
        id = item.get("call_id") if kind in _LATER else item.get("id")
        yield _called(id, item.get("name") or kind.removesuffix("_call"), given, custom=kind in _FREE)
        if kind not in _LATER:
            yield _answered(id, openai_responses_request.result_texts((), item))
    elif kind.endswith("_call_output"):
        yield _answered(item.get("call_id"), openai_responses_request.result_texts((), item))


_PARTS: Mapping[str, Callable[[Json], Iterable[Part]]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
}


def _called(id: Any, name: Any, given: Any, *, custom: bool = False) -> Called:
    arguments = given if isinstance(given, str) else dumps({} if given is None else given).decode()
    return Called(id=_text(id), name=_text(name), arguments=arguments, custom=custom)


def _answered(id: Any, spots: Iterable[Spot]) -> Answered:
    return Answered(id=_text(id), text="\n".join(spot.text for spot in spots))


def _objects(values: Any) -> Iterator[Json]:
    for value in cast(list[Any], values) if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield cast(Json, value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
