"""Python one-liners, read from their syntax tree: constants are followed, calls with an effect are kept."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import some
from lockgate.policies.shell.programs import Doings, Value, text_of, write_deed
from lockgate.policies.shell.python_deeds import DEEDS, METHODS, nothing
from lockgate.policies.shell.python_values import Values

MAX_NODES = 40_000


def read_python(text: str, doings: Doings) -> None:
    """Adds what the program does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        from lockgate.policies.shell.scripts import read_calls

        doings.unclear.append("its Python cannot be parsed")
        read_calls(text, "python", doings)
        return
    if all(finds(part, text) for part in _LOCKS_UP):
        doings.runs("it encrypts file after file", "shred", "-u", "~/*")
    if all(finds(part, text) for part in _HIDDEN_SHELL):
        doings.runs("__import__", "nc", "-e", "/bin/sh", some("host"))
    reader = _Reader(doings)
    try:
        reader.visit(tree)
        if reader.cut:
            doings.unclear.append("its Python is too long")
    except RecursionError:
        doings.unclear.append("its Python is nested too deeply")


_LOCKS_UP = (
    r"\.encrypt\w*\(",
    r"\b(?:Fernet|AES|ChaCha20\w*|Salsa20|nacl)\b",
    r"rglob|os\.walk|glob\(",
    r"expanduser|Path\.home|['\"]/(?:home|Users|srv|var|mnt)?/?['\"*]",
    r"['\"]wb['\"]|write_bytes",
)
"""RE2: what a program has that writes over all files below somebody's folder with what it has encrypted."""
_HIDDEN_SHELL = (r"=\s*__import__\s*[;\n]", r"socket", r"pty|subprocess|/bin/(?:ba|da|z)?sh")
"""Of one that gives a shell to another machine, and hides what it imports."""


