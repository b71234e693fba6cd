"""What a Responses reply is made of: output items, the texts in them, and the calls that the client runs.

Vocabulary and records only: reading is in `openai_responses_read`, writing in `openai_responses_send`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import TextDelta, ThinkingDelta, ToolCall, Usage
from lockgate.wire.document import dumps, loads

type Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of text: where an item keeps it, and which frames carry it."""

    part: str
    """The type of the part that holds it."""
    parts: str
    """The item's list of such parts."""
    place: str
    """The field of a frame that says which of them is meant."""
    text: str
    """The field that holds the whole text, in the part and in the frame that ends it."""
    delta: str
    done: str
    event: type[TextDelta] | type[ThinkingDelta]


_OUT, _THINK, _PLACE = "response.output_text", "response.reasoning_text", "content_index"
_SUMMARY = "response.reasoning_summary_text"
KINDS = (
    Kind("output_text", "content", _PLACE, "text", f"{_OUT}.delta", f"{_OUT}.done", TextDelta),
    Kind("refusal", "content", _PLACE, "refusal", "response.refusal.delta", "response.refusal.done", TextDelta),
    Kind("reasoning_text", "content", _PLACE, "text", f"{_THINK}.delta", f"{_THINK}.done", ThinkingDelta),
    Kind("summary_text", "summary", "summary_index", "text", f"{_SUMMARY}.delta", f"{_SUMMARY}.done", ThinkingDelta),
)
BY_PART = {(kind.parts, kind.part): kind for kind in KINDS}
BY_DELTA = {kind.delta: kind for kind in KINDS}
BY_DONE = {kind.done: kind for kind in KINDS}
PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_part": ("content", "content_index"),  # some servers' word for the same
    "response.reasoning_summary_part": ("summary", "summary_index"),
}

CALL_TEXTS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Calls whose arguments are a string, and the field that holds it."""
CALL_OBJECTS = {
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "computer_call": ("actions", "action"),
    "tool_search_call": ("arguments",),
}
"""Calls whose arguments are an object, and the fields that may hold it."""
CALL_DELTAS = {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"}
CALL_DONES = {
    "response.function_call_arguments.done": "arguments",
    "response.custom_tool_call_input.done": "input",
}


@dataclass(slots=True, eq=False)
class Block:
    """One text of an item: what came of it, and what the client was sent."""

    number: int
    item: Item
    kind: Kind
    place: int
    came: list[str] = field(default_factory=list[str])
    ended: bool = False
    sent: list[str] = field(default_factory=list[str])
    shown: bool = False
    """Whether the client knows of it, so that deltas are legal."""
    closed: bool = False
    """Whether the client was told that it is complete."""


@dataclass(slots=True, eq=False)
class Item:
    """One output item: what came of it, and what the client was sent."""

    came: int
    """Its output_index as the provider counts."""
    document: Document
    """The last whole form that came."""
    number: int | None = None
    """Its block, for a call that the client runs."""
    blocks: dict[tuple[str, int], Block] = field(default_factory=dict[tuple[str, int], Block])
    pieces: list[str] = field(default_factory=list[str])
    """The deltas of its arguments."""
    claims: list[str] = field(default_factory=list[str])
    """The arguments as they were told whole before its end."""
    call: ToolCall | None = None
    done: bool = False
    torn: bool = False
    """Whether another frame says other arguments than its last form does."""
    index: int | None = None
    """Its output_index as the client counts, once it has a place."""
    dropped: bool = False
    replacement: ToolCall | None = None
    told: bool = False
    """Whether the replacement's arguments were sent as a delta."""
    over: bool = False
    """Whether the client was told that it is complete."""


def string(document: Mapping[str, Any], key: str) -> str:
    """The text at `key`. Raises WireError where there is none."""
    value = document.get(key)
    if not isinstance(value, str):
        raise WireError(f"{document.get('type')}: '{key}' is not a text")
    return value


def word(document: Mapping[str, Any], key: str) -> str:
    """The text at `key`, empty where there is none. Raises WireError for anything else."""
    return "" if document.get(key) is None else string(document, key)


def number(document: Mapping[str, Any], key: str) -> int:
    """The count at `key`. Raises WireError where there is none."""
    value = document.get(key)
    if type(value) is not int or value < 0:
        raise WireError(f"{document.get('type')}: '{key}' is not a count")
    return value


