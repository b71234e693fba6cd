"""Changes the strings of a JSON text and leaves every other byte as it is. Values only."""

from __future__ import annotations

import re
from collections.abc import Callable

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


def shortened(text: str, most: int) -> str:
    """The JSON text with so much of each string, for what stands between strings: it is no JSON any more."""
    return _STRING.sub(lambda string: string[0] if len(string[0]) <= most else string[0][:most], text)


def is_json(text: str) -> bool:
    """Whether the text is one JSON document."""
    try:
        json_document.loads(text)
    except WireError:
        return False
    return True