class _Reader(Values):
    def __init__(self, doings: Doings) -> None:
        super().__init__()
        self._doings, self._nodes = doings, 0
        self._looping = 0
        self._called: set[str] = set()
        self._called_with = ""
        """Where clients of a cloud are told to go."""
        self._files: dict[str, list[Value]] = {}

    @property
    def cut(self) -> bool:
        """Whether there is more than was read."""
        return self._nodes > MAX_NODES

    def visit(self, node: ast.AST) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            return
        method = _VISITORS.get(type(node))
        if method is None:
            self.generic_visit(node)
        else:
            method(self, node)

    def generic_visit(self, node: ast.AST) -> None:
        """All that is below, but for names and constants, which do nothing."""
        for name in node._fields:
            value: Any = getattr(node, name, None)
            for part in cast(list[Any], value) if isinstance(value, list) else (value,):
                if isinstance(part, ast.AST) and type(part) not in _IDLE:
                    self.visit(part)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imports[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._imports[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        value = self._value(node.value)
        dotted = self._dotted(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._names[target.id] = value
                if (opened := self._opened(node.value)) is not None:
                    self._files[target.id] = opened
                if value is None and dotted and (dotted in DEEDS or "." not in dotted):
                    self._imports[target.id] = dotted

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        value = self._value(node.iter)
        names = [name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)]
        turns: Sequence[Value] = value[:16] if isinstance(value, list) and len(names) == 1 else [value]
        for turn in turns:
            for name in names:
                self._names[name] = turn if isinstance(turn, str) else some(name)
            for statement in node.body:
                self.visit(statement)

    def visit_While(self, node: ast.While) -> None:
        self._looping += 1
        self.generic_visit(node)
        self._looping -= 1

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if isinstance(item.optional_vars, ast.Name) and (opened := self._opened(item.context_expr)) is not None:
                self._files[item.optional_vars.id] = opened
            if isinstance(item.optional_vars, ast.Name):
                self._names[item.optional_vars.id] = self._value(item.context_expr)
        for statement in node.body:
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        value = self._value(node.iter)
        for name in ast.walk(node.target):
            if isinstance(name, ast.Name):
                self._names[name.id] = value[0] if isinstance(value, list) and value else value

    def visit_ListComp(self, node: ast.ListComp) -> None:
        for generator in node.generators:
            self.visit(generator.iter)
            self.visit_comprehension(generator)
        iterated = [g.iter.func for g in node.generators if isinstance(g.iter, ast.Call)]
        endless = any(self._dotted(func).endswith(("iter", "count", "cycle", "repeat")) for func in iterated)
        self._looping += endless
        self.visit(node.elt)
        self._looping -= endless

    visit_GeneratorExp = visit_SetComp = visit_ListComp  # type: ignore[assignment]

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = self._dotted(node.func)
        args = [self._value(arg) for arg in node.args]
        named = {word.arg: self._value(word.value) for word in node.keywords if word.arg}
        self._called.add(name)
        if name.startswith("boto3.") and isinstance(end := named.get("endpoint_url"), str):
            self._called_with += f" {end}"
        if name not in DEEDS and name not in ("print", "os.fork", "os.dup2"):
            self._method(node, args, named)
            return
        source = "" if name == "print" else ast.unparse(node)[:300]
        if name == "print":
            texts = [arg for arg in args if isinstance(arg, str)]
            if len(texts) == len(args):
                self._doings.printed.append(" ".join(texts) + "\n")
        elif name == "os.fork" and self._looping:
            self._doings.shell(source, ":(){ :|:& };:")
        elif name == "os.dup2" and any(called.endswith(("connect", "create_connection")) for called in self._called):
            self._doings.runs(source, "nc", "-e", "/bin/sh", some("host"))
        else:
            if name.startswith("subprocess.") and isinstance(args[0] if args else None, str) and not _shell(node):
                self._doings.shell(source, text_of(args[0]))  # one word, unless it has spaces by mistake
            else:
                DEEDS.get(name, nothing)(source, args, named, self._doings)

    def _method(self, node: ast.Call, args: Sequence[Value], named: Mapping[str, Value]) -> None:
        """A method of a value: a path that is known, a cursor, a socket."""
        if not isinstance(node.func, ast.Attribute):
            return
        method = node.func.attr
        if method in ("write", "writelines") and (opened := self._opened(node.func.value)) is not None:
            write_deed(ast.unparse(node)[:300], [*opened, *args], named, self._doings)
            return
        if "boto3" in self._imports and re.match(r"(?:terminate|delete)(?:_\w+)?$", method):
            self._cloud(node, method)
            return
        if method not in METHODS and f"pathlib.Path.{method}" not in DEEDS:
            return
        source = ast.unparse(node)[:300]
        if (does := DEEDS.get(f"pathlib.Path.{method}")) is not None:
            receiver = self._value(node.func.value)
            if receiver is not None or method in ("unlink", "rmdir"):
                does(source, [receiver, *args], named, self._doings)
        elif method in METHODS:
            METHODS[method](source, args, named, self._doings)

    def _cloud(self, node: ast.Call, method: str) -> None:
        """What is deleted by the cloud's own library, but for a stand-in on this machine."""
        source = ast.unparse(node)[:300]
        if "localhost" in self._called_with or "127.0.0.1" in self._called_with:
            return
        if ".objects." in source or "object_versions" in source:
            self._doings.runs(source, "aws", "s3", "rm", "--recursive", source)
        elif method not in ("delete", "delete_object", "delete_message", "delete_item"):
            self._doings.runs(source, "aws", "boto3", method.replace("_", "-"), source)

    def _opened(self, node: ast.AST) -> list[Value] | None:
        """The path and what it is opened for, of a file that is written; None where it is none."""
        if isinstance(node, ast.Name):
            return self._files.get(node.id)
        if isinstance(node, ast.Call) and self._dotted(node.func) in ("open", "io.open"):
            args = [self._value(arg) for arg in node.args]
            return [args[0] if args else None]
        return None


_VISITORS: Mapping[type[ast.AST], Callable[[_Reader, Any], None]] = {
    getattr(ast, name.removeprefix("visit_")): getattr(_Reader, name)
    for name in dir(_Reader)
    if name.startswith("visit_") and name != "visit_Constant" and hasattr(ast, name.removeprefix("visit_"))
}
_IDLE = frozenset(
    {ast.Name, ast.Constant, ast.Load, ast.Store, ast.Del, *ast.operator.__subclasses__(), *ast.cmpop.__subclasses__()}
)


def _shell(node: ast.Call) -> bool:
    return any(
        word.arg == "shell" and isinstance(word.value, ast.Constant) and word.value.value for word in node.keywords
    )
