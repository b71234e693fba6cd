"""The tokens of a one-liner in JavaScript, Perl, Ruby, PHP and the like. Texts in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lockgate.policies.shell.model import unset
from lockgate.policies.shell.programs import Doings
from lockgate.policies.shell.scope import ENVIRONMENT

MAX_TOKENS = 60_000


class Token(NamedTuple):
    kind: str
    """name, string, command (in backquotes), number or mark."""
    value: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*[^*]*\*/)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<command>`(?:[^`\\]|\\.)*`|(?:qx|%x)(?:\{[^}]*\}|\([^)]*\)|/[^/]*/|\|[^|]*\|))
    |(?P<quoted>(?:%q|%Q|qq|q)(?:\{[^}]*\}|\([^)]*\)|/[^/]*/))
    |(?P<list>(?:%w|qw)(?:\{[^}]*\}|\([^)]*\)|\[[^\]]*\]))
    |(?P<name>(?:Bun\.)?\$(?=`)|[$@]?[A-Za-z_][\w]*(?:(?:\.|::|->|\?\.)[A-Za-z_]\w*)*[!?]?)
    |(?P<number>\d[\w.]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)


_REQUIRED = re.compile(r"""\b(?:await\s+)?(?:require|import)\(\s*(['"])(?:node:)?([\w/]+)\1\s*\)""")
_HOMES = re.compile(
    r"""\$\{(?:process\.env\.HOME|os\.homedir\(\))\}|\$ENV\{['"]?HOME['"]?\}|#\{(?:Dir\.home|ENV\[['"]HOME['"]\])\}"""
)
_VARIABLE = re.compile(
    r"""process\.env\.(\w+)|process\.env\[['"](\w+)['"]\]|Deno\.env\.get\(['"](\w+)['"]\)|ENV(?:\.fetch\(|\[)['"](\w+)['"][)\]]|\$ENV\{['"]?(\w+)['"]?\}|getenv\(['"](\w+)['"]\)|"""
    r"""os\.getenv\(['"](\w+)['"]\)"""
)


_BARE_HOME = re.compile(r"""([(,=]\s*)\$ENV\{['"]?HOME['"]?\}(?=\s*[),;])""")


_GLOB = re.compile(r"<([~/][^<>\n]{0,200})>")
"""What Perl reads as the files that fit."""


def plain(text: str, language: str) -> str:
    """The program with modules by their names and variables of the environment as texts."""
    if language == "javascript":
        text = _REQUIRED.sub(lambda m: m[2].rpartition("/")[2] if m[2] != "fs/promises" else "fs", text)
    if language == "perl":
        text = _GLOB.sub(r'"\1"', text)
    return _VARIABLE.sub(_as_text, _HOMES.sub("~", _BARE_HOME.sub(r'\1"~"', text)))


def _as_text(found: re.Match[str]) -> str:
    name = next(name for name in found.groups() if name)
    return f'"{ENVIRONMENT.get(name, unset(name))}"'


def tokens_of(text: str, doings: Doings) -> Iterator[Token]:
    for count, found in enumerate(_TOKEN.finditer(text)):
        kind, value = found.lastgroup or "mark", found[0]
        if count > MAX_TOKENS:
            doings.unclear.append("it is too long")
            return
        if kind == "space":
            continue
        if kind in ("string", "quoted", "command"):
            start = re.match(r"(?:qx|%x|%q|%Q|qq|q)?.", value, re.DOTALL)
            value = _ESCAPED.sub(_escape, value[start.end() if start else 1 : -1])
            kind = "command" if kind == "command" else "string"
        yield Token(kind, value, found.start(), found.end())


def _escape(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        number = int(code[1:], 16)
        return chr(number) if not 0xD800 <= number < 0xE010 else "\ufffd"
    return {"n": "\n", "t": "\t", "r": "\r"}.get(code, code)
