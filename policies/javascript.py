"""The commands in a script of Codex's `exec` tool, read without running it. Nothing here knows tools by name.

The reader takes little on purpose: tools are called as `tools.NAME({…})` with literal commands. Everything that could
reach a tool by another way (an alias, a computed name, `eval`, a constructor) is refused, because a reader that guesses
would show a policy another command than the one that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from lockgate.policies.javascript_tokens import BEFORE_REGEX, UNCLEAR, ScriptError, Token, tokens_of

_FORBIDDEN = frozenset({
    *("eval", "Function", "globalThis", "this", "self", "window", "global", "require", "import", "process", "module"),
    *("constructor", "prototype", "__proto__", "__lookupGetter__", "__defineGetter__", "Reflect", "Proxy", "with"),
    *("getPrototypeOf", "setPrototypeOf", "getOwnPropertyNames"),
    *("getOwnPropertyDescriptor", "getOwnPropertyDescriptors"),
})  # fmt: skip
"""Names that reach a tool, or code in a string, without saying `tools`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandText:
    """A command as the script writes it: its words (one, where it is a text), and where the value stands."""

    words: Sequence[str]
    listed: bool
    short: bool
    """Whether it stands as `{cmd}`, which leaves no value to replace."""
    start: int
    end: int


def commands_in(script: str, is_shell: Callable[[str], bool], keys: Sequence[str]) -> list[CommandText]:
    """The commands that calls of tools which `is_shell` may run, in order; `keys` name the command in their argument.

    Raises ScriptError where that cannot be told for certain.
    """
    return _Reader(tokens_of(script), is_shell, keys).read()


