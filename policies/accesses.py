"""Which files a tool call reads and writes: by its tool's arguments, by its command, by its patch. Values only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, cast
from urllib.parse import unquote

from lockgate.events import ToolCall
from lockgate.policies.arguments import strings_of
from lockgate.policies.commands import bare_name, command_of, document_of, folder_of, is_program
from lockgate.policies.patches import is_patch, paths_in, paths_in_script
from lockgate.policies.remembered import remembered
from lockgate.policies.shell.model import HERE, SOME, UNSET, Command
from lockgate.policies.shell.paths import Place, place
from lockgate.policies.shell.read import read

type Way = Literal["read", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """That a call reads or writes a place; `whole` where it takes everything below."""

    place: Place
    way: Way
    by: str
    """The tool or command that does, for people."""
    whole: bool = False


PATH_KEYS = frozenset({
    *("path", "paths", "file_path", "filepath", "file"),
    *("files", "filename", "file_paths", "notebook_path", "absolute_path"),
    *("dir_path", "directory", "folder", "target", "target_file", "source", "destination", "src", "dst", "old_path"),
    *("new_path", "uri", "relative_path", "from", "to"),
    *("input_path", "output_path", "root", "target_path", "source_path"),
})  # fmt: skip
"""Arguments that name files, whatever the tool."""
_WRITING_WORDS = frozenset({
    *("write", "edit", "multiedit", "create", "delete", "remove", "move", "rename", "append", "save", "patch", "put"),
    *("replace", "insert", "update", "mkdir", "upload", "copy"),
    *("overwrite", "notebookedit", "apply", "set", "touch", "modify"),
})  # fmt: skip
_READING_COMMANDS = frozenset({"view", "read", "cat", "open", "list", "show", "get"})
"""Values of `command` with which an editor tool only looks."""


def accesses(call: ToolCall, workspace: str = "") -> Iterable[Access]:
    """Everything that the call reads and writes; what stands before a fault is told before it. Raises Unreadable."""
    try:
        return _all(call.name, call.arguments, call.custom, workspace)
    except Exception:
        return _accesses(call, workspace)  # raises it again, in its place


@remembered(1_000_000)
def _all(name: str, arguments: str, custom: bool, workspace: str) -> Sequence[Access]:
    return tuple(_accesses(ToolCall(block=0, id="", name=name, arguments=arguments, custom=custom), workspace))


def _accesses(call: ToolCall, workspace: str) -> Iterator[Access]:
    command = command_of(call)
    cwd = folder_of(call) or HERE
    if command is not None:
        for one in read(command, "" if cwd == HERE else cwd).commands:
            yield from of_command(one, workspace)
    if is_program(call):
        yield from (_access(path, "write", call.name, cwd, workspace) for path in paths_in_script(call.arguments))
        return
    if command is None or not call.custom:
        yield from _of_arguments(call, cwd, workspace)


def _access(path: str, way: Way, by: str, cwd: str, workspace: str, *, whole: bool = False) -> Access:
    if path[:1] in ("$", "%", "f", "F") and (found := _WRITTEN.match(path)):  # some tools expand what a shell would
        path = "~" + path[found.end() :] if found[1] else unquote(path[found.end() :])
    return Access(place=place(path, cwd, None, workspace), way=way, by=by, whole=whole)


_WRITTEN = re.compile(
    r"(?i)(\$HOME|\$\{HOME\}|%USERPROFILE%|%HOMEPATH%|\$env:(?:HOME|USERPROFILE))(?=[/\\]|$)|file:/{0,2}(?:localhost)?(?=/)"
)
"""The user's folder, and a file's URL."""


def _of_arguments(call: ToolCall, cwd: str, workspace: str) -> Iterator[Access]:
    document = document_of(call)
    way, name = _way(call.name, document), bare_name(call.name)
    for path in _named_paths(document):
        yield _access(path, way, call.name, cwd, workspace, whole=name in ("grep", "search", "glob", "search_files"))
    patching = call.custom or any(word in name for word in ("patch", "diff", "edit"))
    for text in strings_of(document) if patching else ():
        if is_patch(text):
            yield from (_access(path, "write", call.name, cwd, workspace) for path in paths_in(text))


def _way(name: str, document: Mapping[str, Any]) -> Way:
    command = document.get("command")
    if isinstance(command, str) and command in _READING_COMMANDS:
        return "read"
    words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    return "write" if words & _WRITING_WORDS else "read"


def _named_paths(value: Any, depth: int = 0) -> Iterator[str]:
    """The strings under keys that name files, also in lists and in parts of the document."""
    if depth > 6 or not isinstance(value, dict | list):
        return
    if isinstance(value, list):
        for part in cast(list[Any], value):
            yield from _named_paths(part, depth + 1)
        return
    for key, part in cast(dict[str, Any], value).items():
        if key.lower() in PATH_KEYS:
            parts = cast(list[Any], part) if isinstance(part, list) else [part]
            yield from (text for text in parts if isinstance(text, str) and text and len(text) < 4_096)
        yield from _named_paths(part, depth + 1)


# Commands.

_WRITERS = frozenset({
    *("rm", "unlink", "shred", "tee", "touch", "truncate"),
    *("chmod", "chown", "chgrp", "mkdir", "rmdir", "setfacl", "chattr"),
    *("sponge", "mknod", "remove-item", "set-content", "out-file", "rimraf"),
})  # fmt: skip
_COPIERS = frozenset({"cp", "mv", "install", "ln", "rsync", "scp", "copy-item", "move-item", "ditto"})
_BLIND = frozenset({
    *("echo", "printf", "ls", "test", "[", "[[", "stat"),
    *("cd", "pushd", "ssh", "ssh-add", "ssh-keygen", "ssh-copy-id", "du", "df"),
    *("which", "export", "man", "basename", "dirname", "realpath"),
    *("readlink", "gh", "npm", "yarn", "pnpm", "make", "docker"),
    *("kubectl", "git", "true", "false", ":", "read", "set"),
    *("unset", "kill", "sleep", "tree", "type", "alias", "sudo", "env"),
    *("nohup", "time", "timeout", "xargs", "eval", "find", "fd"),
    *("command", "exec", "sh", "bash", "zsh", "trap", "wait", "watch"),
    *("nice", "busybox", "nslookup", "dig", "host", "ping", "pip"),
    *("doctl", "eksctl", "kind", "k3d", "minikube", "linode-cli", "hcloud", "scw"),
    *("uv", "cargo", "go", "pytest", "date", "file", "id", "ps"),
})  # fmt: skip
"""Programs whose arguments are no files that they read, or that only look at names."""
_PATTERN_FIRST = frozenset(
    {"grep", "egrep", "fgrep", "rg", "ag", "sed", "gsed", "awk", "gawk", "perl", "jq", "yq", "zgrep"}
)
_WHOLE = frozenset({"tar", "zip", "rsync", "scp", "7z", "cpio", "ditto"})


def of_command(command: Command, workspace: str = "") -> Iterator[Access]:
    """What one command reads and writes by its redirections and arguments."""
    if command.inside:
        return
    by = command.name or "a redirection"
    folder = next((b for a, b in pairwise(command.args) if a in ("-C", "--directory")), "") if by == "tar" else ""
    cwd = place(folder, command.cwd, command.links).text if folder else command.cwd

    def access(path: str, way: Way, *, whole: bool = False) -> Access:
        return Access(place=place(path, cwd, command.links, workspace), way=way, by=by, whole=whole)

    for redirect in command.redirects:
        if redirect.target:
            yield access(redirect.target, "read" if redirect.kind == "read" else "write")
    yield from _of_program(command, access)


def _of_program(command: Command, access: Callable[..., Access]) -> Iterator[Access]:
    """By what its program does with them; `access(path, way, whole=…)` is one of the command's."""
    paths = [path for arg in _operands(command) for path in _path_of(arg)]
    recursive = any(re.fullmatch(r"-[a-zA-Z]*[rRa][a-zA-Z]*|--recursive|--archive", arg) for arg in command.args)
    whole = command.name in _WHOLE or recursive
    name = command.name
    if name == "chmod" and any(_CLOSING.fullmatch(arg) for arg in command.args):
        return
    if _hooks_up(command, paths):
        yield from (access(path, "read") for path in paths[:-1])
        return
    if name in _WRITERS:
        yield from (access(path, "write", whole=whole) for path in paths)
    elif name in _COPIERS and len(paths) > 1:
        yield from (
            access(path, "write" if name in ("mv", "move-item") else "read", whole=whole) for path in paths[:-1]
        )
        yield access(paths[-1], "write")
    elif name in ("sed", "gsed", "perl") and any(re.match(r"-\w*i|--in-place", arg) for arg in command.args):
        yield from (access(path, "write") for path in paths)
    elif name == "dd":
        for arg in command.args:
            if arg.startswith(("if=", "of=")):
                yield access(arg[3:], "read" if arg.startswith("if=") else "write")
    elif name in ("apply_patch", "patch") or (name == "git" and command.args[:1] in (("apply",), ("am",))):
        texts = [command.stdin or "", *command.args]
        yield from (access(path, "write") for text in texts if is_patch(text) for path in paths_in(text))
    elif name == "git" and command.args[:1] in (("rm",), ("mv",)) and "--cached" not in command.args:
        targets = paths[1:] if command.args[0] == "rm" else paths[1:2]
        yield from (replace(access(path, "write", whole=True), by="git rm") for path in targets)
    elif name == "git" and command.args[:1] in (("add",), ("show",), ("diff",), ("log",)):
        return
    elif name not in _BLIND:
        yield from (access(path, "read", whole=whole) for path in paths)
        yield from (access(path, "write") for path in _outputs(command))


