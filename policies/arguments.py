"""The strings in a tool call's arguments: found by a path, read as the tool reads them. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from lockgate.events import ToolCall
from lockgate.policies.commands import command_of, document_of
from lockgate.wire import document as json_document


def values_at(call: ToolCall, path: str) -> Iterable[str]:
    """The values at a dotted path: `*` is any key or place, `**` any string below, `command` the shell command.

    Numbers and other values count as their JSON text where a path names them. Raises Unreadable.
    """
    if path == "command" and (command := command_of(call)) is not None:
        return (command,)
    document = document_of(call)
    if path == "**":
        return (*strings_of(document), *_command(call))
    return _values(document, path.split("."))


def texts_of(call: ToolCall) -> Iterable[str]:
    """Everything in the call that can be looked for: its name, every string, its command. Raises Unreadable."""
    return (call.name, *values_at(call, "**"))


def strings_of(value: Any) -> Iterable[str]:
    """Every string in a document, in order; keys are none."""
    if isinstance(value, str):
        yield value
    for part in _parts(value):
        yield from strings_of(part)


def _command(call: ToolCall) -> tuple[str, ...]:
    """The command once more, as lists of words and scripts hide how it is typed."""
    command = command_of(call)
    return () if command is None else (command,)


def _values(value: Any, path: Sequence[str]) -> Iterable[str]:
    if not path:
        if value is not None:
            yield value if isinstance(value, str) else json_document.dumps(value).decode()
    elif path == ["**"]:
        yield from strings_of(value)
    elif path[0] == "**":
        yield from _values(value, path[1:])
        for part in _parts(value):
            yield from _values(part, path)
    elif path[0] == "*":
        for part in _parts(value):
            yield from _values(part, path[1:])
    else:
        for part in _named(value, path[0]):
            yield from _values(part, path[1:])


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast(dict[str, Any], value).values()
    return cast(list[Any], value) if isinstance(value, list) else ()


def _named(value: Any, name: str) -> Iterable[Any]:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value)
        return (items[name],) if name in items else ()
    if isinstance(value, list) and name.isdecimal():
        return cast(list[Any], value)[int(name) : int(name) + 1]
    return ()
