"""Whether a turn that comes back is the one that was released, as its client writes it anew. Nothing here does I/O.

Claude Code puts a tool's defaults into its input, drops what the tool does not declare, takes `cd HERE && ` off a
command, mends escapes, and reads JSON out of texts. A reply that was cut comes back as far as it was understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lockgate.wire.turns import Call, Turn, plain, read_arguments, squeezed

type Json = Mapping[str, Any]

_CHANGED_FOLDER = re.compile(r"""\Acd [^\s"'`$;&|<>*?(){}\[\]!#]{1,1024} && """)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_DEFAULTS: Sequence[Any] = (False, None, "", [])


def is_echo(released: Turn, given: Turn, document: Json, *, cut: bool) -> bool:
    """Whether `given` says what `released` does; where that was cut, what the beginning of it does.

    `document` is the request, which declares the tools.
    """
    ours, theirs = squeezed(released.text), squeezed(given.text)
    if not (ours.startswith(theirs) if cut else ours == theirs):
        return False
    if len(given.calls) > len(released.calls) or (len(given.calls) < len(released.calls) and not cut):
        return False
    return all(_same(*pair, document) for pair in zip(released.calls, given.calls, strict=False))


def _same(released: Call, given: Call, document: Json) -> bool:
    if released.name != given.name or released.id not in ("", given.id):  # some servers leave naming to the client
        return False
    ours, theirs = plain(released.arguments), plain(given.arguments)
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return _alike(ours, theirs)
    sent, back = cast(dict[str, Any], ours), cast(dict[str, Any], theirs)
    if any(value not in _DEFAULTS for key, value in back.items() if key not in sent):
        return False
    if not all(_alike(sent[key], value) for key, value in back.items() if key in sent):
        return False
    return all(key in back or _is_undeclared(key, given.name, document) for key in sent)


def _alike(released: Any, given: Any) -> bool:
    match released, given:
        case str(), str():
            return released == given or _command(released) == _command(given)
        case str(), dict() | list():
            return bool(plain(read_arguments(released)) == given)
        case str(), int() | float():
            return str(given).lower() == released.strip()  # True as well
        case dict(), dict():
            ours, theirs = cast(dict[str, Any], released), cast(dict[str, Any], given)
            return ours.keys() == theirs.keys() and all(_alike(ours[key], theirs[key]) for key in ours)
        case list(), list():
            ours_, theirs_ = cast(list[Any], released), cast(list[Any], given)
            return len(ours_) == len(theirs_) and all(map(_alike, ours_, theirs_))
        case _:
            return bool(released == given)


def _command(text: str) -> str:
    """A text without what clients mend in it."""
    text = _CHANGED_FOLDER.sub("", text).replace("\\\\;", "\\;")
    return squeezed(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))


def _is_undeclared(key: str, name: str, document: Json) -> bool:
    """Whether the tool is declared, and has no such key."""
    for tool in cast(list[Any], document.get("tools") or []):
        declared: Json = cast(Json, tool) if isinstance(tool, dict) else {}
        if declared.get("name") == name and isinstance(schema := declared.get("input_schema"), dict):
            return key not in (cast(Json, schema).get("properties") or {})
    return False