def _hooks_up(command: Command, paths: Sequence[str]) -> bool:
    """Whether a hook that the project brings is put in its place, as teams set theirs up, or let run there."""
    target = paths[-1] if paths else ""
    if not _HOOK.fullmatch(target):
        return False
    if command.name == "chmod":
        return command.args[:1] == ("+x",) or command.args[:1] == ("755",)
    sources = [re.sub(r"^(?:\.\./){2}(?=[\w.])", "", path) if command.name == "ln" else path for path in paths[:-1]]
    return command.name in ("ln", "cp", "install") and bool(sources) and all(map(_of_project, sources))


def _of_project(path: str) -> bool:
    """Whether the path stands in a folder of the project, and in no hidden or temporary one."""
    found = place(path)
    return (
        found.anchor == HERE
        and not found.outside
        and not any(
            part.lower() in ("tmp", "temp") or (part.startswith(".") and part not in (".githooks", ".hooks", ".github"))
            for part in found.parts
        )
        and not any(mark in path for mark in (SOME, UNSET))
    )


_HOOK = re.compile(r"(?:\./)?\.git/hooks/(?:[a-z-]+)?")
_CLOSING = re.compile(r"0?[4-7]00|(?:[go]+|a)(?:-[rwx]+|=)|u[+=][rwxX]+|u=[rwX]+,go=|[go]+-[rwx]+,u[+=][rwxX]+")
"""A mode that takes rights away from others."""
_LEFT_OUT = re.compile(r"--(?:exclude|include|filter|exclude-from|exclude-dir)")
"""Options of copiers and archivers that name what is not taken, or only a pattern."""


