"""What is known of a value in a Python program: constants, followed through names and decoders. Nothing is run."""

from __future__ import annotations

import ast
import base64
import shlex
from collections.abc import Sequence

from lockgate.policies.shell.model import HERE, some, unset
from lockgate.policies.shell.programs import Value, text_of
from lockgate.policies.shell.scope import ENVIRONMENT

_FINDERS = ("os.listdir", "os.walk", "os.scandir", "glob.glob", "glob.iglob")


class Values(ast.NodeVisitor):
    """Knows what names hold and what imports mean, as far as they were read."""

    def __init__(self) -> None:
        self._names: dict[str, Value] = {}
        self._imports: dict[str, str] = {"Path": "pathlib.Path"}

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
            case _ if name.rpartition(".")[2] in ("text", "SQL") and len(args) == 1 and isinstance(first, str):
                return first
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
        out = part if part.startswith(("/", "~")) or part[1:2] == ":" or not out else f"{out.rstrip('/')}/{part}"
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
