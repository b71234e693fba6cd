"""One-liners in JavaScript, Perl, Ruby, PHP and the like: calls with literal arguments, found without a parser."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping, Sequence

from lockgate.policies.shell.model import some
from lockgate.policies.shell.outputs import decoded
from lockgate.policies.shell.programs import Doings, Value, text_of
from lockgate.policies.shell.script_deeds import COMMON, OF, evaluate
from lockgate.policies.shell.script_tokens import Token, plain, tokens_of

_TAKEN = re.compile(r"\{([^{}]*)\}\s*=\s*(?:await\s+)?\w")
_RENAMED = re.compile(r"(\w+)\s*:\s*(\w+)")
_LAST = re.compile(r"\.|::|->|\?\.")
_EVALUATED = {"javascript": "javascript", "perl": "perl", "ruby": "ruby", "php": "php", "python": "python"}


def read_calls(text: str, language: str, doings: Doings) -> None:
    """Adds what the program's calls do."""
    text = plain(text, language)
    tokens = list(tokens_of(text, doings))
    if language == "perl" and re.search(r"\bfork\b[^;]{0,40}\bwhile\b|\bwhile\b[^;]{0,40}\bfork\b", text):
        doings.shell("fork", ":(){ :|:& };:")
    if language == "javascript" and re.search(r"\bwhile\s*\((?:1|true)\)[^;]{0,80}\b(?:spawn|fork|exec)\(", text):
        doings.shell("fork", ":(){ :|:& };:")
    if language == "ruby" and re.search(r"\b(?:loop|while)\b[^;]{0,40}\bfork\b|\bfork\b[^;]{0,20}\bwhile\b", text):
        doings.shell("fork", ":(){ :|:& };:")
    _sockets(text, doings)
    _Calls(text, tokens, language, doings).read()


def _sockets(text: str, doings: Doings) -> None:
    """A socket and a shell in one program: the shell of a stranger."""
    socket = re.search(
        r"TCPSocket|IO::Socket|fsockopen|(?:net|tls)\.(?:connect|Socket|createConnection)|=\s*(?:net|tls)\b[\s\S]*\.connect\(|sockaddr_in|socket\.tcp|new\s+\w+\.Socket\(",
        text,
    )
    shell = re.search(r"/bin/(?:ba|z|da|)sh|['\"](?:ba|)sh['\"]|cmd\.exe", text)
    shell = shell or re.search(r"(?:system|exec)\s*\(?\s*\$_", text)
    if socket and shell:
        host = re.search(r"['\"]([\w.-]+\.[\w-]+|\d+\.\d+\.\d+\.\d+)['\"]", text)
        doings.runs(socket[0], "nc", "-e", "/bin/sh", host[1] if host else some("host"))


def _packed(given: Sequence[Value], form: Sequence[Value]) -> Value:
    """What Perl's and Ruby's `pack` make of hexadecimal digits, and `unpack1` of base64."""
    encodings = {"H*": "hex", "m": "base64", "m0": "base64"}
    encoding = encodings.get(text_of(form[0])) if form else None
    text = given[0] if given and isinstance(given[0], str) else None
    return decoded(text, (encoding,)) if text is not None and encoding else None


_DECODERS: Mapping[str, Callable[[str], str | None] | None] = {
    **dict.fromkeys(("Buffer.from", "atob", "decode_base64", "Base64.decode64", "base64_decode"), None),
    **dict.fromkeys(("MIME::Base64.decode", "Base64.strict_decode64", "pack"), None),
    "hex2bin": lambda text: decoded(text, ("hex",)),
    "str_rot13": lambda text: codecs.encode(text, "rot13"),
    "strrev": lambda text: text[::-1],
}
"""Functions that give back what was hidden in a text; None where their second argument says how, or it is base64."""


_PROGRAM = re.compile(r"child_process|\b(?:exec|spawn|rm)Sync\b|\beval\(|\bsystem\(")
"""A hidden text that is a program: it was hidden to be run."""


_DEEPEST = 30
"""So deep values within values are read."""


def _ends(tokens: Sequence[Token]) -> Mapping[int, int]:
    """The place after the bracket that closes each one that opens, whatever their kinds."""
    ends, opened = dict[int, int](), list[int]()
    for at, token in enumerate(tokens):
        if token.kind == "mark" and token.value in ("(", "[", "{"):
            opened.append(at)
        elif token.kind == "mark" and token.value in (")", "]", "}") and opened:
            ends[opened.pop()] = at + 1
    return ends


