"""What the client said between the model's turns: digests of it, and the words that a person began with. No I/O.

Agents wrap what a person says in notes of their own, which come, go and move from one request to the next: they do
not count. Nor does what a tool gave, which agents clear to save room: only which call it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from lockgate.wire.turns import digest, encoded, squeezed

type Json = Mapping[str, Any]

NOTHING = digest()
"""The digest of no words at all."""
FILE_CHARACTERS = 200
"""So much of a file's beginning and end, with its length, tells it from another."""
LINE_CHARACTERS = 40
"""A shorter line may well be said twice."""

_NOTES = (
    "system-reminder", "environment_context", "user_instructions", "permissions instructions", "skills_instructions",
    "collaboration_mode", "subagent_notification", "turn_aborted", "local-command-caveat", "INSTRUCTIONS",
)  # fmt: skip
"""What Claude Code and Codex put their own notes into."""
_HEADING = re.compile(r"\A# AGENTS\.md instructions for [^\n]*\n\s*\Z")


def words_in(messages: Sequence[Any]) -> list[bytes]:
    """Digests of what the client said in these messages: of the first thing, of the first two … of all."""
    digests, last = list[bytes](), NOTHING
    for message in messages:
        for said in _said(message):
            last = digest(last, said)
            digests.append(last)
    return digests


def opening_of(messages: Sequence[Any]) -> str:
    """The first text of a person; "" where there is none."""
    return next(texts_in(messages), "")


def texts_in(messages: Sequence[Any]) -> Iterator[str]:
    """What users said, without the agents' notes."""
    for message in messages:
        if isinstance(message, str):
            yield message
        elif isinstance(message, dict) and cast(Json, message).get("role") == "user":
            for part in _parts(cast(Json, message).get("content")):
                if text := _text_of(part):
                    yield text


def lines_of(text: str) -> list[bytes]:
    """Digests of the longer lines of a text."""
    lines = (squeezed(line) for line in text.split("\n"))
    return [digest(encoded(line)) for line in lines if len(line) >= LINE_CHARACTERS]


def text_digest(text: str) -> bytes:
    return digest(encoded(squeezed(text)))


def _said(message: Any) -> Iterator[bytes]:
    if isinstance(message, str):
        yield encoded(squeezed(message))
        return
    item: Json = cast(Json, message) if isinstance(message, dict) else {}
    if answered := item.get("tool_call_id") or item.get("call_id"):
        yield b"result:" + encoded(str(answered))
    elif item.get("role") == "user":
        for part in _parts(item.get("content")):
            if said := _part(part):
                yield said


def _part(part: Any) -> bytes:
    block: Json = cast(Json, part) if isinstance(part, dict) else {}
    if answered := block.get("tool_use_id"):
        return b"result:" + encoded(str(answered))
    if isinstance(part, str) or isinstance(block.get("text"), str):
        text = squeezed(_text_of(part))
        return encoded(text)
    return encoded(f"file:{_gist(part)}")


def _text_of(part: Any) -> str:
    text = cast(Json, part).get("text") if isinstance(part, dict) else part
    if not isinstance(text, str):
        return ""
    text = _without_notes(text) if "<" in text else text
    return "" if _HEADING.match(text) else text.strip()


def _without_notes(text: str) -> str:
    for name in _NOTES:
        opening, closing = f"<{name}>", f"</{name}>"
        kept, at, start = list[str](), 0, text.find(opening)
        while start >= 0 and (end := text.find(closing, start)) >= 0:
            kept.append(text[at:start])
            at = end + len(closing)
            start = text.find(opening, at)
        text = "".join([*kept, text[at:]]) if kept else text
    return text


def _gist(value: Any) -> str:
    """What tells a file from another, without reading all of it."""
    if isinstance(value, str):
        return f"{len(value)}:{value[:FILE_CHARACTERS]}:{value[-FILE_CHARACTERS:]}"
    if isinstance(value, dict):
        return "".join(f"{key}={_gist(one)};" for key, one in sorted(cast(dict[str, Any], value).items()))
    if isinstance(value, list):
        return "".join(map(_gist, cast(list[Any], value)))
    return str(value)


def _parts(content: Any) -> Sequence[Any]:
    if isinstance(content, str):
        return (content,)
    return cast(list[Any], content) if isinstance(content, list) else ()
