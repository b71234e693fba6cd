"""The tokens of a JavaScript text, the ones inside template literals too. What is unclear is refused, not guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

type Kind = Literal["string", "name", "number", "mark", "regex", "end"]


class ScriptError(ValueError):
    """The script does something whose commands cannot be read."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    value: str
    start: int
    end: int
    first: bool
    """Whether a line end stands before it."""


_SPACE = re.compile(r"(?:\s|\ufeff|//[^\n\r\u2028\u2029]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_NUMBER = re.compile(r"(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)n?")
_MARK = re.compile(r"=>|\.\.\.|\?\.|\+\+|--|[{}()\[\];,<>+\-*%&|^!~?:=.]")
_REGEX = re.compile(r"/(?:[^/\\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*\])+/[a-z]*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(\r\n|[\s\S]))")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_LINE_ENDS = frozenset({"\n", "\r\n", "\r", "\u2028", "\u2029"})

BEFORE_REGEX = frozenset({"return", "typeof", "case", "do", "else", "throw", "void", "new", "delete", "await"})
UNCLEAR = frozenset({"of", "in", "instanceof", "yield", "async", "let", "default", "extends", "export"})


def tokens_of(script: str) -> list[Token]:
    """The script's tokens, the ones inside template literals too. Raises ScriptError."""
    lexer = _Lexer(script)
    lexer.run()
    return lexer.tokens


class _Lexer:
    def __init__(self, script: str) -> None:
        self.script, self.at = script, 0
        self.tokens: list[Token] = []
        self._holes: list[int] = []
        """For each template literal that is open, how many braces are open inside its hole."""

    def run(self) -> None:
        while True:
            before = self.at
            if space := _SPACE.match(self.script, self.at):
                self.at = space.end()
            first = any(end in self.script[before : self.at] for end in "\n\r\u2028\u2029")
            if self.at == len(self.script):
                break
            self._token(first)
        if self._holes:
            raise ScriptError("a template literal does not end")
        self._add("end", "", self.at, True)

    def _token(self, first: bool) -> None:
        letter = self.script[self.at]
        if letter in "'\"":
            self._string(letter, first)
        elif letter == "`" or (letter == "}" and self._holes and self._holes[-1] == 0):
            self._template(first)
        elif letter == "/":
            self._slash(first)
        else:
            self._plain(first)

    def _plain(self, first: bool) -> None:
        if self.script.startswith(("<!--", "-->"), self.at):
            raise ScriptError("it has an HTML comment")
        kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (("name", _NAME), ("number", _NUMBER), ("mark", _MARK))
        for kind, pattern in kinds:
            if found := pattern.match(self.script, self.at):
                if self._holes and found[0] in "{}":
                    self._holes[-1] += 1 if found[0] == "{" else -1
                self._add(kind, found[0], found.end(), first)
                return
        raise ScriptError(f"the character {self.script[self.at]!r} is not understood here")

    def _add(self, kind: Kind, value: str, end: int, first: bool) -> None:
        self.tokens.append(Token(kind, value, self.at, end, first))
        self.at = end

    def _string(self, quote: str, first: bool) -> None:
        found = re.compile(rf"{quote}((?:[^{quote}\\\n\r]|\\(?:\r\n|[\s\S]))*){quote}").match(self.script, self.at)
        if found is None:
            raise ScriptError("a string does not end")
        self._add("string", _unescaped(found[1]), found.end(), first)

    def _template(self, first: bool) -> None:
        """A literal, or its pieces around holes, as the marks `template` to `template end` around the holes."""
        opening = self.script[self.at] == "`"
        found = re.compile(r"[`}]((?:[^`\\$]|\\[\s\S]|\$(?!\{))*)(`|\$\{)").match(self.script, self.at)
        if found is None:
            raise ScriptError("a template literal does not end")
        text, whole = found[1].replace("\r\n", "\n").replace("\r", "\n"), found[2] == "`"
        if opening and whole:
            self._add("string", _unescaped(text), found.end(), first)
            return
        if opening:
            self._holes.append(0)
        elif whole:
            self._holes.pop()
        self._add("mark", "template" if opening else "template end" if whole else "template middle", found.end(), first)

    def _slash(self, first: bool) -> None:
        """A regular expression or a division; read wrongly, what follows could be taken for a string."""
        before = self.tokens[-1] if self.tokens else None
        if before is not None and (before.value in (")", "}", "]", "++", "--") or before.value in UNCLEAR):
            raise ScriptError("it may divide or begin a regular expression")
        divides = before is not None and (
            before.kind in ("number", "string", "regex") or (before.kind == "name" and before.value not in BEFORE_REGEX)
        )
        found = None if divides else _REGEX.match(self.script, self.at)
        if not divides and found is None:
            raise ScriptError("a regular expression does not end")
        self._add("mark" if found is None else "regex", "/", self.at + 1 if found is None else found.end(), first)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_character, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # joins escaped surrogates


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code is not None:
        if int(code, 16) > 0x10FFFF:
            raise ScriptError("an escape is beyond Unicode")
        return chr(int(code, 16))
    letter = escape[4]
    after = escape.string[escape.end() : escape.end() + 1]
    if letter in "123456789xu" or (letter == "0" and after.isdigit()):
        raise ScriptError(f"the escape \\{letter} is not understood")
    return "" if letter in _LINE_ENDS else _SIMPLE.get(letter, letter)
