"""What the model said in a conversation, turn by turn, and a digest of what each turn means. Nothing here does I/O.

A turn is what the model said between two things that the client said. Clients send turns back in a shape of their own:
texts split or joined, arguments written anew by another JSON library, thinking left out, fields added. The meaning is
what all of them keep: the text without its white space, and the calls with their ids, names and arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.wire.document import canonical, loads

type Json = Mapping[str, Any]

DIGEST_BYTES = 16
"""Nobody gains by two turns of one meaning, which take 2**64 tries: the id of a call alone says more."""
COMPACTION = "compaction"
"""The name of a call that stands for a summary of all before it; it is a turn of its own."""
EMPTY_TEXTS = ("", "(no content)", "No response requested.")
"""Claude Code itself writes these where the model said nothing: in the place of an empty text, which its API refuses,
and where a person broke off before the model could answer."""
EXACT_INTEGERS = 2**53
"""JavaScript rounds what is larger."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was sent; `arguments` is a JSON value, or a text that is none."""

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`start` and `end` tell which of the messages it is made of."""

    text: str
    calls: tuple[Call, ...]
    meaning: bytes
    start: int = 0
    end: int = 0

    def followed_by(self, other: Turn) -> Turn:
        """Both as the one turn that they are where nothing stands between them."""
        return _turn(self.text + other.text, (*self.calls, *other.calls), self.start, other.end)


def digest(*parts: bytes) -> bytes:
    """A name for these parts in this order. Their number and lengths count."""
    lengths = b"%d " * len(parts) % tuple(map(len, parts))
    return blake2b(b"\n".join((lengths, *parts)), digest_size=DIGEST_BYTES).digest()


def squeezed(text: str) -> str:
    """The text without white space, which clients trim, add between texts, and take away at the ends of lines."""
    return "".join(text.split())


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def turns_in(format: str, messages: Sequence[Any]) -> list[Turn]:
    """The turns of these messages; one that says nothing is none, because clients leave it out."""
    said_in = _SAID[format]
    turns: list[Turn] = []
    said: list[str | Call] = []
    start = 0
    for at, message in enumerate(messages):
        parts = said_in(message) if isinstance(message, dict) else None  # pyright: ignore[reportUnknownArgumentType]
        alone = bool(parts) and isinstance(parts[0], Call) and parts[0].name == COMPACTION
        if said and (parts is None or alone):
            turns += _made(said, start, at)
            said = []
        if not parts:
            continue
        start = start if said else at
        said = [*said, *parts] if said else parts
        if alone:
            turns += _made(said, at, at + 1)
            said = []
    return [*turns, *_made(said, start, len(messages))]


def messages_of(format: str, document: Json) -> Sequence[Any]:
    """The messages of a request; a lone text counts as none, since it is no turn."""
    found = document.get("input" if format == "openai-responses" else "messages")
    return cast(list[Any], found) if isinstance(found, list) else ()


def replied(format: str, document: Json) -> list[list[Turn]]:
    """The turns of a whole reply, for each of its choices; [] for an error and the like."""
    return [turns for messages in _reply_messages(format, document) if (turns := turns_in(format, messages))]


def is_open(format: str, messages: Sequence[Any], turns: Sequence[Turn]) -> bool:
    """Whether a request ends with a turn that the reply goes on with."""
    # Responses: the model answers with items of its own.
    return bool(turns) and turns[-1].end == len(messages) and format != "openai-responses"


def _reply_messages(format: str, document: Json) -> Iterator[Sequence[Any]]:
    if format == "anthropic":
        yield [{"role": "assistant", "content": document.get("content")}]
    elif format == "openai-chat":
        for choice in _objects(document.get("choices")):
            for message in _objects([choice.get("message")]):
                yield [{**message, "role": "assistant"}]
    else:
        output = document.get("output")
        yield cast(list[Any], output) if isinstance(output, list) else ()


def _made(said: Sequence[str | Call], start: int, end: int) -> Sequence[Turn]:
    text = "".join([one for one in said if isinstance(one, str)])
    calls = tuple([one for one in said if isinstance(one, Call)])
    return (_turn(text, calls, start, end),) if calls or text.strip() not in EMPTY_TEXTS else ()


def _turn(text: str, calls: tuple[Call, ...], start: int, end: int) -> Turn:
    called = canonical([(call.id, call.name, plain(call.arguments)) for call in calls]) if calls else b""
    meaning = digest(encoded(squeezed(text)), called)
    return Turn(text=text, calls=calls, meaning=meaning, start=start, end=end)


def plain(value: Any) -> Any:
    """A value as any JSON library writes it again: without nulls, 1.0 as 1, and large integers rounded."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: one if isinstance(one, str) else plain(one) for key, one in items if one is not None}
    if isinstance(value, list):
        return [plain(one) for one in cast(list[Any], value)]
    if isinstance(value, int):
        return value if -EXACT_INTEGERS <= value <= EXACT_INTEGERS else _float(value)
    return int(value) if value.is_integer() and abs(value) <= EXACT_INTEGERS else value


