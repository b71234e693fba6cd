"""A shell command read into what it would run. The parser is loaded by the first command; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from lockgate.policies.remembered import remembered
from lockgate.policies.shell.cmd import cmd_as_shell
from lockgate.policies.shell.heredocs import lift
from lockgate.policies.shell.model import HERE, PRIVATE, Script
from lockgate.policies.shell.powershell import is_powershell, is_windows
from lockgate.policies.shell.scope import Scope
from lockgate.policies.shell.walk import Walker
from lockgate.policies.shell.work import MAX_TEXT, Nothing, Work


@cache
def parser() -> Any:
    """The parser of bash's grammar, made once."""
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    language: object = tree_sitter_bash.language()
    return Parser(Language(language))


def read(
    text: str,
    cwd: str = "",
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str | None] | None = None,
) -> Script:
    """What a shell that is given this text would run.

    `cwd` is the folder it starts in, where that is known; `files` is what is known of files, by their place.
    """
    scope = Scope(cwd=cwd or HERE, variables=dict(environment or {}), files=dict(files or {}))
    if len(text) > MAX_TEXT:
        return _long(text, scope)
    return _read(text, scope) if files or environment else _remembered(text, cwd)


def _long(text: str, scope: Scope) -> Script:
    shorter, lifted = lift(_clean(text))
    work, own = Work(parser(), lifted), replace(scope.copy(), files=dict(scope.files))
    _start(Walker(work, own), shorter)
    if not lifted or work.taken != set(lifted):  # what was lifted was no heredoc
        return _read(text, scope)
    return _script(text, work, own)


def _read(text: str, scope: Scope) -> Script:
    work = Work(parser())
    _start(Walker(work, scope), _clean(text))
    return _script(text, work, scope)


def _script(text: str, work: Work, scope: Scope) -> Script:
    written = {path: content for path, content in scope.files.items() if not path.startswith("/dev/")}
    return Script(text=text, commands=tuple(work.commands), unclear=tuple(work.unclear), files=written)


def _start(walker: Walker, text: str) -> None:
    if is_powershell(text[:20_000]):
        walker.run(("powershell", "-Command", text))
    elif is_windows(text[:20_000]):
        walker.script(cmd_as_shell(text), Nothing)
    else:
        walker.script(text, Nothing)


@remembered(2_000_000)
def _remembered(text: str, cwd: str) -> Script:
    return _read(text, Scope(cwd=cwd or HERE))


def _clean(text: str) -> str:
    """The text without what it could not hold in a shell either, and without our own marks."""
    text = PRIVATE.sub("\ufffd", text.replace("\0", "").replace("\r\n", "\n"))
    return text.encode("utf-8", "replace").decode()
