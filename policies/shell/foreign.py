"""Programs in whose own language a command may stand: editors, debuggers, macro processors, Lisps. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import Command

_CALLS = re.compile(
    r"(?:\b(?:system|shell-command|call-process-shell-command|callCommand|callProcess|syscmd|esyscmd|shellescape|run-program|spawn|"
    r"exec|shell|system!)|(?:^|\s)\.(?:shell|system)|COMMAND|(?:^|\s)!)[\s(]*(\"[^\"]{1,2000}\"|'[^']{1,2000}'|[^\s\"')(;][^\"')(;\n]{0,2000})"
)
_DELETES = re.compile(
    r"\b(?:file\s+delete|delete-directory|delete-file|removeDirectoryRecursive|removePathForcibly|removeItem\(atPath:|os\.Remove(?:All)?|fs::remove_\w+|rm-rf|delete)"
    r"(?:\s+-force)?(?:\s+--)?[\s(]*(?:\"([^\"]{1,500})\"|'([^']{1,500})'|([/~][^\s\"');,]{0,500}))"
)
_STARTS = re.compile(r"\bexec\.Command(?:Context)?\(([^()\n]{1,500})\)")
_LOOKS = 20_000
_MAX = 20


def foreign(command: Command) -> Iterator[Inner]:
    """What its arguments and its input tell it to start or to delete."""
    for text in (*command.args, command.stdin or ""):
        if len(text) > 3:
            yield from _in(text[:_LOOKS], command.name)


def _in(text: str, name: str) -> Iterator[Inner]:
    for _, found in zip(range(_MAX), _CALLS.finditer(text), strict=False):
        yield Inner(via=name, script=found[1].strip("\"'"), reads_input=False)
    for _, found in zip(range(_MAX), _STARTS.finditer(text), strict=False):
        yield Inner(via=name, words=tuple(re.findall(r"\"([^\"]*)\"", found[1])), reads_input=False)
    for _, found in zip(range(_MAX), _DELETES.finditer(text), strict=False):
        yield Inner(via=name, words=("rm", "-r", found[1] or found[2] or found[3]), reads_input=False)


_RUNS_ITS_OPTION = {
    "man": ("-P", "--pager", "-H", "--html"),
    "split": ("--filter",),
    "dpkg": ("--pre-invoke", "--post-invoke"),
    "xterm": ("-e",),
    "gcc": ("-wrapper",),
    "repo": ("-c",),
    "west": ("-c",),
    "git": ("--open-files-in-pager", "--upload-pack", "--receive-pack", "--extcmd", "-x"),
}


def by_option(command: Command) -> Iterator[Inner]:
    """What one of its options tells it to start."""
    for at, arg in enumerate(command.args):
        for option in _RUNS_ITS_OPTION.get(command.name, ()):
            if arg == option and at + 1 < len(command.args):
                given = command.args[at + 1]
                words = given.split(",") if option == "-wrapper" else ()
                yield Inner(via=command.name, words=words, script=None if words else given)
            elif option.startswith("--") and arg.startswith(f"{option}="):
                yield Inner(via=command.name, script=arg[len(option) + 1 :].rstrip("# "))
        if command.name in ("make", "gmake") and arg.startswith(("SHELL=", "CC=", "CXX=", "AR=")) and " " in arg:
            yield Inner(via="make", script=arg.partition("=")[2])
        if arg.startswith("ext::"):
            yield Inner(via="git ext", script=arg[5:])


_STARTED = frozenset({
    *("PAGER", "GIT_PAGER", "MANPAGER", "GIT_SSH_COMMAND", "GIT_SSH", "GIT_EDITOR", "GIT_EXTERNAL_DIFF", "GIT_ASKPASS"),
    *("EDITOR", "VISUAL", "BROWSER", "PROMPT_COMMAND", "LESSOPEN", "LESSCLOSE", "SUDO_ASKPASS", "SSH_ASKPASS"),
    "RUSTC_WRAPPER",
})  # fmt: skip
"""Variables that hold a command."""


def by_variable(command: Command) -> Iterator[Inner]:
    """What variables that are set for it alone have it start."""
    for name, value in command.assignments.items():
        if name in _STARTED and command.words[:1] != ("export",):
            yield Inner(via=name, script=value)
        elif name in ("BASH_ENV", "ENV"):
            yield Inner(via=name, words=(".", value))
        elif value.startswith("() {"):
            yield Inner(via=name, script=value.partition("}")[2].lstrip("; "))
        elif name in ("PS1", "PS4") and ("$(" in value or "`" in value):
            yield Inner(via=name, script=f'echo "{value}"')


def completion(command: Command) -> Iterator[Inner]:
    """Bash's own ways to have a command run at a key, or as words are completed."""
    for at, arg in enumerate(command.args[:-1]):
        if arg == "-C" and command.name in ("compgen", "complete"):
            yield Inner(via=command.name, script=command.args[at + 1])
        elif arg == "-x" and command.name == "bind":
            yield Inner(via=command.name, script=command.args[at + 1].partition(":")[2].strip("\"' "))
