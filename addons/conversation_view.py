"""A content view of mitmproxy that shows what a client and a model say to each other. It reads, and nothing more.

mitmproxy asks views in its event loop, so what one view may take is bounded: bytes, characters and time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, cast

from mitmproxy import contentviews, http
from mitmproxy.addonmanager import Loader
from mitmproxy.contentviews import Contentview, Metadata

from lockgate.errors import WireError, told
from lockgate.events import ReplyError, Usage
from lockgate.policies.notice import harmless
from lockgate.redaction import hidden, without_tokens
from lockgate.wire.blocks import Block, BlockKind, blocks_of
from lockgate.wire.codec import Reply
from lockgate.wire.document import loads
from lockgate.wire.endpoints import Endpoint, endpoint_for
from lockgate.wire.transcript import messages_of, preamble_of, replied_in, stop_of

READ_BYTES = 8 * 1024 * 1024
"""A larger body is shown by its beginning only."""
READ_SECONDS = 0.25
"""So long a streamed reply is read; the rest is left out."""
SLICE_BYTES = 64 * 1024
SHOWN_CHARACTERS = 200_000
"""Of one message; of a request, the newest are shown."""
TEXT_CHARACTERS = 20_000
"""Of one text."""
UNREAD_CHARACTERS = 20_000
"""Of a body that cannot be read."""
PRIORITY = 2.0
"""Above mitmproxy's own views, which give 1 at most."""
_ESCAPED = 12
"""The characters that one character may take in JSON: `\\ud83d\\ude00`."""
_ANY = b'{"model":"","messages":[],"stream":true}'
"""A reply is read alike, whatever was asked."""

_KINDS: Mapping[BlockKind, str] = {"thinking": " (thinking)", "call": " calls", "result": " result"}

type Hidden = Mapping[str, str]


class ConversationContentview(Contentview):
    """Chosen by itself for conversations with model hosts. `prettify` never raises."""

    def __init__(self, is_model_host: Callable[[http.HTTPFlow], bool], hidden_in: Callable[[Any], Hidden]) -> None:
        """`hidden_in` gives the texts of a flow that nobody may read, and what stands for them."""
        self._is_model_host, self._hidden_in = is_model_host, hidden_in

    def render_priority(self, data: bytes, metadata: Metadata) -> float:
        endpoint = _endpoint(metadata)
        if not data or endpoint is None or not self._is_model_host(cast(http.HTTPFlow, metadata.flow)):
            return -1
        return PRIORITY if endpoint.converses or isinstance(metadata.http_message, http.Request) else -1

    def prettify(self, data: bytes, metadata: Metadata) -> str:
        instead = self._hidden_in(metadata.flow)
        try:
            if (endpoint := _endpoint(metadata)) is None:
                raise WireError("its endpoint carries none")
            if len(data) > READ_BYTES:
                raise WireError(f"it has {len(data):,} bytes, and {READ_BYTES:,} are the most that is read")
            is_request = isinstance(metadata.http_message, http.Request)
            lines = _request(endpoint, data, instead) if is_request else _reply(endpoint, data, instead)
            return "\n".join(lines)
        except Exception as error:
            return f"No conversation can be read from this: {told(error)}\n\n{_unread(data, instead)}"


class Conversations:
    """The addon that gives mitmproxy the view, and takes it back."""

    name = "lockgate-conversations"

    def __init__(self, view: ConversationContentview) -> None:
        self.view = view

    def load(self, loader: Loader) -> None:
        contentviews.add(self.view)

    def done(self) -> None:
        known = cast(dict[str, Contentview], cast(Any, contentviews.registry)._by_name)  # there is no other way
        if known.get(name := self.view.name.lower()) is self.view:
            del known[name]


def _endpoint(metadata: Metadata) -> Endpoint | None:
    flow, message = metadata.flow, metadata.http_message
    if not isinstance(flow, http.HTTPFlow) or message is None:
        return None
    return endpoint_for(flow.request.method, flow.request.path)


def _request(endpoint: Endpoint, data: bytes, instead: Hidden) -> Iterator[str]:
    """The newest of what is said, as much as fits, in order."""
    format, document = endpoint.format.name, _object(data)
    messages = messages_of(format, document)
    how = "streamed" if document.get("stream") is True else "whole"
    count = "1 message" if len(messages) == 1 else f"{len(messages):,} messages"
    yield f"{_shown(str(document.get('model') or 'a model that is not named'), instead)}, {how}, {count}"
    newest, left = list[list[str]](), SHOWN_CHARACTERS
    for message in reversed(messages):
        newest.append(list(_shown_blocks(blocks_of(format, message), instead)))
        left -= sum(map(len, newest[-1]))
        if left < 0:
            break
    yield from _shown_blocks(preamble_of(format, document), instead)
    if older := len(messages) - len(newest):
        yield f"\n… {older:,} older left out: they are in the JSON view"
    for blocks in reversed(newest):
        yield from blocks


