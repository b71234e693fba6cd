"""A shell command read into what it would run. The parser is loaded by the first command; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from lockgate.policies.shell.model import HERE, PRIVATE, Script
from lockgate.policies.shell.heredocs import lift
from lockgate.policies.shell.powershell import is_powershell
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


def read(text: str, cwd: str = "", environment: Mapping[str, str] | None = None) -> Script:
    """What a shell that is given this text would run. `cwd` is the folder it starts in, where that is known."""
    names = tuple(sorted((environment or {}).items()))
    if len(text) <= MAX_TEXT:
        return _remembered(text, cwd, names)
    shorter, lifted = lift(_clean(text))
    work = _walked(shorter, cwd, names, lifted)
    if not lifted or work.taken != set(lifted):  # what was lifted was no heredoc
        work = _walked(text, cwd, names, {})
    return Script(text=text, commands=tuple(work.commands), unclear=tuple(work.unclear))


def _read(text: str, cwd: str, environment: tuple[tuple[str, str], ...]) -> Script:
    work = _walked(_clean(text), cwd, environment, {})
    return Script(text=text, commands=tuple(work.commands), unclear=tuple(work.unclear))


def _walked(text: str, cwd: str, environment: tuple[tuple[str, str], ...], lifted: Mapping[str, str]) -> Work:
    work = Work(parser(), lifted)
    _start(Walker(work, Scope(cwd=cwd or HERE, variables=dict(environment))), text)
    return work


def _start(walker: Walker, text: str) -> None:
    if is_powershell(text[:20_000]):
        walker.run(("powershell", "-Command", text))
    else:
        walker.script(text, Nothing)


_remembered = lru_cache(maxsize=128)(_read)
"""Several rules ask about the same call."""


def _clean(text: str) -> str:
    """The text without what it could not hold in a shell either, and without our own marks."""
    text = PRIVATE.sub("\ufffd", text.replace("\0", "").replace("\r\n", "\n"))
    return text.encode("utf-8", "replace").decode()