_VALUED = {
    "tar": ("-C", "--directory"),
    **dict.fromkeys(("scp", "rsync"), ("-i", "-e", "-F", "-P", "-o", "-J", "-l", "--rsh", "--port")),
}
"""Options with a value that is not copied: what to sign in with, how to get there."""


def _without_choice(command: Command) -> Sequence[str]:
    """The arguments without those that choose among what is copied, and without tar's own folder."""
    kept, skip, valued = list[str](), False, _VALUED.get(command.name, ())
    for arg in command.args:
        if not skip and not _LEFT_OUT.match(arg) and arg not in valued:
            kept.append(arg)
        else:
            skip = not skip and "=" not in arg
    return kept


def _operands(command: Command) -> Sequence[str]:
    args = command.args if command.name not in _WHOLE else _without_choice(command)
    args = [arg for arg in args if not arg.startswith("-") or "=" in arg or "@" in arg]
    with_pattern = command.name in _PATTERN_FIRST and not any(arg in ("-e", "-f", "--regexp") for arg in command.args)
    return args[1:] if with_pattern else args


def _path_of(arg: str) -> Iterator[str]:
    """The path in an argument: also behind `@`, `name=` and `file://`."""
    if len(arg) > 4_096 or "\n" in arg:
        return
    if "@" in arg and (found := re.search(r"@([~/.\w][^;,]*)", arg)) and (arg.startswith("@") or "=@" in arg):
        yield found[1]
    elif arg.startswith("-") or re.match(r"[\w-]+=", arg):
        yield arg.partition("=")[2]
    elif "://" not in arg or arg.startswith("file://"):
        yield arg.removeprefix("file://")


def _outputs(command: Command) -> Iterator[str]:
    """Files that a command is told to write by an option."""
    args = command.args
    for at, arg in enumerate(args[:-1]):
        if arg in ("-o", "--output", "-O", "--output-document", "-out", "--out", "--outfile"):
            yield args[at + 1]
