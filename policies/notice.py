"""What a person and a model read about a blocked call, and the command that tells it. Nothing here decides."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any, cast

from lockgate.events import ToolCall
from lockgate.policies import commands
from lockgate.wire import document as json_document

VALUE_CHARS = 1_000
"""More of an argument than this helps nobody to recognise the call."""
VALUES = 12
DEPTH = 4
NOTICE_CHARS = 24_000
"""A command of 128 KiB is too long for Linux, and quoting may make a text five times longer."""

_HARMFUL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Characters that steer a terminal, hide or turn text round, or cannot be encoded."""
_AS_SENT = frozenset({"run_in_background", "is_background", "background", "tty", "interactive"})
_RAISED = frozenset({"with_escalated_permissions", "dangerouslyDisableSandbox", "sandbox_permissions", "justification"})


def notice(rule: str, sentence: str, call: ToolCall | None) -> str:
    """That this rule of Lockgate blocked the call, what the call was, and why in the policy's words."""
    if call is None:
        return harmless(f"Blocked by the Lockgate rule {_cut(rule)}: {sentence}")
    lines = [f"Blocked by the Lockgate rule {_cut(rule)}: this call of the tool {_cut(call.name)} did not run.", ""]
    lines += [f"    {line}" for shown in _arguments(call) for line in shown.split("\n")]
    return harmless("\n".join([*lines, "", sentence] if len(lines) > 2 else [*lines, sentence]))


def explained(call: ToolCall, text: str) -> ToolCall:
    """The call, its id and shape kept, with a command that prints the text on standard error and exits with 1.

    Raises Unreadable for a tool that runs no command.
    """
    command = f"printf '%s\\n' {shlex.quote(_cut(harmless(text), NOTICE_CHARS))} >&2; exit 1"
    if commands.is_program(call):
        return replace(call, arguments=commands.script_of(command))  # nothing else of the script may run
    return _in_front(commands.with_command(call, command))


def harmless(text: str) -> str:
    """The text without characters that steer a terminal or hide; each is shown by its picture or its number."""
    return _HARMFUL.sub(_picture, text.replace("\r\n", "\n"))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"


def _in_front(call: ToolCall) -> ToolCall:
    """The call as one whose result the agent waits for, and that asks for no more rights than usual."""
    if call.custom:
        return call
    document = commands.document_of(call)
    plain: dict[str, Any] = {
        key: False if value is True and key in _AS_SENT else value
        for key, value in document.items()
        if key not in _RAISED
    }
    return call if plain == document else replace(call, arguments=json_document.dumps(plain).decode())


def _arguments(call: ToolCall) -> list[str]:
    """The command as one would type it, then the other arguments, a line or paragraph each."""
    try:
        command = commands.command_of(call)
        document = commands.document_of(call)
    except commands.Unreadable:
        return [_cut(call.arguments)]
    if call.custom:
        return [_typed(command) if command is not None else _cut(call.arguments)]
    shown = [] if command is None else [_typed(command)]
    hidden = () if command is None else commands.COMMAND_KEYS
    rest = [
        _joined(f"{_cut(key)}:", _cut(_plain(value)))
        for key, value in document.items()
        if key not in hidden and value != ""
    ]
    more = [f"… and {len(rest) - VALUES} more arguments"] if len(rest) > VALUES else []
    return [*shown, *rest[:VALUES], *more]


def _typed(command: str) -> str:
    return "$ " + _cut(command).replace("\n", "\n  ")


def _plain(value: Any, depth: int = 0) -> str:
    """A value without JSON's quotes and escapes: what has parts as indented lines."""
    match value:
        case str():
            return value.replace("\n", "\n  ")
        case dict() if value and depth < DEPTH:
            parts = cast(dict[str, Any], value).items()
            return "".join(_indented(_joined(f"{key}:", _plain(part, depth + 1))) for key, part in parts)
        case list() if value and depth < DEPTH:
            return "".join(_indented(_joined("-", _plain(part, depth + 1))) for part in cast(list[Any], value))
        case _:
            return json_document.dumps(value).decode()


def _joined(head: str, rest: str) -> str:
    return head + rest if rest.startswith("\n") else f"{head} {rest}"


def _indented(text: str) -> str:
    return "\n  " + text.replace("\n", "\n  ")


def _cut(text: str, limit: int = VALUE_CHARS) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"
