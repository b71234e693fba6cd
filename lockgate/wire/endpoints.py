"""Which endpoints carry conversations, and in what format. Nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from lockgate.wire import anthropic, openai_chat, openai_responses
from lockgate.wire.codec import Format


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A kind of request that the rules see. `converses` tells whether its reply is a message, which they see too."""

    tail: tuple[str, ...]
    """The last segments of its path: hosts put what they like in front of them."""
    format: Format
    converses: bool = True
    compacts: bool = False
    """Whether its reply stands for the conversation that went up."""


ENDPOINTS = (
    Endpoint(("messages",), anthropic.FORMAT),
    Endpoint(("chat", "completions"), openai_chat.FORMAT),
    Endpoint(("responses",), openai_responses.FORMAT),
    # They carry the same conversation up, and something else down.
    Endpoint(("messages", "count_tokens"), anthropic.FORMAT, converses=False),
    Endpoint(("responses", "input_tokens"), openai_responses.FORMAT, converses=False),
    Endpoint(("responses", "compact"), openai_responses.FORMAT, converses=False, compacts=True),
)

FAMILIES = {"anthropic": anthropic.FORMAT, "openai": openai_chat.FORMAT, "google": openai_chat.FORMAT}
"""Whose words a refusal takes at an endpoint that is not known."""


KNOWN_PATHS = 64
"""Clients use a few, and one exchange asks several times."""
DECODINGS = 3
"""A path may be encoded more than once, and a server decode it as often."""


@lru_cache(KNOWN_PATHS)
def endpoint_for(method: str, path: str) -> Endpoint | None:
    """The endpoint that carries a conversation; None for all else."""
    if method != "POST":
        return None
    segments = segments_of(path)
    return next((known for known in ENDPOINTS if tuple(segments[-len(known.tail) :]) == known.tail), None)


def segments_of(path: str) -> list[str]:
    """The path as the most lenient server reads it: decoded, without query, parameters, blanks, dots and case."""
    path = path.partition("?")[0].partition("#")[0]
    for _ in range(DECODINGS):
        path = unquote(path)
    segments: list[str] = []
    for segment in path.replace("\\", "/").split("/"):
        name = "".join(filter(str.isprintable, segment.partition(";")[0].partition("?")[0])).strip().lower()
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    return segments