def mapping(document: Mapping[str, Any], key: str) -> Document:
    """The object at `key`. Raises WireError where there is none."""
    value = document.get(key)
    if not isinstance(value, dict):
        raise WireError(f"{document.get('type')}: '{key}' is not an object")
    return cast(Document, value)


def objects(document: Mapping[str, Any], key: str) -> list[Document]:
    """The list of objects at `key`, empty where there is none. Raises WireError for anything else."""
    value: list[Any] = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise WireError(f"{document.get('type') or 'response'}: '{key}' is not a list of objects")
    return value


def is_call(item: Document) -> bool:
    """Whether the client is the one who runs it. Raises WireError where its type is no text."""
    kind = word(item, "type")
    if kind == "tool_search_call":
        return item.get("execution") == "client"
    if kind == "shell_call":
        place: Any = item.get("environment")
        return not (isinstance(place, dict) and cast(Document, place).get("type") == "container_reference")
    return kind in CALL_TEXTS or kind in CALL_OBJECTS


def call_of(item: Document, block: int) -> ToolCall:
    """The call that a whole item makes. Raises WireError for a wrong shape."""
    kind = string(item, "type")
    if kind in CALL_TEXTS:
        arguments, name = string(item, CALL_TEXTS[kind]), string(item, "name")
        id, custom = string(item, "call_id"), kind == "custom_tool_call"
        return ToolCall(block=block, id=id, name=name, arguments=arguments, custom=custom)
    arguments = dumps(item.get(_object_key(item))).decode()
    id = str(item.get("call_id") or item.get("id") or "")
    return ToolCall(block=block, id=id, name=kind.removesuffix("_call"), arguments=arguments)


def _object_key(item: Document) -> str:
    keys = CALL_OBJECTS[item["type"]]
    return next((key for key in keys if item.get(key) is not None), keys[0])


def with_call(item: Document, call: ToolCall) -> Document:
    """The item, making this call instead."""
    kind = item["type"]
    if kind in CALL_TEXTS:
        return {**item, "name": call.name, "call_id": call.id, CALL_TEXTS[kind]: call.arguments}
    return {**item, _object_key(item): loads(call.arguments)}


def with_call_begun(item: Document, call: ToolCall, *, told_later: bool) -> Document:
    """The first form of the item, for this call: its arguments stay empty where they were or where deltas follow."""
    changed = with_call(item, call)
    key = CALL_TEXTS.get(item["type"])
    if key is not None and (told_later or not item.get(key)):
        changed[key] = ""
    return changed


def with_text(document: Document, key: str, text: str) -> Document:
    """The document, saying this text instead; itself where it says so already."""
    if document.get(key) == text:
        return document
    changed = {**document, key: text}
    if changed.get("logprobs"):
        changed["logprobs"] = []  # they repeat the text token by token
    return changed


def usage_of(response: Mapping[str, Any]) -> Usage | None:
    """The tokens as counted so far; what is missing or no number is 0."""
    usage: Any = response.get("usage")
    if not isinstance(usage, dict):
        return None
    given = cast(Document, usage)
    details: Any = given.get("input_tokens_details")
    read, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    return Usage(
        input_tokens=max(0, _count(given, "input_tokens") - read - written),
        output_tokens=_count(given, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def _count(counts: Any, key: str) -> int:
    value: Any = cast(Document, counts).get(key) if isinstance(counts, dict) else None
    return value if isinstance(value, int) else 0


def new_id(kind: str) -> str:
    """A name in the provider's form which the provider does not know."""
    return f"{kind}_{secrets.token_hex(24)}"


def message_item(text: str) -> Document:
    """A complete message of the assistant."""
    part: Document = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"id": new_id("msg"), "type": "message", "status": "completed", "content": [part], "role": "assistant"}


def message_frames(item: Document, index: int) -> list[Document]:
    """The frames that say this message, from its beginning to its end, without their sequence numbers."""
    part: Document = item["content"][0]
    begun = {**item, "status": "in_progress", "content": list[Any]()}
    whole: Document = {"output_index": index}
    inner: Document = {"item_id": item["id"], "output_index": index, "content_index": 0}
    text = part["text"]
    return [
        {"type": "response.output_item.added", **whole, "item": begun},
        {"type": "response.content_part.added", **inner, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **inner, "delta": text, "logprobs": list[Any]()},
        {"type": "response.output_text.done", **inner, "text": text, "logprobs": list[Any]()},
        {"type": "response.content_part.done", **inner, "part": part},
        {"type": "response.output_item.done", **whole, "item": item},
    ]
