"""A body taken apart into its messages and the rest, and put together again. Nothing here does I/O.

A client sends the whole conversation with every request. Taken apart, each message is the same `Part` in every
request that carries it, whoever sends it, so that a log keeps it once, and a node (`node_hash`) names a message
together with all those before it, as a commit does in git.

Two forms of a part play a role. Its `hash` is that of its canonical form, keys sorted, so that a client that writes
the keys in another order says the same thing. Its `content` is as it was sent, keys in their order: whoever said it
first gets back the very bytes, whoever says it again gets a document that is equal. White space and the spelling of
characters and numbers are not kept; `as_sent` tries how clients write JSON and tells whether that gives the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Literal, cast

from lockgate.errors import WireError
from lockgate.wire.blobs import Blobs, may_hold_blobs, put_blobs, take_blobs
from lockgate.wire.document import canonical, dumps, loads_exact, loads_object, spellings
from lockgate.wire.spelling import (
    CACHE_CONTROL,
    Mark,
    PlainTexts,
    put_cache_mark,
    put_plain_texts,
    take_billing_line,
    take_cache_marks,
    take_plain_text,
)  # fmt: skip

type Json = dict[str, Any]
type Kind = Literal["system", "tools", "message"]
type Shape = Literal["list", "text", "message", "choice"]
"""What a key of the document held: a list of parts; a text that one part holds; the content of one message
(Anthropic's reply); the one choice that holds a message (Chat's reply)."""

ROOT = bytes(32)
"""The parent of a first node, when it is hashed."""
ROLE_CHARACTERS = 40
NAME_CHARACTERS = 200
"""A longer one is not a provider's, and no key for an index."""

_PREAMBLE: Mapping[str, tuple[tuple[str, Kind], ...]] = {
    "anthropic": (("system", "system"), ("tools", "tools")),
    "openai-chat": (("tools", "tools"), ("functions", "tools")),
    "openai-responses": (("instructions", "system"), ("tools", "tools")),
}
"""Where a format has its system prompt and its tools. A provider may repeat them in its reply."""
MESSAGES: Mapping[str, str] = {"anthropic": "messages", "openai-chat": "messages", "openai-responses": "input"}
"""Where a format has its messages."""
_WRAPS: Mapping[str, tuple[Json, str]] = {
    "system": ({"type": "text"}, "text"),
    "instructions": ({"type": "text"}, "text"),
    "input": ({"role": "user"}, "content"),
}
"""Where a text may stand for a list, the one element that it stands for."""
_CACHE_CONTROL = CACHE_CONTROL.encode()
_PLAIN_TEXTS = ("anthropic", "openai-chat")
_MODELS_OWN = ("reasoning", "compaction", "item_reference")
"""Items of the Responses API that are the model's, beside its messages and calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A system block, a tool, or a message. `content` is JSON text, without its files and its volatile markers."""

    kind: Kind
    role: str
    """Whose it is: "system", "user", "assistant", "tool", "definition", a role of the client's own; "" if unknown."""
    hash: bytes
    content: bytes
    blobs: bytes = b""
    """Where the files stand that are kept apart, in JSON: see `lockgate.wire.blobs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that was taken out of a body, with its volatile markers."""

    part: Part
    text: bytes
    """As it was sent, where the body was written as we write JSON."""
    marks: Sequence[Mark] = ()
    plain: tuple[str, bool] | None = None
    """For a lone text, the message's role, and whether it was a string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A body in parts, and what it takes to go on from there with one that repeats it."""

    conversation: Conversation
    taken: Sequence[Taken]
    """All its messages."""
    start: int
    """Where in the body the first message begins; 0 where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A body in parts. `join` needs nothing else."""

    preamble: tuple[Part, ...]
    """System prompts and tools, in a chain of their own: they may change in the midst of a conversation."""
    messages: tuple[Part, ...]
    envelope: bytes
    """The document in JSON with null in place of what the parts say."""
    form: bytes
    """In JSON, how the parts make up the document, and their volatile markers: `slots`, `cache`, `line`, `plain`."""
    blobs: Mapping[bytes, bytes] = field(default_factory=dict[bytes, bytes], repr=False)
    digest: bytes
    """The SHA-256 of the body."""
    id: str = ""
    """The provider's name of a reply, where a later request may go on from it by that name alone (Responses)."""
    follows: str = ""
    """The name of the reply that a request goes on from, without repeating what was said until then (Responses)."""

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.preamble + self.messages


