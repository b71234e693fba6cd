"""Calls of other tools as the shell command that does the same, so that one set of rules judges both. Nothing is run.

Code that a tool runs, SQL that it sends, files that it deletes, and what it writes where programs start by themselves.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable, document_of
from lockgate.policies.patterns import encodable, finds
from lockgate.policies.writes import writes_of

MAX_CODE = 90_000
"""So much of a program is read."""
_RUNNING = frozenset({
    *("python", "ipython", "notebook", "jupyter", "code", "script", "evaluate", "javascript", "js", "node", "run"),
    *("execute", "interpreter", "repl"),
})  # fmt: skip
_JAVASCRIPT = frozenset({"javascript", "js", "node", "evaluate", "typescript"})
_CODE_KEYS = ("code", "script", "function", "new_source")
_SQL_WORDS = frozenset({
    *("sql", "postgres", "postgresql", "mysql", "mariadb", "sqlite", "database", "db", "supabase", "neon"),
    *("snowflake", "bigquery"),
})  # fmt: skip
_SQL_KEYS = ("sql", "query", "statement", "sql_query")
_CHANGES = r"(?i)\b(?:drop|truncate|delete|update|alter|grant|copy|insert|create|reassign)\b"
_DELETING = frozenset({"delete", "remove", "rm", "rmdir", "unlink"})
_FILES = frozenset({"file", "files", "directory", "dir", "folder", "path", "paths", "rm", "rmdir", "unlink"})
_PROGRAMS = frozenset({
    *("kubectl", "helm", "aws", "gcloud", "az", "terraform", "docker", "gh", "psql", "npm", "ansible", "oc", "argocd"),
})  # fmt: skip
"""Programs that tools are named for."""
_PATH_KEYS = ("path", "file_path", "filePath", "filepath", "target_file", "directory", "dir_path", "folder", "paths")
_STANDING = (
    r"(?i)(?:\.ssh/(?:authorized_keys\d?|rc)|^/etc/(?:cron|sudoers|rc\.local|init\.d|ld\.so\.preload|pam\.d|profile|udev)|^/var/spool/cron|"
    r"(?:^|/)\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv|bash_login|xprofile)$|/Library/Launch(?:Agents|Daemons)/|"
    r"/systemd/(?:system|user)/[^/]+\.(?:service|timer)$|(?:^|/)\.git/hooks/|\.config/(?:fish/config\.fish|autostart/)|"
    r"(?:site|user)customize\.py$|site-packages/[^/]+\.pth$|/start menu/programs/startup/)"
)
"""Where what is written runs by itself later."""


def equivalent(call: ToolCall) -> str | None:
    """The shell command that does what the call of another tool does; None where none is known that rules are about."""
    kinds = _kinds(call.name)
    try:
        document: Mapping[str, Any] = document_of(call) if kinds and not call.custom else {}
    except Unreadable:
        return None
    for kind in kinds:
        if (done := kind(call.name, document)) is not None:
            return done
    return _written(call)


def program(name: str, document: Mapping[str, Any]) -> str | None:
    """The program that the tool would run, as a shell command; None where it runs none."""
    words = words_in(name)
    key = next((key for key in _CODE_KEYS if isinstance(document.get(key), str)), None)
    if key is None or words.isdisjoint(_RUNNING):
        return None
    code = str(document[key])[:MAX_CODE]
    if key == "function" or not words.isdisjoint(_JAVASCRIPT):
        return f"node -e {shlex.quote(code)}"
    return _python(code)


@lru_cache(maxsize=1024)
def words_in(name: str) -> frozenset[str]:
    """The words of a tool's own name, without those of its server."""
    own = re.split(r"__|[.:/]", name)[-1]
    return frozenset(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", own).lower()))


@lru_cache(maxsize=1024)
def _kinds(name: str) -> tuple[Callable[[str, Mapping[str, Any]], str | None], ...]:
    """What a tool of this name may do."""
    own, every = words_in(name), words_in(re.sub(r"__|[.:/]", "_", name))
    kinds = [program] if own & _RUNNING else list[Callable[[str, Mapping[str, Any]], str | None]]()
    kinds += [_program_named] if own & _PROGRAMS else []
    kinds += [_queried] if every & _SQL_WORDS else []
    kinds += [_deleted] if own & _DELETING and own & _FILES else []
    return tuple(kinds)


def _program_named(name: str, document: Mapping[str, Any]) -> str | None:
    """`kubectl(command="delete ns prod")`: the program's name may stand before its words, or not."""
    given = next(
        (document[key] for key in ("command", "args", "arguments", "cli_command", "cmd") if document.get(key)), None
    )
    words = shlex.join(map(str, cast(list[Any], given))) if isinstance(given, list) else given
    if not isinstance(words, str):
        return None
    program = next(iter(sorted(words_in(name) & _PROGRAMS)))
    return words if words.lstrip().startswith(program) else f"{program} {words}"


def _queried(name: str, document: Mapping[str, Any]) -> str | None:
    text = _first(document, _SQL_KEYS)
    if text is None or not finds(_CHANGES, encodable(text[:MAX_CODE])):
        return None
    return f"psql -c {shlex.quote(text[:MAX_CODE])}"


def _deleted(name: str, document: Mapping[str, Any]) -> str | None:
    given: Any = next((document[key] for key in _PATH_KEYS if document.get(key)), None)
    listed = cast(list[Any], given) if isinstance(given, list) else [given]
    paths = [path for path in listed if isinstance(path, str)]
    if not paths:
        return None
    whole = words_in(name) & {"directory", "dir", "folder", "rmdir"} or document.get("recursive")
    files = not whole and all("." in path.rpartition("/")[2] for path in paths)
    return f"rm {'-f' if files else '-rf'} -- {shlex.join(paths[:100])}"


def _written(call: ToolCall) -> str | None:
    """What is written where programs start by themselves."""
    found = [write for write in writes_of(call) if finds(_STANDING, encodable(write.path[:4_000]))]
    lines = [
        f"printf %s {shlex.quote(one.text)} {'>' if one.old is None else '>>'} {_place(one.path)}" for one in found
    ]
    return "\n".join(lines) or None


def _place(path: str) -> str:
    return f"~{shlex.quote(path[1:])}" if path.startswith("~/") else shlex.quote(path)


def _first(document: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((document[key] for key in keys if isinstance(document.get(key), str)), None)


def _python(code: str) -> str:
    """A cell of a notebook may hold lines for a shell."""
    if "!" not in code and not code.startswith("%%"):
        return f"python3 -c {shlex.quote(code)}"
    if code.startswith(("%%bash", "%%sh")):
        return code.partition("\n")[2]
    lines = code.split("\n")
    shell = [line.lstrip()[1:] for line in lines if line.lstrip().startswith("!")]
    rest = "\n".join(line for line in lines if not line.lstrip().startswith(("!", "%")))
    return "\n".join([*shell, *([f"python3 -c {shlex.quote(rest)}"] if rest.strip() else [])])
