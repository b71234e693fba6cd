"""Changes the strings of a JSON text and leaves every other byte as it is. Values only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from lockgate.errors import WireError
from lockgate.wire import document as json_document

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"(\s*+:)?')
"""A string in JSON text, in linear time; the group tells a key."""


def changed_strings(text: str, change: Callable[[str], str]) -> str:
    """The JSON text with `change` made to the content of every string that is no key."""

    def one(string: re.Match[str]) -> str:
        if string[1]:
            return string[0]
        content = json_document.loads(string[0])
        out = change(content)
        return string[0] if out == content else json_document.dumps(out).decode("utf-8", "surrogatepass")

    return _STRING.sub(one, text)


def keys_in(value: Any) -> Iterator[str]:
    """The keys of every object in it."""
    if isinstance(value, dict):
        for key, part in cast(dict[str, Any], value).items():
            yield key
            yield from keys_in(part)
    elif isinstance(value, list):
        for part in cast(list[Any], value):
            yield from keys_in(part)


def changed_keys(value: Any, change: Callable[[str], str]) -> Any:
    """The value with `change` made to every key; where two become the same, the later ones are numbered."""
    if isinstance(value, list):
        return [changed_keys(part, change) for part in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, part in cast(dict[str, Any], value).items():
        name = free = change(key)
        number = 1
        while free in out:
            number += 1
            free = f"{name} ({number})"
        out[free] = changed_keys(part, change)
    return out


def shortened(text: str, most: int) -> str:
    """The JSON text with so much of each string, for what stands between strings: it is no JSON any more."""
    return _STRING.sub(lambda string: string[0] if len(string[0]) <= most else string[0][:most], text)


def is_json(text: str) -> bool:
    """Whether the text is one JSON document, in which no key is repeated."""
    try:
        json_document.loads_exact(text)
    except WireError:
        return False
    return True
