"""How a model of each client asks for a shell command, read from the tools that the client declared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.upstream.received import Tool
from tests.upstream.script import Call, ShellCall

SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "local_shell", "run_shell_command", "exec")


def shell_call(wanted: ShellCall, tools: Sequence[Tool]) -> Call:
    """The call that runs the command in this client; a made-up `Bash` for a client without tools."""
    by_name = {tool.name: tool for tool in tools}
    tool = next((by_name[name] for name in SHELLS if name in by_name), None)
    if tool is None:
        return Call("Bash", _bash(wanted.command), wanted.id)
    if tool.custom:  # a program that reaches the tools from inside, as newer Codex models write it
        arguments = json.dumps({"cmd": wanted.command})
        return Call(tool.name, f"text(await tools.exec_command({arguments}));\n", wanted.id, custom=True)
    return Call(tool.name, _arguments(wanted.command, tool.schema.get("properties", {})), wanted.id)


def _arguments(command: str, properties: dict[str, Any]) -> dict[str, Any]:
    if "cmd" in properties:
        return {"cmd": command}
    if properties.get("command", {}).get("type") == "array":
        return {"command": ["bash", "-lc", command]}
    return _bash(command) if "description" in properties else {"command": command}


def _bash(command: str) -> dict[str, Any]:
    return {"command": command, "description": "Run the command that was asked for"}
