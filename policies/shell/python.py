"""Python one-liners, read from their syntax tree: constants are followed, calls with an effect are kept."""

from __future__ import annotations

import ast
import base64
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from lockgate.policies.shell.model import HERE, some, unset
from lockgate.policies.shell.programs import (
    Deed,
    Doings,
    Value,
    deed,
    fetch_deed,
    open_deed,
    send_deed,
    write_deed,
    shell_deed,
    spawn_deed,
    text_of,
    words_of,
)
from lockgate.policies.shell.scope import ENVIRONMENT

MAX_NODES = 40_000
_FINDERS = ("os.listdir", "os.walk", "os.scandir", "glob.glob", "glob.iglob")


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
    reader = _Reader(doings)
    try:
        reader.visit(tree)
        if reader.cut:
            doings.unclear.append("its Python is too long")
    except RecursionError:
        doings.unclear.append("its Python is nested too deeply")


def _remove(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    doings.runs(source, "rm", text_of(args[0] if args else None, "a path"))


def _chmod(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    mode = text_of(args[1] if len(args) > 1 else None, "mode")
    doings.runs(source, "chmod", oct(int(mode))[2:] if mode.isdigit() else mode, text_of(args[0] if args else None))


def _kill(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    words = [text_of(arg, "a number") for arg in args]
    doings.runs(
        source, "kill", *([f"-{words[1].rpartition('.')[2]}"] if len(words) > 1 else []), words[0] if words else ""
    )


def _run_code(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    code = args[0] if args else None
    if isinstance(code, str) and "\ue002" not in code:
        doings.shell(source, code, "python")
    else:
        doings.runs(source, "eval", some("code"))


def _sql(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    if args and isinstance(args[0], str):
        doings.runs(source, "psql", "-c", args[0])


def _connect(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    doings.runs(source, "nc", *words_of(args[0] if args else None))


_SHELL = dict.fromkeys(
    (
        *("os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.Popen"),
        *("subprocess.check_output", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"),
        *("asyncio.create_subprocess_shell", "pexpect.spawn", "pexpect.run", "sh.bash", "invoke.run"),
    ),
    shell_deed,
)
_SPAWN = dict.fromkeys(
    (
        *("os.execl", "os.execlp", "os.execv", "os.execvp", "os.execve", "os.execle", "os.execvpe", "pty.spawn"),
        *("os.spawnl", "os.spawnv", "os.spawnlp", "os.spawnvp", "os.posix_spawn", "asyncio.create_subprocess_exec"),
    ),
    spawn_deed,
)
_DEEDS: Mapping[str, Deed] = {
    **_SHELL,
    **_SPAWN,
    "shutil.rmtree": deed("rm", "-r"),
    "os.removedirs": deed("rmdir"),
    "os.rmdir": deed("rmdir"),
    **dict.fromkeys(("os.remove", "os.unlink", "pathlib.Path.unlink", "send2trash.send2trash"), _remove),
    "pathlib.Path.rmdir": deed("rmdir"),
    "shutil.move": deed("mv", count=2),
    "os.rename": deed("mv", count=2),
    "os.replace": deed("mv", count=2),
    **dict.fromkeys(("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree"), deed("cp", "-r", count=2)),
    "os.symlink": deed("ln", "-s", count=2),
    "os.chmod": _chmod,
    "os.kill": _kill,
    "os.killpg": _kill,
    "os.truncate": deed("truncate", "-s", "0"),
    **dict.fromkeys(("open", "io.open", "codecs.open", "os.open"), open_deed),
    **dict.fromkeys(("pathlib.Path.read_text", "pathlib.Path.read_bytes", "linecache.getlines"), deed("cat")),
    **dict.fromkeys(("pathlib.Path.write_text", "pathlib.Path.write_bytes"), write_deed),
    **dict.fromkeys(
        (f"{module}.{verb}" for module in ("requests", "httpx") for verb in ("post", "put", "patch")), send_deed
    ),
    **dict.fromkeys((f"{module}.get" for module in ("requests", "httpx")), fetch_deed),
    **dict.fromkeys(
        ("urllib.request.urlopen", "urllib.request.urlretrieve", "urllib.request.Request", "wget.download"), fetch_deed
    ),
    "urllib.urlopen": fetch_deed,
    "urllib2.urlopen": fetch_deed,
    **dict.fromkeys(("exec", "eval", "compile", "builtins.exec", "builtins.eval"), _run_code),
}
_METHODS: Mapping[str, Deed] = {"execute": _sql, "executescript": _sql, "connect": _connect}
"""Methods that mean the same whatever they are called on."""


class _Reader(ast.NodeVisitor):
    def __init__(self, doings: Doings) -> None:
        self._doings, self._nodes = doings, 0
        self._names: dict[str, Value] = {}
        self._imports: dict[str, str] = {"Path": "pathlib.Path"}
        self._looping = 0
        self._called: set[str] = set()
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
                if value is None and dotted and (dotted in _DEEDS or "." not in dotted):
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
        self.visit(node.elt)

    visit_GeneratorExp = visit_SetComp = visit_ListComp  # type: ignore[assignment]

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = self._dotted(node.func)
        args = [self._value(arg) for arg in node.args]
        named = {word.arg: self._value(word.value) for word in node.keywords if word.arg}
        self._called.add(name)
        if name not in _DEEDS and name not in ("print", "os.fork", "os.dup2"):
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
                _DEEDS.get(name, _nothing)(source, args, named, self._doings)

    def _method(self, node: ast.Call, args: Sequence[Value], named: Mapping[str, Value]) -> None:
        """A method of a value: a path that is known, a cursor, a socket."""
        if not isinstance(node.func, ast.Attribute):
            return
        method = node.func.attr
        if method in ("write", "writelines") and (opened := self._opened(node.func.value)) is not None:
            write_deed(ast.unparse(node)[:300], [*opened, *args], named, self._doings)
            return
        if method not in _METHODS and f"pathlib.Path.{method}" not in _DEEDS:
            return
        source = ast.unparse(node)[:300]
        if (does := _DEEDS.get(f"pathlib.Path.{method}")) is not None:
            receiver = self._value(node.func.value)
            if receiver is not None or method in ("unlink", "rmdir"):
                does(source, [receiver, *args], named, self._doings)
        elif method in _METHODS:
            _METHODS[method](source, args, named, self._doings)

    def _opened(self, node: ast.AST) -> list[Value] | None:
        """The path and what it is opened for, of a file that is written; None where it is none."""
        if isinstance(node, ast.Name):
            return self._files.get(node.id)
        if isinstance(node, ast.Call) and self._dotted(node.func) in ("open", "io.open"):
            args = [self._value(arg) for arg in node.args]
            return [args[0] if args else None]
        return None

    # What is known of a value.

    def _dotted(self, node: ast.AST) -> str:
        """The full name of what is called, as far as imports tell: `sp.run` is subprocess.run."""
        match node:
            case ast.Name(id=name):
                return self._imports.get(name, name)
            case ast.Attribute(value=value, attr=attr):
                head = self._dotted(value)
                return f"{head}.{attr}" if head else ""
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str() as name), *_]):
                return name
            case ast.Call(func=ast.Name(id="__import__"), args=[first, *_]):
                return text_of(self._value(first))
            case ast.Call(func=ast.Name(id="getattr"), args=[module, attribute, *_]):
                return f"{self._dotted(module)}.{text_of(self._value(attribute))}"
            case ast.Call(func=func, args=[first, *_]) if self._dotted(func) == "importlib.import_module":
                return text_of(self._value(first))
            case ast.Call(func=func) if self._dotted(func) == "pathlib.Path":
                return "pathlib.Path"
            case ast.Call(func=ast.Attribute() as func):
                return self._dotted(func)
            case _:
                return ""

    def _value(self, node: ast.AST, depth: int = 0) -> Value:
        if depth > 40:
            return None
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Constant(value=bytes() as data):
                return data.decode("latin-1")
            case ast.Constant(value=int() as number):
                return str(number)
            case ast.Name(id=name):
                return self._names.get(name)
            case ast.JoinedStr(values=values):
                return "".join(text_of(self._value(part, depth + 1), ast.unparse(part)) for part in values)
            case ast.FormattedValue(value=value):
                return self._value(value, depth + 1)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return [text_of(self._value(element, depth + 1), "an item") for element in elements]
            case ast.BinOp(left=left, op=operator, right=right):
                return _combined(self._value(left, depth + 1), operator, self._value(right, depth + 1))
            case ast.Subscript(value=value, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp())):
                held = self._value(value, depth + 1)
                return held[::-1] if held is not None else None
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as name)) if (
                self._dotted(value) == "os.environ"
            ):
                return ENVIRONMENT.get(name, unset(name))
            case ast.Call():
                return self._called_value(node, depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._value(operand, depth + 1)
                return f"-{number}" if isinstance(number, str) else None
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self._value(value, depth + 1)
            case _:
                return None

    def _called_value(self, node: ast.Call, depth: int) -> Value:
        name, args = self._dotted(node.func), [self._value(arg, depth) for arg in node.args]
        first = args[0] if args else None
        match name:
            case "os.path.expanduser" | "os.path.abspath" | "os.path.realpath" | "str" | "bytes" | "os.path.expandvars":
                return first
            case "pathlib.Path":
                return "/".join(text_of(arg) for arg in args) if args else "."
            case "os.path.join":
                return _joined([text_of(arg) for arg in args])
            case "pathlib.Path.home":
                return "~"
            case "os.getcwd" | "pathlib.Path.cwd":
                return HERE
            case "os.getenv" | "os.environ.get":
                variable = text_of(first)
                default = args[1] if len(args) > 1 else None
                return ENVIRONMENT.get(variable, default if default is not None else unset(variable))
            case "chr" if isinstance(first, str) and first.isdigit():
                return chr(min(int(first), 0xD7FF))
            case "base64.b64decode" | "bytes.fromhex" | "binascii.unhexlify" | "codecs.decode" | "base64.b32decode":
                return _decoded(name, args)
            case "shlex.split" if isinstance(first, str):
                return _split(first)
            case "tempfile.mkdtemp" | "tempfile.gettempdir":
                return "/tmp/" + some("tempfile")
            case "list" | "sorted" | "reversed" | "set" | "map" if args:
                return args[-1]
            case _ if name in _FINDERS and isinstance(first, str):
                return first if "*" in first else f"{first}/*"
            case _ if isinstance(node.func, ast.Attribute):
                return self._method_value(self._value(node.func.value, depth), node.func.attr, args)
            case _:
                return None

    def _method_value(self, held: Value, method: str, args: Sequence[Value]) -> Value:
        if held is None:
            return None
        if method == "join" and isinstance(held, str) and args and isinstance(args[0], list):
            return held.join(args[0])
        if method == "split" and isinstance(held, str):
            return held.split(args[0] if args and isinstance(args[0], str) else None)
        if isinstance(held, list):
            return held
        match method:
            case "decode" | "encode" | "strip" | "expanduser" | "resolve" | "absolute" | "format" | "as_posix":
                return held.strip() if method == "strip" else held
            case "replace" if len(args) > 1:
                return held.replace(text_of(args[0]), text_of(args[1]))
            case "lower" | "upper":
                return held.lower() if method == "lower" else held.upper()
            case "joinpath":
                return _joined([held, *(text_of(arg) for arg in args)])
            case "glob" | "rglob" | "iterdir":
                return f"{held}/{text_of(args[0]) if args else '*'}"
            case _:
                return None


def _nothing(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """What does nothing that matters."""


_VISITORS: Mapping[type[ast.AST], Callable[[_Reader, Any], None]] = {
    getattr(ast, name.removeprefix("visit_")): getattr(_Reader, name)
    for name in dir(_Reader)
    if name.startswith("visit_") and name != "visit_Constant" and hasattr(ast, name.removeprefix("visit_"))
}
_IDLE = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store, ast.Del, *ast.operator.__subclasses__(), *ast.cmpop.__subclasses__()})


def _shell(node: ast.Call) -> bool:
    return any(
        word.arg == "shell" and isinstance(word.value, ast.Constant) and word.value.value for word in node.keywords
    )


def _combined(left: Value, operator: ast.operator, right: Value) -> Value:
    match operator:
        case ast.Add() if isinstance(left, list) and isinstance(right, list):
            return left + right
        case ast.Add() if left is not None or right is not None:
            return text_of(left) + text_of(right)
        case ast.Div() if left is not None:
            return _joined([text_of(left), text_of(right)])
        case ast.Mod() if isinstance(left, str):
            return left.replace("%s", text_of(right), 1)
        case ast.Mult() if isinstance(left, str) and isinstance(right, str) and right.isdigit() and len(right) < 4:
            return left * int(right)
        case ast.BitOr():
            return None
        case _:
            return None


def _joined(parts: Sequence[str]) -> str:
    out = ""
    for part in parts:
        out = part if part.startswith(("/", "~")) or not out else f"{out.rstrip('/')}/{part}"
    return out


def _decoded(name: str, args: Sequence[Value]) -> Value:
    from lockgate.policies.shell.outputs import decoded

    text = args[0] if args and isinstance(args[0], str) else None
    if text is None:
        return None
    if name == "base64.b32decode":
        try:
            return base64.b32decode(text).decode("utf-8", "replace")
        except ValueError:
            return None
    if name == "codecs.decode" and len(args) > 1 and args[1] in ("rot13", "rot_13"):
        import codecs

        return codecs.encode(text, "rot13")
    return decoded(text, ("hex",) if name != "base64.b64decode" else ("base64",))


def _split(text: str) -> Value:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
