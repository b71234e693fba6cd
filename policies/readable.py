"""A tool call as a person reads it who has to decide about it: all of it, commands as typed, edits as differences."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from lockgate.events import ToolCall
from lockgate.policies import commands
from lockgate.policies.notice import harmless
from lockgate.wire.document import dumps

_EDITS = (("old_string", "new_string"), ("old_str", "new_str"), ("old_text", "new_text"), ("oldText", "newText"))
"""How agents name what an edit takes out of a file, and what it puts in."""
_PATCHES = ("*** Begin Patch", "--- ", "diff --git ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One argument, or what belongs together. Nothing is cut; what would steer a terminal or hide is spelled out."""

    name: str
    kind: Literal["text", "command", "diff"]
    text: str


def readable(tool: str, arguments: str, *, custom: bool) -> tuple[Part, ...]:
    """The parts of a call, the command or the change of a file first."""
    call = ToolCall(block=0, id="", name=tool, arguments=arguments, custom=custom)
    try:
        command, document = commands.command_of(call), commands.document_of(call)
    except commands.Unreadable:
        return (_text("arguments", arguments),)
    if custom:
        return (_text("input", arguments) if command is None else _part("command", "command", command),)
    return tuple(_parts(command, document))


def _parts(command: str | None, document: Mapping[str, Any]) -> Iterator[Part]:
    hidden = set[str]()
    if command is not None and (keys := [key for key in commands.COMMAND_KEYS if key in document]):
        if len(keys) == 1 and document[keys[0]] == command:  # a list is shown as well as it is: it is quoted otherwise
            hidden.add(keys[0])
        yield _part(keys[0], "command", command)
    for old, new in _EDITS:
        if isinstance(document.get(old), str) and isinstance(document.get(new), str):
            hidden |= {old, new}
            yield _part(f"{old} → {new}", "diff", _difference(document[old], document[new]))
    for name, value in document.items():
        if name not in hidden:
            yield from _value(name, value)


def _value(name: str, value: Any) -> Iterator[Part]:
    if isinstance(value, str):
        yield _text(name, value)
    elif name == "edits" and isinstance(value, list):
        for number, edit in enumerate(cast(list[Any], value), 1):
            if isinstance(edit, dict):
                for part in _parts(None, cast(dict[str, Any], edit)):
                    yield Part(name=f"edit {number}: {part.name}", kind=part.kind, text=part.text)
            else:
                yield _text(f"edit {number}", dumps(edit).decode())
    else:
        yield _text(name, dumps(value).decode())


def _text(name: str, text: str) -> Part:
    return _part(name, "diff" if text.lstrip().startswith(_PATCHES) else "text", text)


def _part(name: str, kind: Literal["text", "command", "diff"], text: str) -> Part:
    return Part(name=harmless(name), kind=kind, text=harmless(text))


def _difference(old: str, new: str) -> str:
    before, after = old.split("\n"), new.split("\n")
    whole = max(len(before), len(after))
    return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=whole))[3:]) or "(no difference)"
