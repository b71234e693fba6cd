"""About what a request will take, before anybody has counted it. No I/O, and no tokenizer: it would take too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lockgate.events import Request

TOKEN_BYTES = 4
"""Of text, about: less in English, more in code, and right enough for scripts of two or three bytes a character."""
REPLY_TOKENS = 4096
"""Of a reply, where the request does not say how long it may be."""
_REPLY = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_MESSAGES = ("messages", "input")


def input_tokens(request: Request) -> int:
    """Of all its texts; images and files are left out."""
    return text_tokens(sum(_bytes(spot.text) for spot in request.texts()))


def text_tokens(size: int) -> int:
    return -(-size // TOKEN_BYTES)


def output_tokens(document: Mapping[str, Any]) -> int:
    """The most that the request lets the model say."""
    found = next((n for name in _REPLY if (n := _count(document.get(name)))), REPLY_TOKENS)
    return found * (_count(document.get("n")) or 1)


def messages(document: Mapping[str, Any]) -> int:
    """Of the conversation that is sent; a text alone is one."""
    for name in _MESSAGES:
        if name in document:
            given = document[name]
            return len(given) if isinstance(given, list) else 1  # pyright: ignore[reportUnknownArgumentType]
    return 0


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _count(value: Any) -> int:
    """A whole number above 0, else 0: what else a client sends there, the provider refuses."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