def _float(value: int) -> float | str:
    try:
        return float(value)
    except OverflowError:
        return str(value)


def read_arguments(text: Any) -> Any:
    """The JSON value that a call's text holds; the text itself where it is free text or was cut."""
    if not isinstance(text, str):
        return text
    if not text.strip():
        return {}
    try:
        value = loads(text)
    except WireError:
        return text
    return cast(Any, value) if isinstance(value, dict | list) else text


# What the model said in one message or item; None where it is the client's.


def _anthropic(message: Json) -> list[str | Call] | None:
    if message.get("role") != "assistant":
        return None
    content = message.get("content")
    return [content] if isinstance(content, str) else [said for block in _objects(content) if (said := _block(block))]


def _block(block: Json) -> str | Call:
    kind = block.get("type")
    if kind == "text":
        return _text(block.get("text"))
    if kind in ("thinking", "redacted_thinking"):
        return ""
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        return Call(_text(block.get("id")), _text(block.get("name")), block.get("input"))
    if kind == "compaction":
        return _text(block.get("content"))
    return Call(_text(block.get("tool_use_id")), _text(kind), None)  # what the provider's own tools gave


def _chat(message: Json) -> list[str | Call] | None:
    if message.get("role") != "assistant":
        return None
    said: list[str | Call] = []
    for key in ("content", "refusal"):
        value = message.get(key)
        said += [value] if isinstance(value, str) else map(_text_of, _objects(value))
    said += map(_chat_call, _objects(message.get("tool_calls")))
    for older in _objects([message.get("function_call")]):
        said.append(Call("", _text(older.get("name")), read_arguments(older.get("arguments"))))
    return said


def _chat_call(call: Json) -> Call:
    id = _text(call.get("id"))
    for body in _objects([call.get("function")]):
        return Call(id, _text(body.get("name")), read_arguments(body.get("arguments")))
    for body in _objects([call.get("custom")]):
        return Call(id, _text(body.get("name")), body.get("input"))
    return Call(id, _text(call.get("type")), None)


_CLIENT_RUN = ("function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call")
"""Of calls that the provider runs itself, clients keep little but their kind."""
_SUMMARIES = ("compaction", "context_compaction", "compaction_summary")


def _responses(item: Json) -> list[str | Call] | None:
    kind = item.get("type", "message")
    match kind:
        case "message":
            return _responses_message(item)
        case "reasoning":
            return []
        case "item_reference":
            id = _text(item.get("id"))
            return [] if id.startswith("rs_") else [Call(id, kind, None)]
        case str() if kind in _SUMMARIES:
            return [Call("", COMPACTION, item.get("encrypted_content") or item.get("summary"))]
        case str() if kind in _CLIENT_RUN:
            given = next((item[key] for key in ("arguments", "input", "action", "operation") if key in item), None)
            arguments = given if kind == "custom_tool_call" else read_arguments(given)
            return [Call(_text(item.get("call_id")), _text(item.get("name") or kind), arguments)]
        case str() if kind.endswith("_call"):
            return [Call("", kind, None)]
        case _:
            return None


def _responses_message(item: Json) -> list[str | Call] | None:
    if item.get("role") != "assistant":
        return None
    content = item.get("content")
    return [content] if isinstance(content, str) else list(map(_text_of, _objects(content)))


_SAID: Mapping[str, Callable[[Json], list[str | Call] | None]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
}


def _text_of(part: Json) -> str:
    return _text(part.get("refusal" if part.get("type") == "refusal" else "text"))


def _objects(values: Any) -> list[Json]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []  # pyright: ignore[reportUnknownVariableType]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
