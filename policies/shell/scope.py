"""What a script has said so far: variables, functions, aliases, files. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.policies.shell.model import HERE, Command, unset

ENVIRONMENT: Mapping[str, str] = {
    **dict.fromkeys(("PWD", "GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE", "PROJECT_ROOT", "REPO_ROOT"), HERE),
    **dict.fromkeys(("CLAUDE_PROJECT_DIR", "BUILD_WORKSPACE_DIRECTORY", "SRCROOT", "INIT_CWD"), HERE),
    **dict.fromkeys(("TMPDIR", "TMP", "TEMP", "TEMPDIR"), "/tmp"),
    "RUNNER_TEMP": "/tmp/runner",
    "HOME": "~",
    "IFS": " \t\n",
    "XDG_CACHE_HOME": "~/.cache",
    "XDG_CONFIG_HOME": "~/.config",
    "XDG_DATA_HOME": "~/.local/share",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "VIRTUAL_ENV": f"{HERE}/.venv",
    "CARGO_TARGET_DIR": f"{HERE}/target",
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "BASH": "/bin/bash",
    "0": "bash",
    "EDITOR": "vi",
}
"""Variables whose meaning is the same almost everywhere."""


@dataclass(slots=True, kw_only=True)
class Scope:
    """What names mean at one place of a script."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    positional: Sequence[str] | None = None
    """`$1` and so on; None where nobody gave any."""
    functions: dict[str, Any] = field(default_factory=dict[str, Any])
    """Their bodies, as the parser's nodes, with the text they stand in."""
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """What the script has written; None where the content is unknown."""
    origins: dict[str, Sequence[Command]] = field(default_factory=dict[str, Sequence[Command]])
    """The commands that such a file, or a variable as `$NAME`, got its content from."""
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str = HERE

    def copy(self) -> Scope:
        """The same, for a subshell: what it changes stays there."""
        return replace(
            self,
            variables=dict(self.variables),
            functions=dict(self.functions),
            aliases=dict(self.aliases),
        )

    def lookup(self, name: str) -> str | None:
        """A variable's text; None where nothing is known of it."""
        if (value := self.variables.get(name)) is not None:
            return value
        return self.cwd if name == "PWD" else ENVIRONMENT.get(name)

    def value(self, name: str) -> str:
        """A variable's text, with a mark where it is unknown."""
        value = self.lookup(name)
        return unset(name) if value is None else value
