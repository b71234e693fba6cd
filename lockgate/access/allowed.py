"""Whether a grant lets a request through: what it asks for, held against what may be reached. No I/O."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

from lockgate.access.grant import Allow, Value

FROM_ADDRESS = "from this address"
_UNCLEAR = ("%", "\\", "\x00", "\ufffd")
"""What one server reads as a part of a name, and another one does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a request is for. Without a document it is one that carries no conversation."""

    provider: str
    """`anthropic`, `openai` or `google`."""
    host: str
    method: str
    path: str
    """As it was sent, with or without a query."""
    client: str
    origin: str = ""
    model: str = ""
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])


def refusal(allow: Allow, reach: Reach) -> str:
    """What is not allowed, as the end of a sentence; "" where nothing stands against it."""
    if allow.addresses and not _is_within(reach.client, allow.addresses):
        return FROM_ADDRESS
    if allow.origins and reach.origin and reach.origin not in allow.origins:
        return "from a page of this origin"
    if allow.providers and not {reach.provider, reach.host} & set(allow.providers):
        return f"for {reach.host}"
    if allow.methods and reach.method.upper() not in allow.methods:
        return f"with the method {reach.method}"
    if allow.endpoints and not any(_fits(path, reach.path) for path in allow.endpoints):
        return "for this endpoint"
    if allow.models and reach.document and not any(fnmatchcase(reach.model, glob) for glob in allow.models):
        return f"for the model {reach.model or 'that it does not name'}"
    for path, values in allow.parameters.items():
        if any(not _is_among(value, values) for value in values_at(reach.document, path.split("."))):
            return f"with this value of '{path}'"
    return ""


def normal_path(path: str) -> str | None:
    """The path as a server reads it: no query, decoded, without `.`, `..` and `//`; None where that is unclear."""
    decoded = unquote(path.partition("?")[0].partition("#")[0])
    if not decoded.startswith("/") or any(sign in decoded for sign in _UNCLEAR):
        return None
    return posixpath.normpath("/" + decoded.lstrip("/"))


def values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Every value at a path of a document; `*` stands for each of a list or object. Nothing where there is none."""
    if not path:
        yield value
    elif isinstance(value, dict):
        given = cast(dict[str, Any], value)
        for key in given if path[0] == "*" else [path[0]] if path[0] in given else []:
            yield from values_at(given[key], path[1:])
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from values_at(each, path[1:] if path[0] == "*" else path)


def _is_among(value: Any, allowed: Sequence[Value]) -> bool:
    """Booleans are no numbers here, and a text may be like one with `*`."""
    if isinstance(value, str):
        return any(isinstance(each, str) and fnmatchcase(value, each) for each in allowed)
    return any(type(value) is type(each) and value == each for each in allowed)


@lru_cache(maxsize=1024)
def _is_within(client: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in ipaddress.ip_network(each) for each in networks)


@lru_cache(maxsize=1024)
def _fits(glob: str, path: str) -> bool:
    normal = normal_path(path)
    return normal is not None and _pattern(glob).fullmatch(normal) is not None


@lru_cache(maxsize=1024)
def _pattern(glob: str) -> re.Pattern[str]:
    """`*` is one part of a path, or some of it; `**` is any number of parts."""
    parts = re.split(r"(\*\*|\*)", glob.rstrip("/") or "/")
    kinds = {"**": ".*", "*": "[^/]+"}
    return re.compile("".join(kinds.get(part) or re.escape(part) for part in parts))