def node_hash(parent: bytes | None, part: bytes) -> bytes:
    """The name of the part with this name after all that came before it; `parent` is None for the first."""
    return hashlib.sha256((parent or ROOT) + part).digest()


def part_hash(kind: str, message: Any, blobs: bytes) -> bytes:
    """The name of what a part says. A NUL never stands in JSON text, so it divides."""
    name = hashlib.sha256(kind.encode() + b"\0")
    name.update(canonical(message))
    name.update(b"\0" + blobs)
    return name.digest()


def split(format: str, body: bytes) -> Conversation | None:
    """A request in parts; None for what is no conversation in this format, by its wire name."""
    apart = split_after((), format, body)
    return None if apart is None else replace(apart.conversation, digest=hashlib.sha256(body).digest())


def split_after(before: Sequence[Taken], format: str, body: bytes) -> Apart | None:
    """A request whose first messages, `before`, were left out of `body`, in parts; without its digest."""

    def take(document: Json, taker: _Taker) -> bool:
        for key, kind in _PREAMBLE[format]:
            taker.list_at(document, key, kind)
        return taker.list_at(document, MESSAGES[format], "message")

    return _split(format, body, take, before)


def split_reply(format: str, body: bytes) -> Conversation | None:
    """A whole reply in parts: its messages are as a client sends them back. None for an error and the like."""

    def take(document: Json, taker: _Taker) -> bool:
        if format == "anthropic":
            return taker.content_of(document)
        if format == "openai-chat":
            return taker.choice_of(document)
        for key, kind in _PREAMBLE[format]:
            taker.list_at(document, key, kind)
        return taker.list_at(document, "output", "message")

    apart = _split(format, body, take)
    return None if apart is None else replace(apart.conversation, digest=hashlib.sha256(body).digest())


def _split(
    format: str, body: bytes, take: Callable[[Json, _Taker], bool], before: Sequence[Taken] = ()
) -> Apart | None:
    if format not in MESSAGES:
        return None
    try:
        document = loads_object(body)
    except WireError:
        return None
    start = _start(document, MESSAGES[format], body)
    taker = _Taker(format, body, before)
    if not take(document, taker):
        return None
    conversation = Conversation(
        preamble=tuple(part for part in taker.parts if part.kind != "message"),
        messages=tuple(part for part in taker.parts if part.kind == "message"),
        envelope=dumps(document),
        form=dumps(taker.form()),
        blobs=taker.blobs,
        digest=b"",
        id=_name_in(document, "id") if format == "openai-responses" else "",
        follows=_name_in(document, "previous_response_id"),
    )
    return Apart(conversation=conversation, taken=taker.taken, start=start)


def _start(document: Json, key: str, body: bytes) -> int:
    """Where the first element of the list under this key begins, in a body that is written as we write JSON; else 0."""
    if not isinstance(document.get(key), list):
        return 0
    before = dumps({name: document[name] for name in takewhile(lambda name: name != key, document)})
    head = before[:-1] + (b"," if len(before) > 2 else b"") + dumps(key) + b":["
    return len(head) if body.startswith(head) else 0


def _name_in(document: Json, key: str) -> str:
    name = document.get(key)
    return name if isinstance(name, str) and len(name) <= NAME_CHARACTERS else ""