class _Calls:
    def __init__(self, text: str, tokens: Sequence[Token], language: str, doings: Doings) -> None:
        self._text, self._tokens, self._language, self._doings = text, tokens, language, doings
        self._names: dict[str, Value] = {}
        self._ends = _ends(tokens)
        self._aliases = {new: old for given in _TAKEN.findall(text) for old, new in _RENAMED.findall(given)}
        self._depth = self._looked = 0
        """How deep the value is that is being read, and up to which token hidden texts were looked for."""
        self._deeds = {**COMMON, **OF.get(language, {})}

    def read(self) -> None:
        for at, token in enumerate(self._tokens):
            if token.kind == "command" and self._language != "javascript":
                self._doings.shell(self._text[token.start : token.end], token.value)
            elif token.kind == "name":
                self._name(at, token)

    def _name(self, at: int, token: Token) -> None:
        if token.value in _DECODERS and at >= self._looked:
            _, self._looked = self._named(at, token)
        if self._mark(at + 1) in ("+", ".") and self._mark(at + 2) == "=":
            self._names[token.value] = None
        if self._mark(at + 1) == "=" and self._mark(at + 2) not in ("=", ">", "~"):
            self._names[token.value], _ = self._value(at + 2)
        called = self._aliases.get(token.value) or _LAST.split(token.value)[-1]
        does = self._deeds.get(token.value) or self._deeds.get(called)
        if does is None or self._is_regex(at, token.value, called):
            return
        if self._mark(at + 1) == "(":
            args, named = self._arguments(at + 2)
        elif self._language in ("perl", "ruby", "php", "applescript") and not token.value.startswith(("$", "@")):
            args, named = self._bare(at + 1)
        elif self._kind(at + 1) == "command" and called == "$":
            args, named = [self._tokens[at + 1].value], {}
        else:
            return
        end = min(len(self._text), token.end + 200)
        source = self._text[token.start : end].split("\n")[0]
        if called in ("eval", "Function", "instance_eval") or does is evaluate:
            self._evaluate(source, args)
        else:
            does(source, args, named, self._doings)

    def _is_regex(self, at: int, name: str, called: str) -> bool:
        """`pattern.exec(text)` is a search, and so is `.exec` of a literal pattern."""
        before = name.rpartition(".")[0].lower()
        if self._mark(at - 1) == "/" or (self._mark(at - 1) == "." and self._mark(at - 2) == "/"):
            return called == "exec"
        return (
            called == "exec"
            and self._language == "javascript"
            and (
                any(word in before for word in ("re", "regex", "pattern", "match"))
                and "child" not in before
                and "require" not in before
            )
        )

    def _evaluate(self, source: str, args: Sequence[Value]) -> None:
        if args and isinstance(args[0], str) and "\ue002" not in args[0]:
            self._doings.shell(source, args[0], _EVALUATED.get(self._language, "javascript"))
        elif args:
            self._doings.evaluates(source)

    def _mark(self, at: int) -> str:
        return self._tokens[at].value if at < len(self._tokens) and self._tokens[at].kind == "mark" else ""

    def _kind(self, at: int) -> str:
        return self._tokens[at].kind if at < len(self._tokens) else ""

    def _arguments(self, at: int) -> tuple[list[Value], dict[str, Value]]:
        """The arguments of a call from the token after its bracket on."""
        args, named, depth, start = list[Value](), dict[str, Value](), 0, at
        while at < len(self._tokens) and at - start < 400:
            mark = self._mark(at)
            if mark in (")",) and depth == 0:
                break
            if mark == "," or mark == "":
                if mark == "":
                    value, at = self._value(at)
                    args.append(value)
                else:
                    at += 1
            elif mark == "[":
                value, at = self._value(at)
                args.append(value)
            elif mark == "{":
                at = self._options(at + 1, named)
                args.append(None)
            else:
                at += 1
        return args, named

    def _options(self, at: int, named: dict[str, Value]) -> int:
        depth, start = 1, at
        while at < len(self._tokens) and depth and at - start < 400:
            mark = self._mark(at)
            if self._tokens[at].kind in ("name", "string") and self._mark(at + 1) == ":":
                named[self._tokens[at].value], at = self._value(at + 2)
                continue
            depth += (mark == "{") - (mark == "}")
            at += 1
        return at

    def _bare(self, at: int) -> tuple[list[Value], dict[str, Value]]:
        """The arguments of a call without brackets: up to the statement's end."""
        args, start = list[Value](), at
        while at < len(self._tokens) and at - start < 100 and self._mark(at) not in (";", "}", ")", "|"):
            if self._mark(at) == ",":
                at += 1
                continue
            value, at = self._value(at)
            args.append(value)
        return args, {}

    def _value(self, at: int) -> tuple[Value, int]:
        """Literals joined by `+` or `.`, a list of them, or a name that holds one; and the place after it."""
        if at >= len(self._tokens) or self._depth > _DEEPEST:
            return None, at + 1
        self._depth += 1
        try:
            return self._read_value(at)
        finally:
            self._depth -= 1

    def _read_value(self, at: int) -> tuple[Value, int]:
        token = self._tokens[at]
        value: Value = None
        if token.kind in ("string", "command", "number"):
            value, at = token.value, at + 1
        elif token.kind == "list":
            value, at = token.value[3:-1].split(), at + 1
        elif token.value == "[":
            value, at = self._list(at + 1)
        elif token.kind == "name":
            value, at = self._named(at, token)
        else:
            return None, at + 1
        joins = (".",) if self._language in ("perl", "php") else ("+", "..", "&")
        while self._mark(at) in joins and self._kind(at + 1) in ("string", "name", "command"):
            more, at = self._value(at + 1)
            value = text_of(value) + text_of(more)
        return self._decoded(value, at)

    def _named(self, at: int, token: Token) -> tuple[Value, int]:
        if token.value.endswith(("homedir", "Dir.home", "System.user_home!", "path.expand")) or token.value in (
            "process.env.HOME",
            "ENV.HOME",
        ):
            return "~", at + (3 if self._mark(at + 1) == "(" else 1)
        if token.value in _DECODERS:
            bracket = self._mark(at + 1) == "("
            args, _ = self._arguments(at + 2) if bracket else self._bare(at + 1)
            value = self._buffer(token.value, args)
            if isinstance(value, str) and _PROGRAM.search(value):
                self._doings.shell(token.value, value, _EVALUATED.get(self._language, "javascript"))
            return value, self._closing(at + 1) if bracket else len(self._tokens)
        if token.value.endswith(("path.join", "File.join", "File.expand_path", "path.resolve")):
            args, _ = self._arguments(at + 2)
            return "/".join(text_of(arg) for arg in args), self._closing(at + 1)
        if token.value.endswith("glob") and self._mark(at + 1) in ("(", "") and at + 1 < len(self._tokens):
            bracket = self._mark(at + 1) == "("
            value, after = self._value(at + (2 if bracket else 1))
            return value, self._closing(at + 1) if bracket else after
        if self._mark(at + 1) == "(":
            return None, self._closing(at + 1)
        return self._names.get(token.value), at + 1

    def _buffer(self, name: str, args: Sequence[Value]) -> Value:
        if name == "pack":
            return _packed(args[1:2], args[:1])
        text = args[0] if args and isinstance(args[0], str) else None
        encoding = args[1] if len(args) > 1 and isinstance(args[1], str) else "base64"
        if text is None:
            return None
        if (other := _DECODERS[name]) is not None:
            return other(text)
        return decoded(text, (encoding,)) if encoding in ("base64", "hex") else text

    def _decoded(self, value: Value, at: int) -> tuple[Value, int]:
        """Skips `.toString()` and the like behind a value."""
        while self._mark(at) == "." and self._kind(at + 1) == "name" and self._mark(at + 2) == "(":
            method = self._tokens[at + 1].value
            args, _ = self._arguments(at + 3)
            at = self._closing(at + 2)
            if method == "join" and isinstance(value, list):
                value = text_of(args[0] if args else ",").join(value)
            elif method == "reverse" and value is not None:
                value = value[::-1]
            elif method in ("pack", "unpack1"):
                value = _packed([value[0] if isinstance(value, list) and value else value], args[:1])
            elif method == "split" and isinstance(value, str):
                value = list(value) if args and args[0] == "" else value.split(text_of(args[0]) if args else None)
        return value, at

    def _list(self, at: int) -> tuple[Value, int]:
        values, start = list[str](), at
        while at < len(self._tokens) and self._mark(at) != "]" and at - start < 400:
            if self._mark(at) == ",":
                at += 1
                continue
            value, at = self._value(at)
            values.append(text_of(value))
        return values, at + 1

    def _closing(self, at: int) -> int:
        """The place after the bracket that closes the one at `at`."""
        if self._mark(at) not in ("(", "[", "{"):
            return min(at + 1, len(self._tokens))
        return self._ends.get(at, len(self._tokens))