class _Reader:
    def __init__(self, tokens: Sequence[Token], is_shell: Callable[[str], bool], keys: Sequence[str]) -> None:
        self._tokens, self._is_shell, self._keys = tokens, is_shell, keys
        self._used: set[int] = set()
        """The tokens that name a constant whose text was taken."""

    def read(self) -> list[CommandText]:
        found: list[CommandText] = []
        for at, token in enumerate(self._tokens):
            if token.kind == "name" and token.value == "tools":
                found.extend(self._call(at))
            elif token.value in _FORBIDDEN and (token.kind == "name" or self._names_member(at)):
                raise ScriptError(f"it uses {token.value}")
            elif self._value(at) == "[":
                self._check_bracket(at)
        self._check_constants()
        return found

    def _value(self, at: int) -> str:
        return self._tokens[at].value if 0 <= at < len(self._tokens) and self._tokens[at].kind == "mark" else ""

    def _names_member(self, at: int) -> bool:
        return self._tokens[at].kind == "string" and (self._value(at - 1) == "[" or self._value(at + 1) == ":")

    def _check_bracket(self, at: int) -> None:
        """A bracket after a value picks a member: only by a literal, as a computed name could be any."""
        before = self._tokens[at - 1] if at else None
        picks = before is not None and (
            before.value in (")", "]", "}", "template end", "?.")
            or before.kind in ("string", "regex")
            or (before.kind == "name" and not self._leads_list(at - 1))
        )
        if picks and not (self._tokens[at + 1].kind in ("number", "string") and self._value(at + 2) == "]"):
            raise ScriptError("it picks a member by a computed name")
        if self._value(at - 1) in ("{", ",") and self._value(self._closing(at) + 1) in (":", "("):
            raise ScriptError("it has a computed name")

    def _leads_list(self, at: int) -> bool:
        """Whether the name at `at` is a word of the language before a list; `of` and `async` may also be names."""
        word, before = self._tokens[at], self._tokens[at - 1] if at else None
        if word.value == "of":
            names = before is not None and (before.value in ("]", "}") or before.kind == "name")
            return names and not word.first and before is not None and before.value not in BEFORE_REGEX | UNCLEAR
        return word.value in (BEFORE_REGEX | UNCLEAR | {"const", "var"}) - {"async"}

    def _closing(self, at: int) -> int:
        """Where the bracket that opens at `at` closes."""
        depth = 0
        for index in range(at, len(self._tokens)):
            mark = self._value(index)
            depth += mark in ("(", "[", "{", "template")
            depth -= mark in (")", "]", "}", "template end")
            if depth == 0:
                return index
        raise ScriptError("a bracket does not close")

    def _call(self, at: int) -> list[CommandText]:
        """What the use of `tools` at `at` runs."""
        if self._value(at - 1) in (".", "?."):
            self._refuse()
        if self._value(at + 1) == "." and self._tokens[at + 2].kind == "name":
            name, after = self._tokens[at + 2].value, at + 3
        elif self._value(at + 1) == "[" and self._tokens[at + 2].kind == "string" and self._value(at + 3) == "]":
            name, after = self._tokens[at + 2].value, at + 4
        else:
            self._refuse()
        if not self._is_shell(name):
            return []
        if self._value(after) != "(" or self._value(after + 1) != "{":
            raise ScriptError(f"tools.{name} is not called with its arguments written out")
        return self._object(after + 1, name)

    def _refuse(self) -> NoReturn:
        raise ScriptError("it uses `tools` in another way than to call one")

    def _object(self, at: int, name: str) -> list[CommandText]:
        """The command in the object literal that opens at `at`."""
        end, found, at = self._closing(at), list[CommandText](), at + 1
        while at < end:
            key = self._tokens[at]
            if key.kind not in ("name", "string"):
                raise ScriptError(f"an argument of tools.{name} is not understood")
            short = self._value(at + 1) in (",", "}")
            if not short and self._value(at + 1) != ":":
                raise ScriptError(f"the argument {key.value} of tools.{name} is not understood")
            if key.value in self._keys:
                found.append(self._command(at if short else at + 2, name, short))
            at = self._after_value(at if short else at + 2, end) + 1
        if len(found) != 1:
            raise ScriptError(f"tools.{name} is called with {len(found)} commands")
        return found

    def _after_value(self, at: int, end: int) -> int:
        while at < end and self._value(at) != ",":
            at = (self._closing(at) if self._value(at) in ("(", "[", "{", "template") else at) + 1
        return at

    def _command(self, at: int, name: str, short: bool) -> CommandText:
        listed = self._value(at) == "["
        start, words = self._tokens[at].start, list[str]()
        if not listed:
            text, at = self._text(at, name)
            words.append(text)
        while listed and self._value(at) != "]":
            text, at = self._text(at + 1, name)
            words.append(text)
            if self._value(at) not in (",", "]"):
                raise ScriptError(f"the command of tools.{name} is computed")
        at += listed
        if self._value(at) not in (",", "}"):
            raise ScriptError(f"the command of tools.{name} is computed")
        return CommandText(words=words, listed=listed, short=short, start=start, end=self._tokens[at - 1].end)

    def _text(self, at: int, name: str) -> tuple[str, int]:
        """Literals and constants joined by `+`, and the token after them."""
        text = ""
        while True:
            token = self._tokens[at]
            if token.kind == "name":
                text += self._constant(token.value, name)
                self._used.add(at)
            elif token.kind == "string":
                text += token.value
            else:
                raise ScriptError(f"the command of tools.{name} is computed")
            if self._value(at + 1) != "+":
                return text, at + 1
            at += 2

    def _constant(self, wanted: str, name: str) -> str:
        """The text of `const NAME = "…"`."""
        for at, token in enumerate(self._tokens[:-4]):
            declares = token.kind == "name" and token.value == "const" and self._value(at + 2) == "="
            if declares and self._tokens[at + 1].value == wanted and self._tokens[at + 3].kind == "string":
                after = self._tokens[at + 4]
                ends = after.kind == "end" or self._value(at + 4) == ";"
                if ends or (after.first and after.kind == "name" and after.value not in UNCLEAR):
                    self._used.add(at + 1)
                    return self._tokens[at + 3].value
        raise ScriptError(f"the command of tools.{name} is computed")

    def _check_constants(self) -> None:
        """A constant is its text only if nothing else in the script can mean the same name."""
        names = {self._tokens[at].value for at in self._used}
        for at, token in enumerate(self._tokens):
            if token.kind == "name" and token.value in names and at not in self._used:
                member = self._value(at - 1) == "." or self._value(at + 1) == ":"
                if not member:
                    raise ScriptError(f"the name {token.value} may mean more than one thing")
