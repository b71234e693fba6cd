"""What is remembered of tools' definitions, to see when one changes: digests, and what it takes to compare. Bounded."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from lockgate.config import read_file
from lockgate.errors import ConfigError
from lockgate.events import Request
from lockgate.exchange import Exchange
from lockgate.policies.definitions import Definition, definitions_in
from lockgate.wire.document import canonical, dumps

DIGEST_CHARS = 32
SESSIONS, PINS = 5_000, 200_000
"""So many sessions, and so many tools of all of them, are remembered; the longest unused are forgotten first."""
TEXTS, WORDS = 1_000, 2_000
"""So many definitions are remembered with their words, and so many words of each."""
MINOR_WORDS = 6
"""So many other words, taken out and put in, are a date, a count or the name of a branch."""
_DEFINING = frozenset({
    *("description", "input_schema", "parameters", "format", "input_examples", "annotations", "title"),
    *("server_url", "server_description", "allowed_tools", "connector_id"),
})  # fmt: skip
"""What makes a definition. How it is sent does not: marks for caches, whether it is loaded later, how strict it is."""
_TELLING = frozenset({"description", "title", "examples", "default", "input_examples", "markdownDescription"})
"""What of a schema only tells about it."""
_PLACE = re.compile(r"https?:|www\.|@\w|~/|/\w+/|\.(?:com|io|net|org|dev|ai|sh|test)\b")
"""A word that leads somewhere is never minor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a definition is compared by: a digest of what the tool takes, and its words."""

    shape: bytes
    words: tuple[str, ...]


def defining(tool: Definition) -> dict[str, Any]:
    """What of a definition counts."""
    return {"name": tool.full_name, **{key: value for key, value in tool.body.items() if key in _DEFINING}}


def digest_of(tool: Definition) -> str:
    """Names the definition: equal ones have the same digest, whatever the order of keys."""
    return sha256(canonical(defining(tool))).hexdigest()[:DIGEST_CHARS]


def contents_of(tool: Definition) -> Contents:
    said = defining(tool)
    words = tuple(word for text in texts_of(said) for word in text.split())[: WORDS + 1]
    return Contents(shape=sha256(canonical(_shape(said))).digest()[:16], words=words)


def is_minor(old: Contents, new: Contents) -> bool:
    """Whether the tool takes the same as before and only a few words of its description are others."""
    before, after = Counter(old.words), Counter(new.words)
    put_in = after - before
    changed = (put_in + (before - after)).total()
    return old.shape == new.shape and changed <= MINOR_WORDS and not any(_PLACE.search(word) for word in put_in)


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a definition, and every name of a parameter."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in cast(dict[str, Any], value).items():
            if isinstance(part, dict):
                yield key
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in cast(list[Any], value):
            yield from texts_of(part)


def _shape(value: Any) -> Any:
    """A schema without what only tells about it; a parameter may be called `description` all the same."""
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: _shape(part) for key, part in items if key not in _TELLING or isinstance(part, dict)}
    return [_shape(part) for part in cast(list[Any], value)] if isinstance(value, list) else value


class Pins:
    """The digests of the definitions that each session showed first, by the tools' names."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._count = 0
        self._contents: OrderedDict[str, Contents] = OrderedDict()

    def of(self, x: Exchange) -> Mapping[str, str] | None:
        """The session's; None where an exchange belongs to no session that is known."""
        keys = _keys(x)
        if not keys:
            return None
        pins = next((self._sessions[key] for key in (*keys, *_parents(x)) if key in self._sessions), None)
        pins = {} if pins is None else pins
        for key in keys:
            self._sessions[key] = pins
            self._sessions.move_to_end(key)
        return pins

    def pin(self, x: Exchange, tool: Definition, digest: str) -> None:
        """From now on this is what the session showed."""
        for pins in [self._sessions[key] for key in _keys(x)[:1] if key in self._sessions]:
            self._count += tool.full_name not in pins
            pins[tool.full_name] = digest
        self._contents[digest] = contents_of(tool)
        if len(self._contents) > TEXTS:
            self._contents.popitem(last=False)
        while len(self._sessions) > SESSIONS or (self._count > PINS and len(self._sessions) > 1):
            _, gone = self._sessions.popitem(last=False)
            if not any(gone is other for other in self._sessions.values()):
                self._count -= len(gone)

    def is_minor(self, old: str, tool: Definition) -> bool:
        """Whether a tool is nearly what the digest says; not where that is no longer remembered."""
        before, after = self._contents.get(old), contents_of(tool)
        return before is not None and len(after.words) <= WORDS and is_minor(before, after)


def _keys(x: Exchange) -> Sequence[str]:
    marker = f"{x.client}\0{x.session.marker}" if x.session and x.session.marker else ""
    return [key for key in (x.session_id, marker) if key]


def _parents(x: Exchange) -> Sequence[str]:
    goes_on = x.session is not None and x.session.relation in ("forked_from", "compacted_from")
    return [x.session.parent_id] if x.session and goes_on else []


def read_pins(file: Path | None) -> Mapping[str, str] | None:
    """The digests in a file, by the tools' names. Raises ConfigError."""
    if file is None:
        return None
    if not file.is_file():
        raise ConfigError(f"{file} does not exist; `lockgate policy pin` writes it from a request")
    tools: Any = read_file(file).get("tools")
    if not isinstance(tools, dict) or not all(isinstance(one, str) for one in cast(dict[str, Any], tools).values()):
        raise ConfigError(f"{file}: holds no pinned definitions: `tools:` with NAME: DIGEST below it")
    return cast(Mapping[str, str], tools)


def pins_text(request: Request) -> str:
    """The digests of a request's tools, as such a file holds them."""
    pins = {tool.full_name: digest_of(tool) for tool in definitions_in(request)}
    lines = (f"  {dumps(name).decode()}: '{digest}'" for name, digest in sorted(pins.items()))
    return "\n".join(["tools:", *lines, ""])