class _Taker:
    """Takes parts out of a document, and remembers how to undo it. The preamble is taken before the messages."""

    def __init__(self, format: str, body: bytes, before: Sequence[Taken] = ()) -> None:
        self.parts: list[Part] = []
        self.taken: list[Taken] = []
        """The messages."""
        self.blobs: Blobs = {}
        self._before = before
        self._format = format
        # One look at the whole body spares a look at each of its parts.
        self._cache_marks = _CACHE_CONTROL in body
        self._files = may_hold_blobs(format, body)
        self._slots: list[tuple[str, Shape, int]] = []
        self._marks: list[Any] = []
        self._line = ""
        self._plain = PlainTexts()

    def list_at(self, document: Json, key: str, kind: Kind) -> bool:
        """Take the list, or the text that stands for one, under this key; False where there is neither."""
        match document.get(key):
            case list():
                self._take(document, key, kind, "list", document[key])
            case str(text) if key in _WRAPS:
                wrap, name = _WRAPS[key]
                self._take(document, key, kind, "text", [{**wrap, name: text}])
            case _:
                return False
        return True

    def content_of(self, document: Json) -> bool:
        """Take Anthropic's reply as the message that it is."""
        content = document.get("content")
        if not isinstance(content, list) or not isinstance(document.get("role"), str):
            return False
        self._take(document, "content", "message", "message", [{"role": document["role"], "content": content}])
        return True

    def choice_of(self, document: Json) -> bool:
        """Take the message of the only choice of Chat's reply; several are no one conversation."""
        match document.get("choices"):
            case [{"message": dict()} as choice]:
                self._take(document, "choices", "message", "choice", [choice["message"]])
                document["choices"] = [cast(Json, choice) | {"message": None}]
                return True
            case _:
                return False

    def _take(self, document: Json, key: str, kind: Kind, shape: Shape, values: Sequence[Any]) -> None:
        before = self._before if kind == "message" else ()
        self._slots.append((key, shape, len(before) + len(values)))
        document[key] = None
        for taken in before:
            self._add(taken)
        for value in values:
            self._add(self._taken(kind, value))

    def _add(self, taken: Taken) -> None:
        number = len(self.parts)
        self._marks += [(number, *mark) for mark in taken.marks]
        if taken.plain:
            self._plain.add(number, *taken.plain)
        self.parts.append(taken.part)
        if taken.part.kind == "message":
            self.taken.append(taken)

    def _taken(self, kind: Kind, value: Any) -> Taken:
        """Take out of the value, in place, its files and what changes while it says the same."""
        if kind == "system" and not self.parts:
            self._line = take_billing_line(value)
        text = dumps(value)
        marks = take_cache_marks(value) if self._cache_marks and _CACHE_CONTROL in text else ()
        plain = take_plain_text(value) if kind == "message" and self._format in _PLAIN_TEXTS else None
        content = dumps(value) if marks or (plain and plain[1]) else text
        blobs = b""
        if self._files and may_hold_blobs(self._format, content) and (blobs := take_blobs(value, self.blobs)):
            content = dumps(value)
        hash = part_hash(kind, value, blobs)
        part = Part(kind=kind, role=_role_of(kind, value), hash=hash, content=content, blobs=blobs)
        return Taken(part=part, text=text, marks=marks, plain=plain)

    def form(self) -> Json:
        marks = {"cache": self._marks, "line": self._line, "plain": self._plain.document()}
        return {"slots": self._slots, **{name: value for name, value in marks.items() if value}}


def part_counts(form: bytes) -> tuple[int, int]:
    """How many parts of the preamble and how many messages a body has, by its form."""
    slots = loads_exact(form)["slots"]
    return sum(count for *_, count in slots[:-1]), slots[-1][2]


def join(conversation: Conversation, contents: Mapping[bytes, Any] | None = None) -> Json:
    """The document, equal to the one that was sent. Raises KeyError for a file that is not in `blobs`.

    `contents` are what parts say, by their hash, where that was read already: they become parts of the document.
    """
    document, form, unused = loads_exact(conversation.envelope), loads_exact(conversation.form), dict(contents or {})
    values: list[Any] = []
    for part in conversation.parts:
        value = unused.pop(part.hash, None) or loads_exact(part.content)
        put_blobs(value, part.blobs, conversation.blobs)
        values.append(value)
    _respell(values, len(conversation.preamble), form)
    start = 0
    for key, shape, count in form["slots"]:
        _put(document, key, shape, values[start : start + count])
        start += count
    return document


def _respell(values: Sequence[Any], first_message: int, form: Json) -> None:
    put_plain_texts(values, first_message, form.get("plain", {}))
    for number, path, place, value in form.get("cache", ()):
        put_cache_mark(values[number], path, place, value)
    if line := form.get("line"):
        values[0]["text"] = line + values[0]["text"]


def _put(document: Json, key: str, shape: Shape, values: Sequence[Any]) -> None:
    match shape:
        case "list":
            document[key] = list(values)
        case "text":
            document[key] = values[0][_WRAPS[key][1]]
        case "message":
            document[key] = values[0]["content"]
        case "choice":
            document[key][0]["message"] = values[0]


def as_sent(document: Any, digest: bytes) -> tuple[bytes, bool]:
    """The document as JSON text, and whether these are the very bytes that have this digest."""
    for text in spellings(document):
        if hashlib.sha256(text).digest() == digest:
            return text, True
    return dumps(document), False


def _role_of(kind: Kind, value: Any) -> str:
    if kind != "message":
        return "system" if kind == "system" else "definition"
    match value:
        case {"role": str(role)}:
            return role[:ROLE_CHARACTERS]
        case {"type": str(type)} if type.endswith("_output"):
            return "tool"
        case {"type": str(type)} if type in _MODELS_OWN or type.endswith("_call"):
            return "assistant"
        case _:
            return ""
