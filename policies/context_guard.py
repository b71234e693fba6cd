"""`context_guard`: how large a request may be: its bytes, messages, texts, images, files and tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

from pydantic import Field, model_validator

from lockgate.config import Section
from lockgate.events import Request
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.option_types import doing
from lockgate.wire.document import dumps

_MEDIA = frozenset(
    {"image", "document", "image_url", "input_image", "input_file", "file", "input_audio", "audio", "video"}
)
"""The types of parts that are no text, in any format."""
_SAID = ("system", "messages", "input", "prompt")
"""What holds such parts: schemas of tools have types of their own."""


class Options(Section):
    """Bounds of a request; what is not set is not bounded."""

    bytes: int | None = Field(default=None, gt=0)
    """The body's bytes."""
    characters: int | None = Field(default=None, gt=0)
    """The characters of all texts together."""
    text_characters: int | None = Field(default=None, gt=0)
    """The characters of one text, such as the result of a tool."""
    messages: int | None = Field(default=None, gt=0)
    """Messages, or items of the input."""
    tools: int | None = Field(default=None, ge=0)
    """Tools that the client declares."""
    media: int | None = Field(default=None, ge=0)
    """Images, files and sound."""
    media_bytes: int | None = Field(default=None, ge=0)
    """The bytes of each of them, as it is encoded."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        return doing(self, *type(self).model_fields, off=(None,))


class ContextGuard(Policy):
    """Blocks requests that are larger than they should be: a runaway conversation, a dump of files, images.

    Example:
        messages: 500
        media: 20
        text_characters: 400000
    """

    Options = Options

    async def on_request(self, request: Request, x: Exchange) -> Request:
        for name, count in self._counts(request):
            bound = getattr(self.options, name)
            if count > bound:
                words = name.replace("_", " ")
                raise Blocked(
                    f"This request has {count:,} {words}, and no more than {bound:,} are allowed here. "
                    "Start a new conversation, or send less."
                )
        return request

    def _counts(self, request: Request) -> list[tuple[str, int]]:
        """What is bounded, and how much of it there is."""
        options: Options = self.options
        lengths = [len(spot.text) for spot in request.texts()] if options.characters or options.text_characters else []
        media = (
            _media([request.document.get(name) for name in _SAID])
            if options.media is not None or options.media_bytes is not None
            else []
        )
        counts = {
            "bytes": lambda: len(request.raw) or len(dumps(request.document)),
            "characters": lambda: sum(lengths),
            "text_characters": lambda: max(lengths, default=0),
            "messages": lambda: _messages(request.document),
            "tools": lambda: len(request.tools),
            "media": lambda: len(media),
            "media_bytes": lambda: max(media, default=0),
        }
        return [(name, count()) for name, count in counts.items() if getattr(options, name) is not None]


def _messages(document: Mapping[str, Any]) -> int:
    lists: list[Any] = [given for given in (document.get("messages"), document.get("input")) if isinstance(given, list)]
    return max(map(len, lists), default=0)


def _media(value: Any) -> list[int]:
    """How long the longest string of each part is that is no text, however deep it stands."""
    if isinstance(value, list):
        return [size for item in cast(list[Any], value) for size in _media(item)]
    if not isinstance(value, dict):
        return []
    part = cast(dict[str, Any], value)
    kind = part.get("type")
    if isinstance(kind, str) and kind in _MEDIA:  # in schemas a type may be a list
        return [_longest(part)]
    return [size for item in part.values() for size in _media(item)]


def _longest(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    parts = (
        cast(Any, value).values()
        if isinstance(value, dict)
        else cast(list[Any], value)
        if isinstance(value, list)
        else ()
    )  # pyright: ignore[reportUnknownMemberType]
    return max((_longest(item) for item in parts), default=0)