def _reply(endpoint: Endpoint, data: bytes, instead: Hidden) -> Iterator[str]:
    format = endpoint.format.name
    is_whole = data.lstrip()[:1] == b"{"
    codec = endpoint.format.reply(endpoint.format.read_request(_ANY), streamed=not is_whole, hold_calls=False)
    read, errors, fault = _read(codec, data)
    body = data if is_whole else codec.message()
    document = _object(body) if body else {}
    said = [block for message in replied_in(format, document) for block in blocks_of(format, message)]
    if not (said or errors):
        raise WireError(fault or "it says nothing")
    yield ", ".join(_facts(format, document, codec.usage, instead))
    is_cut = read < len(data) or bool(fault)
    yield from _shown_blocks(said, instead, without_end=_longest(instead) if is_cut else 0)
    for error in errors:
        yield f"\n▌ error {_shown(error.kind, instead)}\n{_shown(error.message, instead)}"
    if is_cut:
        why = fault or f"{read:,} of its {len(data):,} bytes were read in the time there is"
        yield f"\n… there is more: {_shown(why, instead)}"


def _read(codec: Reply, data: bytes) -> tuple[int, Sequence[ReplyError], str]:
    """How far it was read within the time there is, the errors that it tells of, and why it cannot be read on."""
    ends, at, errors = perf_counter() + READ_SECONDS, 0, list[ReplyError]()
    try:
        while at < len(data) and perf_counter() < ends:
            frames = codec.receive_data(data[at : at + SLICE_BYTES])
            at = min(len(data), at + SLICE_BYTES)
            errors += [event for frame in frames for event in frame.events if isinstance(event, ReplyError)]
        if at == len(data):
            frames = codec.receive_data(b"")
            errors += [event for frame in frames for event in frame.events if isinstance(event, ReplyError)]
    except Exception as error:
        return at, errors, "" if errors else told(error)
    return at, errors, ""


def _facts(format: str, document: Mapping[str, Any], usage: Usage | None, instead: Hidden) -> Iterator[str]:
    yield _shown(str(document.get("model") or "a model that is not named"), instead)
    if stop := stop_of(format, document):
        yield f"stop reason: {_shown(stop, instead)}"
    if usage:
        cached = f" ({usage.cache_read_tokens:,} read from and {usage.cache_write_tokens:,} written to the cache)"
        taken = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        is_cached = usage.cache_read_tokens or usage.cache_write_tokens
        yield f"{taken:,} tokens in{cached if is_cached else ''}, {usage.output_tokens:,} out"


def _shown_blocks(blocks: Iterable[Block], instead: Hidden, *, without_end: int = 0) -> Iterator[str]:
    """Each with a line that says whose it is. `without_end` characters are left out, as they may be half a secret."""
    for block in blocks:
        is_named = block.kind in ("image", "other")
        named = " ".join(filter(None, ("" if is_named else block.name, f"({block.call_id})" if block.call_id else "")))
        head = f"\n▌ {block.role or 'unknown'}{_KINDS.get(block.kind, '')} {named}".rstrip()
        text = _name_of(block) if is_named else block.text[: len(block.text) - without_end]
        body = _arguments(text, instead) if block.kind == "call" else _shown(text, instead)
        yield f"{_shown(head, instead)}\n{body or '(nothing)'}"


def _name_of(block: Block) -> str:
    """What no text tells is named only: mitmproxy shows it in its JSON."""
    name, size = block.name or (block.kind if block.kind == "image" else "unknown"), len(block.source or block.text)
    return f"[{name}, {size:,} characters]"


def _arguments(text: str, instead: Hidden) -> str:
    """A line or paragraph for each argument; the text where it is no JSON object."""
    with suppress(WireError):
        values = loads(text) if len(text) <= TEXT_CHARACTERS else None
        if isinstance(values, dict):
            return "\n".join(_argument(*pair, instead) for pair in cast(dict[str, Any], values).items())
    return _shown(text, instead)


def _argument(name: str, value: Any, instead: Hidden) -> str:
    from json import dumps

    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False)
    shown = _shown(f"{name}: {text}", instead)
    return "  " + shown.replace("\n", "\n    ")


def _shown(text: str, instead: Hidden) -> str:
    """What may be read of a text, with what would steer a terminal or hide spelled out."""
    text = without_tokens(hidden(text, instead))
    more = f"\n… {len(text) - TEXT_CHARACTERS:,} more characters" if len(text) > TEXT_CHARACTERS else ""
    return harmless(text[:TEXT_CHARACTERS]) + more


def _unread(data: bytes, instead: Hidden) -> str:
    """The beginning of a body; what it is cut at is not the midst of a secret."""
    longest = _longest(instead)
    text = without_tokens(hidden(data[: UNREAD_CHARACTERS + longest].decode("utf-8", "replace"), instead))
    if len(data) <= UNREAD_CHARACTERS + longest:
        return harmless(text)
    return harmless(text[: len(text) - longest]) + "\n…"


def _longest(instead: Hidden) -> int:
    """So many characters a text that nobody may read takes at most, written as JSON within JSON may write it."""
    return max((_ESCAPED * len(text) for text in instead), default=0)


def _object(data: bytes) -> dict[str, Any]:
    document = loads(data)
    if not isinstance(document, dict):
        raise WireError("it is no JSON object")
    return cast(dict[str, Any], document)
