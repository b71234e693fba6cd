"""What is said in an exchange with a model, whatever the wire format. Values only; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

type Path = tuple[str | int, ...]
"""Where a value stands in a JSON document: ("messages", 0, "content")."""

type Role = Literal["system", "user", "assistant", "tool", "definition"]

NEW_BLOCK = -1
"""The block of a text that a policy adds: the codec finds its legal place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing said. The same object given back forwards it; any other object is encoded anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them. `input_tokens` leaves out what the cache read or wrote."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Of `cache_write_tokens`, those that are kept for an hour and cost more."""

    @property
    def prompt_tokens(self) -> int:
        """With what the cache read or wrote."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStart(Event):
    """The reply begins. `id` is the provider's name for it, `model` the model that answers."""

    id: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(Event):
    """A piece of the text that the user reads. `block` tells texts of one reply apart."""

    block: int
    text: str


_new_text: Any = TextDelta.__new__
_set_block: Any = TextDelta.__dict__["block"].__set__
_set_text: Any = TextDelta.__dict__["text"].__set__


def text_delta(block: int, text: str) -> TextDelta:
    """The same as `TextDelta(block=block, text=text)`, at a third of what a frozen dataclass takes to be made."""
    event = _new_text(TextDelta)
    _set_block(event, block)
    _set_text(event, text)
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingDelta(Event):
    """A piece of the model's thinking. Its signature is never touched."""

    block: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEnd(Event):
    """A text or thinking block is complete: nothing more of it follows."""

    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall(Event):
    """A whole call of a client's tool. `arguments` is JSON text as sent, or free text where the tool is `custom`."""

    block: int
    id: str
    name: str
    arguments: str
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEnd(Event):
    """The reply is complete. `stop_reason` is the provider's word."""

    stop_reason: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyError(Event):
    """The provider ends the reply with an error after it had begun."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """A frame this version does not know. It passes as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A whole reply of a model, before any of it went on. `body` is what its events were read from."""

    body: bytes = field(repr=False)
    events: tuple[Event, ...]
    usage: Usage | None = None

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(event for event in self.events if isinstance(event, ToolCall))

    @property
    def text(self) -> str:
        """What the user would read."""
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


@dataclass(frozen=True, slots=True)
class Spot:
    """A text inside a request: where it stands, who said it, and what it says."""

    path: Path
    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client asks of the model. `document` is never changed in place: `with_values` gives a changed copy."""

    raw: bytes
    """The body as sent, after its content encoding was undone; b"" asks for the document to be encoded anew."""
    document: Mapping[str, Any]
    model: str
    stream: bool
    tools: tuple[str, ...] = ()
    """The names of the tools that the client declares."""
    find_texts: Callable[[Mapping[str, Any]], Iterable[Spot]]

    def texts(self) -> Iterable[Spot]:
        """Every text of the request in order: system prompts, messages, tool results, tool definitions."""
        return self.find_texts(self.document)

    def with_values(self, values: Mapping[Path, Any]) -> Request:
        """The request with the values at these paths replaced; all else is shared with this one."""
        document = self.document
        for path, value in values.items():
            document = _with_value(document, path, value)
        return self.with_document(document)

    def with_document(self, document: Mapping[str, Any]) -> Request:
        """The request with another document."""
        return replace(self, raw=b"", document=document, model=str(document.get("model", self.model)))


def _with_value(node: Any, path: Sequence[str | int], value: Any) -> Any:
    if not path:
        return value
    copy = list(node) if isinstance(node, list) else dict(node)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    copy[path[0]] = _with_value(copy[path[0]], path[1:], value)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return copy  # pyright: ignore[reportUnknownVariableType]
