"""How each agent wraps a shell command in a tool call: the one place that knows. Values only; nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, cast

from lockgate.errors import Error, WireError
from lockgate.events import ToolCall
from lockgate.policies import javascript
from lockgate.policies.javascript_tokens import ScriptError
from lockgate.policies.remembered import remembered
from lockgate.wire import document as json_document

SHELLS = frozenset({
    *("bash", "sh", "zsh", "shell", "shell_command", "shell_call", "local_shell", "local_shell_call", "exec"),
    *("exec_command", "unified_exec", "run_shell_command", "run_command", "run_terminal_cmd", "run_terminal_command"),
    *("run_in_terminal", "execute_command", "execute_bash", "execute_shell", "run_bash", "run_shell", "bash_command"),
    *("terminal", "powershell", "pwsh", "console"),
})  # fmt: skip
"""Tools that run a command, by the last part of their name in lower case: Claude Code's Bash, Codex's exec_command,
shell and local_shell, Gemini's and Qwen's run_shell_command, opencode's and Copilot's bash, and usual generic names."""

COMMAND_KEYS = ("command", "cmd", "commands", "script")
FOLDER_KEYS = ("workdir", "cwd", "working_directory", "directory", "dir_path")
_SHELL_WORDS = frozenset({"bash", "shell", "terminal", "exec", "execute", "command", "powershell", "ssh"})
"""A tool with such a word in its name and a command in its arguments runs it, whoever made the tool."""
_TYPING = {"write_stdin": "chars"}
"""Tools that type into a shell which is running."""
_FRESH: Mapping[str, tuple[str, bool]] = {
    "exec_command": ("cmd", False),
    "shell": ("command", True),
    "local_shell": ("command", True),
    "local_shell_call": ("command", True),
    "shell_call": ("commands", True),
}
"""The key of a tool's command, and whether it is a list, where its own arguments do not tell."""
_PROGRAM = "exec"
"""Codex's tool whose input is JavaScript."""
_INTERPRETERS = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "fish", "powershell", "pwsh", "powershell.exe"})
_SERVER = re.compile(r"__|[.:/]")
_SCRIPT_FLAG = re.compile(r"-[a-z]*c|-Command", re.IGNORECASE)


class Unreadable(Error):
    """A call cannot be read, though a rule needs to."""


def document_of(call: ToolCall) -> Mapping[str, Any]:
    """The call's arguments, which nobody changes; a custom tool's free text stands under `input`. Raises Unreadable."""
    if call.custom:
        return {"input": call.arguments}
    try:
        return _document(call.arguments)
    except WireError as error:
        raise Unreadable(f"the arguments of the tool {call.name!r} cannot be read: {error}") from error


@remembered(2_000_000)
def _document(arguments: str) -> Mapping[str, Any]:
    return json_document.loads_object(arguments) if arguments.strip() else {}


def runs_commands(call: ToolCall) -> bool:
    """Whether the call runs a shell command that `with_command` can replace."""
    if bare_name(call.name) in SHELLS:
        return True
    try:
        return not call.custom and _sounds_like_shell(call.name) and _command_key(document_of(call)) is not None
    except Unreadable:
        return False


def command_of(call: ToolCall) -> str | None:
    """The shell command that the call runs, several joined by line ends; None where the tool runs none.

    Raises Unreadable where the tool should run one that cannot be read.
    """
    name = bare_name(call.name)
    if call.custom:
        return _custom_command(call) if name in SHELLS else None
    if name in _TYPING:
        return _text(document_of(call).get(_TYPING[name], ""), call) or None
    if name not in SHELLS and not _sounds_like_shell(call.name):
        return None
    action = _action(document_of(call))
    keys = [key for key in COMMAND_KEYS if key in action]
    if len(keys) == 1:
        return _text(action[keys[0]], call, joined=keys[0] == "commands")
    if not keys and name not in SHELLS:
        return None
    raise Unreadable(f"the tool {call.name!r} is called with {len(keys) or 'no'} commands")


def folder_of(call: ToolCall) -> str:
    """The absolute folder that the call says its command starts in; "" where it says none."""
    if call.custom:
        return ""
    try:
        action = _action(document_of(call))
    except Unreadable:
        return ""
    folder = next((action[key] for key in FOLDER_KEYS if isinstance(action.get(key), str)), "")
    return folder if folder.startswith("/") else ""


