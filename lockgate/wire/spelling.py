"""How a client spelled a message this time, apart from what it says. Nothing here does I/O.

Three things change from request to request while the message stays the same, and would make it another message:

- `cache_control`, which moves on with the end of the conversation (Anthropic, and Chat through some services);
- a lone text, which is a string in one request and a list of one text block in the next, because only a block can
  carry `cache_control`; the list is the form that is kept;
- the first line that Claude Code puts before its system prompt, with a checksum and the id of the last reply.

They are taken out of the message and kept beside it, once per request, so that it can be put together as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from lockgate.events import Path

type Json = dict[str, Any]
type Mark = tuple[Path, int, Any]
"""A `cache_control`: the object in the message, the place among its keys, the value."""

CACHE_CONTROL = "cache_control"
BILLING_LINE = "x-anthropic-billing-header:"
_INNER = ("content", "source")
"""Where blocks hold blocks. A tool's arguments and its schema are the model's and the client's own, and are not
looked into."""


def take_cache_marks(message: Any) -> list[Mark]:
    """Take every `cache_control` out of the message, in place."""
    marks: list[Mark] = []
    for path, block in list(_blocks((), message)):
        if _is_flat(block.get(CACHE_CONTROL)):
            marks.append((path, list(block).index(CACHE_CONTROL), block.pop(CACHE_CONTROL)))
    return marks


def put_cache_mark(message: Any, path: Sequence[str | int], place: int, value: Any) -> None:
    """Undo one mark, in place."""
    for step in path:
        message = message[step]
    pairs = [(key, kept) for key, kept in message.items() if key != CACHE_CONTROL]
    pairs.insert(place, (CACHE_CONTROL, value))
    message.clear()
    message.update(pairs)


def _blocks(path: Path, node: Any) -> Iterator[tuple[Path, Json]]:
    if isinstance(node, dict):
        block = cast(Json, node)
        yield path, block
        for key in _INNER:
            yield from _blocks((*path, key), block.get(key))
    elif isinstance(node, list):
        for at, value in enumerate(cast(list[Any], node)):
            yield from _blocks((*path, at), value)


def _is_flat(value: Any) -> bool:
    """What every provider defines: an object of a few words and numbers. Anything else stays where it is."""
    return isinstance(value, dict) and not any(isinstance(one, dict | list) for one in cast(Json, value).values())


def take_plain_text(message: Any) -> tuple[str, bool] | None:
    """Make a lone text a list of one block, in place: the message's role, and whether it was a string.

    None for a message that holds anything but a lone text, and is left alone.
    """
    if not isinstance(message, dict):
        return None
    whole = cast(Json, message)
    content = whole.get("content")
    if isinstance(content, str):
        whole["content"] = [{"type": "text", "text": content}]
    elif _lone_text(content) is None:
        return None
    return _role_in(whole), isinstance(content, str)


def _role_in(message: Json) -> str:
    role = message.get("role")
    return role if isinstance(role, str) else ""


def _lone_text(content: Any) -> str | None:
    if not isinstance(content, list) or len(cast(list[Any], content)) != 1:
        return None
    match cast(list[Any], content)[0]:
        case {"type": "text", "text": str(text), **more} if not more:
            return text
        case _:
            return None


class PlainTexts:
    """Which lone texts were strings: what most of a role's were, and the numbers of the others.

    So a long conversation costs a few bytes, and not one for each of its messages.
    """

    def __init__(self) -> None:
        self._were: dict[str, dict[int, bool]] = {}

    def add(self, number: int, role: str, was_string: bool) -> None:
        self._were.setdefault(role, {})[number] = was_string

    def document(self) -> dict[str, tuple[bool, list[int]]]:
        """By role; a role of which none was a string is left out."""
        found: dict[str, tuple[bool, list[int]]] = {}
        for role, were in self._were.items():
            usual = 2 * sum(were.values()) > len(were)
            others = [number for number, was_string in were.items() if was_string != usual]
            if usual or others:
                found[role] = (usual, others)
        return found


def put_plain_texts(parts: Sequence[Any], first: int, document: dict[str, Any]) -> None:
    """Undo what `PlainTexts` counted, in place; the first message has the number `first`."""
    others = {role: set(numbers) for role, (_, numbers) in document.items()}
    for number, part in enumerate(parts[first:], first):
        if isinstance(part, dict) and _lone_text(cast(Json, part).get("content")) is not None:
            role = _role_in(cast(Json, part))
            if role in document and document[role][0] != (number in others[role]):
                part["content"] = _lone_text(part["content"])


def take_billing_line(block: Any) -> str:
    """Take Claude Code's line off the first system block, in place; "" where there is none."""
    match block:
        case {"text": str(text)} if text.startswith(BILLING_LINE):
            line, end, rest = text.partition("\n")
            block["text"] = rest
            return line + end
        case _:
            return ""
