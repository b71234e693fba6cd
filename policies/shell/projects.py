"""What `make`, `just` and a package's scripts run, where the same session has written their files. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import Command
from lockgate.policies.shell.paths import place

type Files = Mapping[str, str | None]
_TARGET = re.compile(r"@?([A-Za-z0-9_./%$(){} -]+)")
_SET = re.compile(r"(?m)^(?:export\s+)?([A-Za-z_]\w*)\s*(?::|\?|::)?=\s*([^\n]*)$")
_USE = re.compile(r"\$[({](\w+)[)}]")
_LIFE = {
    "npm": ("install", "i", "ci", "test", "start", "publish", "pack"),
    "yarn": ("install", "test", "start"),
    "pnpm": ("install", "test", "start"),
}
_MAX = 60
"""So many recipes of one call are followed."""


def recipes(command: Command, files: Files) -> Iterator[Inner]:
    """The scripts that the command runs out of its project's file."""
    name = command.name
    if name in ("make", "gmake", "just"):
        yield from _made(command, files)
    elif name in ("npm", "pnpm", "yarn", "bun"):
        yield from _scripts(command, files)
    elif name in ("pytest", "py.test", "tox", "pip", "pip3") and (code := _imported(command, files)) is not None:
        yield Inner(via=name, script=code, language="python", reads_input=False)


def _imported(command: Command, files: Files) -> str | None:
    """The project's Python that the command starts with: `conftest.py`, or what sets the project up."""
    if command.name.startswith("pip"):
        folder = next((arg for arg in command.args if arg == "." or arg.startswith(("./", "../", "/"))), "")
        return _file(command, files, ("setup.py",), folder) if folder and command.args[:1] == ("install",) else None
    return _file(command, files, ("conftest.py", "tests/conftest.py"), "")


def _file(command: Command, files: Files, names: tuple[str, ...], folder: str) -> str | None:
    for name in names:
        path = f"{folder}/{name}" if folder and not name.startswith("/") else name
        if (text := files.get(place(path, command.cwd).text)) is not None:
            return text
    return None


def _option(command: Command, *options: str) -> str:
    args = list(command.args)
    return next((args[at + 1] for at, arg in enumerate(args[:-1]) if arg in options), "")


def _made(command: Command, files: Files) -> Iterator[Inner]:
    own = _option(command, "-f", "--file", "--makefile", "--justfile")
    just = command.name == "just"
    names = (own,) if own else ("justfile", "Justfile") if just else ("Makefile", "makefile", "GNUmakefile")
    text = command.stdin if own == "-" else _file(command, files, names, _option(command, "-C", "--directory"))
    if text is None:
        return
    values = dict(_SET.findall(text)) | dict(arg.split("=", 1) for arg in command.args if "=" in arg and arg[0] != "-")
    rules = _rules(text, just=just)
    wanted = [arg for arg in command.args if arg in rules] or list(rules)[:1]
    seen: list[str] = []
    while wanted and len(seen) < _MAX:
        name = wanted.pop()
        if name in rules and name not in seen:
            seen.append(name)
            wanted += rules[name][0]
            yield Inner(via=f"{command.name} {name}", script=_recipe(rules[name][1], values), reads_input=False)


def _rules(text: str, *, just: bool) -> dict[str, tuple[list[str], str]]:
    """The targets, each with what it needs first, and its recipe. A recipe of `just` may have parameters."""
    rules: dict[str, tuple[list[str], str]] = {}
    names: list[str] = []
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            for name in names:
                rules[name] = (rules[name][0], f"{rules[name][1]}{line}\n")
            continue
        head, colon, needs = line.partition(":")
        head = head.split(" ")[0] if just else head.strip()
        target = _TARGET.fullmatch(head) if colon and not needs.startswith("=") else None
        if not line.strip() or line.startswith("#"):
            continue
        names = [name for name in target[1].split() if not name.startswith(".")] if target else []
        for name in names:
            rules[name] = (
                needs.partition("#")[0].partition(";")[0].lstrip(":").split(),
                needs.partition(";")[2] + "\n",
            )
    return rules


def _of_environment(found: re.Match[str]) -> str:
    """`$(HOME)` is the environment's, where the file sets none of its own."""
    return f"${{{found[1]}}}" if found[1] in ("HOME", "USER", "PWD", "TMPDIR") else found[0]


def _recipe(text: str, values: Mapping[str, str]) -> str:
    lines = [re.sub(r"^[@+-]+", "", line.strip()) for line in text.split("\n")]
    script = "\n".join(lines)
    for _ in range(4):
        script = _USE.sub(lambda found: values.get(found[1], _of_environment(found)), script)
    return script.replace("$$", "$")


def scripts_in(text: str) -> Mapping[str, Any]:
    """The scripts of a package.json; of a part of one, as an edit has it, all that could be one."""
    try:
        document: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        part = text.partition('"scripts"')[2] or text
        found = {name: script.replace('\\"', '"') for name, script in _PAIR.findall(part)}
        return {
            name: script for name, script in found.items() if name not in _NO_SCRIPTS and not _VERSION.match(script)
        }
    scripts: Any = cast(dict[str, Any], document).get("scripts") if isinstance(document, dict) else None
    return cast(dict[str, Any], scripts) if isinstance(scripts, dict) else {}


_NO_SCRIPTS = frozenset({
    *("name", "version", "description", "author", "license", "homepage", "repository", "bugs", "url", "email", "type"),
    *("main", "module", "types", "typings", "browser", "packageManager", "directory", "access", "registry", "engines"),
    *("node", "npm", "import", "require", "default", "title", "displayName", "publisher", "icon"),
})  # fmt: skip
_VERSION = re.compile(r"[~^<>=v]*\d[\w.*-]*(?:\s|$)|(?:workspace|npm|file|link):|latest$|\*$")
_PAIR = re.compile(r'"([\w:.-]{1,60})"\s*:\s*"((?:[^"\\]|\\.){1,2000})"')


def _scripts(command: Command, files: Files) -> Iterator[Inner]:
    text = _file(command, files, ("package.json",), _option(command, "--prefix", "-C", "--dir", "--cwd"))
    scripts = scripts_in(text or "")
    words = [arg for arg in command.args if not arg.startswith("-")]
    name = words[1] if words[:1] in (["run"], ["run-script"]) and len(words) > 1 else words[0] if words else "install"
    if words[:1] not in (["run"], ["run-script"]) and name in ("i", "ci", "add"):
        name = "install"
    for key in (f"pre{name}", name, f"post{name}"):
        if isinstance(script := scripts.get(key), str):
            yield Inner(via=f"{command.name} {key}", script=script, reads_input=False)