def with_command(call: ToolCall, command: str) -> ToolCall:
    """The same call of the same tool, with another command. Raises Unreadable where the tool runs none."""
    if not runs_commands(call):
        raise Unreadable(f"the tool {call.name!r} runs no command that could be replaced")
    if call.custom:
        return replace(call, arguments=_custom_arguments(call, command))
    try:
        document = deepcopy(dict(document_of(call)))
    except Unreadable:
        document = dict[str, Any]()
    action = _action(document)
    key, listed = _command_key(action) or _FRESH.get(bare_name(call.name), ("command", False))
    for other in COMMAND_KEYS:
        action.pop(other, None) if other != key else None
    action[key] = _listed(action.get(key), command, several=key == "commands") if listed else command
    return replace(call, arguments=json_document.dumps(document).decode())


def script_of(command: str) -> str:
    """A script for Codex's `exec` that runs the command and shows what it says."""
    return f"text(await tools.exec_command({json_document.dumps({'cmd': command}).decode()}));\n"


def is_program(call: ToolCall) -> bool:
    """Whether the call's input is a script that reaches tools from inside."""
    return call.custom and bare_name(call.name) == _PROGRAM


def bare_name(name: str) -> str:
    """The tool's own name in lower case, without the server or namespace in front: mcp__box__Bash is bash."""
    return _SERVER.split(name)[-1].lower()


@remembered(100_000)
def _sounds_like_shell(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return not _SHELL_WORDS.isdisjoint(words)


def _action[Document: Mapping[str, Any]](document: Document) -> Document:
    """Where the command stands: `local_shell` may carry it one level down."""
    action = document.get("action")
    return cast(Document, action) if isinstance(action, dict) else document


def _command_key(document: Mapping[str, Any]) -> tuple[str, bool] | None:
    action = _action(document)
    key = next((key for key in COMMAND_KEYS if isinstance(action.get(key), str | list)), None)
    return None if key is None else (key, isinstance(action[key], list))


def _text(value: Any, call: ToolCall, *, joined: bool = False) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(word, str) for word in cast(list[Any], value)):
        words = cast(list[str], value)
        return "\n".join(words) if joined else _shell_text(words)
    raise Unreadable(f"the command of the tool {call.name!r} is neither a text nor a list of texts")


def _shell_text(words: list[str]) -> str:
    """The words as one would type them; of `bash -lc SCRIPT` the script."""
    if (at := _script_index(words)) is not None and at == len(words) - 1:
        return words[at]
    return shlex.join(words)


def _script_index(words: list[str]) -> int | None:
    """Where the script stands in a list such as ["bash", "-lc", SCRIPT]."""
    if not words or PurePosixPath(words[0]).name.lower() not in _INTERPRETERS:
        return None
    flags = [at for at, word in enumerate(words) if _SCRIPT_FLAG.fullmatch(word)]
    plain = flags and all(word.startswith("-") for word in words[1 : flags[0]])
    return flags[0] + 1 if plain and flags[0] + 1 < len(words) else None


def _listed(value: Any, command: str, *, several: bool) -> list[str]:
    if several:
        return [command]
    words = cast(list[str], value) if isinstance(value, list) and all(isinstance(w, str) for w in value) else []  # pyright: ignore[reportUnknownVariableType]
    at = _script_index(words)
    return [*words[:at], command] if at is not None else ["sh", "-c", command]


def _custom_command(call: ToolCall) -> str | None:
    if not is_program(call):
        return call.arguments
    found = [_shell_text(list(text.words)) if text.listed else text.words[0] for text in _commands_in(call)]
    return "\n".join(found) if found else None


def _commands_in(call: ToolCall) -> Sequence[javascript.CommandText]:
    try:
        return _commands_in_script(call.arguments)
    except ScriptError as error:
        raise Unreadable(f"the script of the tool {call.name!r} cannot be read: {error}") from error


@remembered(1_000_000)
def _commands_in_script(script: str) -> Sequence[javascript.CommandText]:
    return javascript.commands_in(script, _is_shell_tool, (*COMMAND_KEYS, *_TYPING.values()))


def _is_shell_tool(name: str) -> bool:
    return bare_name(name) in SHELLS or bare_name(name) in _TYPING or _sounds_like_shell(name)


def _custom_arguments(call: ToolCall, command: str) -> str:
    """The script with its one command replaced, or, where it has none or several, a new one."""
    if not is_program(call):
        return command
    try:
        found = _commands_in(call)
    except Unreadable:
        found = ()
    if len(found) != 1 or found[0].short or "write_stdin" in call.arguments:
        return script_of(command)
    value: Any = _listed(list(found[0].words), command, several=False) if found[0].listed else command
    return call.arguments[: found[0].start] + json_document.dumps(value).decode() + call.arguments[found[0].end :]
