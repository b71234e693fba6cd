"""What a Chat Completions reply is made of, and its JSON read with suspicion. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.events import Usage

type Json = dict[str, Any]

THINKING = ("reasoning_content", "reasoning")
"""What compatible servers call the model's thinking; some send both, with the same text."""


@dataclass(slots=True, kw_only=True)
class Choice:
    """One of the `n` answers, as far as it came."""

    index: int
    open: dict[str, Block] = field(default_factory=dict[str, "Block"])
    """The blocks that may still grow, by what they are: "content", "refusal" or "thinking"."""
    texts: list[Block] = field(default_factory=list["Block"])
    calls: list[Call] = field(default_factory=list["Call"])
    finish: str = ""
    finished_at: int | None = None
    """The number of the frame that finished the choice."""
    others: Json = field(default_factory=dict[str, Any])
    """Members of the message that this version does not know."""
    logprobs: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])


@dataclass(slots=True, kw_only=True)
class Block:
    """A text: `name` is the member of the message that says it."""

    number: int
    choice: Choice
    name: str
    parts: list[str] = field(default_factory=list[str])


@dataclass(slots=True, kw_only=True)
class Call:
    """A call, as far as it came. `place` is its `index`, None for the older `function_call`."""

    number: int
    choice: Choice
    place: int | None
    custom: bool = False
    id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list[str])

    @property
    def arguments(self) -> str:
        return "".join(self.parts)


@dataclass(slots=True)
class Piece:
    """A part of a call, as it stands in a frame: `said` is the delta or message that holds `entry`."""

    said: Json
    entry: Json
    call: Call


@dataclass(slots=True)
class Chunk:
    """What a frame said, for whoever rewrites it. Frames are numbered in order."""

    document: Json
    number: int
    pieces: Sequence[Piece]


def is_error(document: Json) -> bool:
    """Whether a document brings an error. Older model servers put the error's members at its top."""
    return bool(document.get("error")) or document.get("object") == "error"


def object_of(value: Any, name: str) -> Json:
    """The value, which must be an object. Raises WireError naming it."""
    if not isinstance(value, dict):
        raise WireError(f"{name} is not an object but {type(value).__name__}")
    return cast(Json, value)


def objects(value: Any, name: str) -> list[Json]:
    """The value, which must be a list of objects or null. Raises WireError naming it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise WireError(f"{name} is not a list but {type(value).__name__}")
    for item in cast(list[Any], value):
        object_of(item, f"an item of {name}")
    return cast(list[Json], value)


def string(holder: Json, name: str) -> str:
    """A member that must be a string; "" where it is absent or null. Raises WireError naming it."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WireError(f"{name} is not a string but {type(value).__name__}")
    return value


def text_of(value: Any) -> str:
    """What a `content` says: a string, or a list of parts, some of which are texts."""
    if isinstance(value, str):
        return value
    return "".join(string(part, "text") for part in objects(value, "content"))


def usage_of(counts: Json) -> Usage:
    """The provider's counts in our words; the provider counts cached tokens among those of the prompt."""
    details: Any = counts.get("prompt_tokens_details")
    details = cast(Json, details) if isinstance(details, dict) else {}
    read = _count(details, "cached_tokens") or _count(counts, "prompt_cache_hit_tokens")
    written = _count(details, "cache_write_tokens")
    return Usage(
        input_tokens=max(0, _count(counts, "prompt_tokens") - read - written),
        output_tokens=_count(counts, "completion_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )


def _count(holder: Json, name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else 0
