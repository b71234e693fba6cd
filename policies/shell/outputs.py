"""What simple commands print, where that can be told without running them: `echo`, `printf`, `base64 -d`, `tr` …"""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lockgate.policies.patterns import compile_pattern
from lockgate.policies.shell.model import HERE, Command, known, some
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.words import ansi_c

MAX_CHARS = 100_000
"""No longer output is worked out."""
_FORMAT = re.compile(r"%(?:%|(-?0?\d*)(?:\.\d+)?([sbqdioxXc]))")
_HEX = re.compile(r"[^0-9A-Fa-f]")


def output_of(command: Command, files: Mapping[str, str | None]) -> str | None:
    """The command's output; None where it cannot be told."""
    find = _OUTPUTS.get(command.name)
    if find is None:
        return None
    try:
        output = find(command, files)
    except (ValueError, IndexError, LookupError, OSError, EOFError, zlib.error):
        return None
    return output if output is not None and len(output) <= MAX_CHARS else None


type _Files = Mapping[str, str | None]


def _echo(command: Command, _: _Files) -> str:
    args, escapes, newline = list(command.args), False, "\n"
    while args and re.fullmatch(r"-[neE]+" if command.name == "echo" else r"-[a-zA-Z]+", args[0]):
        escapes, newline = escapes or "e" in args[0], "" if "n" in args[0] else newline
        args.pop(0)
    text = " ".join(args)
    return (ansi_c(text) if escapes else text) + newline


def _printf(command: Command, _: _Files) -> str | None:
    args = list(command.args)
    if args[:1] == ["-v"]:
        return ""
    args = args[1:] if args[:1] == ["--"] else args
    form, rest, out = ansi_c(args[0]), args[1:], list[str]()
    takes = sum(found[2] is not None for found in _FORMAT.finditer(form))
    given = iter(rest)
    for _turn in range(1 if not takes else max(1, -(-len(rest) // takes))):
        out.append(_FORMAT.sub(lambda found: _formatted(found, next(given, "") if found[2] else ""), form))
    return "".join(out)


def _formatted(found: re.Match[str], value: str) -> str:
    match found[2]:
        case None:
            return "%"
        case "b":
            return ansi_c(value)
        case "s" | "q":
            return value
        case "c":
            return value[:1]
        case kind:
            return format(int(value or "0", 0), "d" if kind in "di" else kind)


def _cat(command: Command, files: _Files) -> str | None:
    names = [arg for arg in command.args if not arg.startswith("-") or arg == "-"]
    if not names:
        return command.stdin
    texts = [command.stdin if name == "-" else _content(command, name, files) for name in names]
    return None if None in texts else "".join(text or "" for text in texts)


def _content(command: Command, name: str, files: _Files) -> str | None:
    return files.get(place(name, command.cwd, command.links).text)


def _input(command: Command, files: _Files, skip: int = 0) -> str | None:
    """What a filter reads: its file, else its standard input."""
    names = [arg for arg in command.args[skip:] if not arg.startswith("-")]
    text = _content(command, names[-1], files) if names else command.stdin
    return text if text is not None and known(text) else None


def _base64(command: Command, files: _Files) -> str | None:
    text = _input(command, files)
    if text is None:
        return None
    if not any(re.fullmatch(r"-[a-zA-Z]*[dD]|--decode", arg) for arg in command.args):
        return base64.b64encode(text.encode()).decode() + "\n"
    cleaned = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/"))
    return _text(base64.b64decode(cleaned + "=" * (-len(cleaned) % 4)))


def _base32(command: Command, files: _Files) -> str | None:
    text = _input(command, files)
    decodes = any(arg in ("-d", "-D", "--decode") for arg in command.args)
    return None if text is None or not decodes else _text(base64.b32decode("".join(text.split())))


def _xxd(command: Command, files: _Files) -> str | None:
    text = _input(command, files)
    letters = "".join(arg[1:] for arg in command.args if arg.startswith("-"))
    if text is None or "r" not in letters:
        return None
    return _text(binascii.unhexlify(_HEX.sub("", text.replace("\\x", "").replace("0x", ""))))


def _openssl(command: Command, files: _Files) -> str | None:
    decodes = "-d" in command.args and ("base64" in command.args or "-base64" in command.args or "-a" in command.args)
    return _base64_text(command.stdin) if decodes and command.stdin is not None else None


def _base64_text(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9+/]", "", text)
    return _text(base64.b64decode(cleaned + "=" * (-len(cleaned) % 4)))


def _gzip(command: Command, files: _Files) -> str | None:
    decodes = command.name != "gzip" or any("d" in arg for arg in command.args)
    if command.stdin is None or not decodes:
        return None
    data = command.stdin.encode("latin-1", "replace")
    return _text(zlib.decompressobj(47).decompress(data, MAX_CHARS) if data else gzip.decompress(data))


def _tr(command: Command, _: _Files) -> str | None:
    text, args = command.stdin, list(command.args)
    if text is None or not known(text):
        return None
    if args and args[0] in ("-d", "--delete"):
        gone = set(_tr_set(args[1]))
        return "".join(letter for letter in text if letter not in gone)
    if args and args[0].startswith("-"):
        return text if args[0] in ("-s",) else None
    given, by = _tr_set(args[0]), _tr_set(args[1])
    by += by[-1] * max(0, len(given) - len(by))
    return text.translate({ord(a): b for a, b in zip(given, by, strict=False)})


_CLASSES = {"[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9", "[:space:]": " \\t\\n"}


def _tr_set(text: str) -> str:
    for name, members in _CLASSES.items():
        text = text.replace(name, members)
    text = ansi_c(text)
    return re.sub(
        r"(.)-(.)",
        lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))) if ord(m[1]) <= ord(m[2]) <= 0x2FF else m[0],
        text,
        flags=re.DOTALL,
    )


def _rev(command: Command, files: _Files) -> str | None:
    text = _input(command, files)
    return None if text is None else "\n".join(line[::-1] for line in text.split("\n"))


_SED = re.compile(r"s([/|#,:@!])((?:\\.|(?!\1).)*)\1((?:\\.|(?!\1).)*)\1(g?)")


def _sed(command: Command, _: _Files) -> str | None:
    text, args = command.stdin, [arg for arg in command.args if arg not in ("-e", "--")]
    extended = any(re.fullmatch(r"-[a-zA-Z]*[Er]|--regexp-extended", arg) for arg in args)
    scripts = [arg for arg in args if not arg.startswith("-")]
    if text is None or len(text) > MAX_CHARS // 10 or not scripts:
        return None
    for script in (part.strip() for given in scripts for part in given.split(";")):
        if not (found := _SED.fullmatch(script)) or not known(text):
            return None
        form = compile_pattern(found[2] if extended else _extended(found[2]))
        by = re.sub(r"(?<!\\)&", r"\\g<0>", found[3]).replace(f"\\{found[1]}", found[1])
        lines = (form.sub(by, line, 0 if found[4] else 1) for line in text.split("\n"))
        text = "\n".join(lines)
    return text


def _extended(pattern: str) -> str:
    """A basic pattern of sed in the usual spelling, where `(`, `{`, `+`, `?` and `|` need no backslash to mean more."""
    return re.sub(r"\\?[(){}+?|]", lambda m: m[0][1:] if m[0][0] == "\\" else f"\\{m[0]}", pattern)


_AWK_PRINTS = re.compile(
    r"\s*(?:BEGIN)?\s*\{\s*print(f?)\s*\(?\s*\"((?:[^\"\\]|\\.)*)\"((?:\s*,\s*(?:\d+|\"[^\"]*\"))*)\s*\)?\s*;?\s*\}\s*"
)


def _awk(command: Command, _: _Files) -> str | None:
    """A program that only prints a text of its own."""
    if len(command.args) != 1 or not (found := _AWK_PRINTS.fullmatch(command.args[0])):
        return None
    given = [part.strip() for part in found[3].split(",")[1:]]
    args = [
        part.strip('"') if part[0] == '"' else chr(int(part)) if "%c" in found[2] else part for part in given if part
    ]
    return _printf(replace(command, words=("printf", found[2], *args)), _) if found[1] else found[2] + "\n"


def _perl(command: Command, _: _Files) -> str | None:
    """A filter that decodes what it reads, or a program that only prints a text of its own."""
    code = command.args[-1] if command.args else ""
    if command.stdin is not None and re.search(r"decode_base64\(\s*\$_\s*\)", code):
        return _base64_text(command.stdin)
    found = re.fullmatch(r"\s*(?:print|say|puts|echo)\s*\(?\s*(?:\"([^\"$@]*)\"|'([^']*)')\s*\)?\s*;?\s*", code)
    return None if found is None else ansi_c(found[1]) if found[1] is not None else found[2]


def _lines(command: Command, files: _Files) -> str | None:
    text = command.stdin
    if text is None:
        return None
    count = next((int(n) for arg in command.args if (n := arg.lstrip("-n")).isdigit()), 10)
    lines = text.splitlines(keepends=True)
    return "".join(lines[:count] if command.name == "head" else lines[-count:])


def _backwards(command: Command, files: _Files) -> str | None:
    text = _input(command, files)
    return None if text is None else "".join(reversed([line + "\n" for line in text.splitlines()]))


def _input_text(command: Command, files: _Files) -> str | None:
    return _input(command, files)


def _cut(command: Command, _: _Files) -> str | None:
    args = " ".join(command.args)
    if command.stdin is None or not (fields := re.search(r"-([fc])\s*(\d+)(?:-(\d*))?(?!\S)", args)):
        return None
    delimiter = re.search(r"-d\s?(.)", args)
    start, end = int(fields[2]) - 1, int(fields[3]) if fields[3] else None if fields[3] == "" else int(fields[2])
    if fields[1] == "c":
        return "\n".join(line[start:end] for line in command.stdin.split("\n"))
    by = delimiter[1] if delimiter else "\t"
    return "\n".join(by.join(line.split(by)[start:end]) for line in command.stdin.split("\n"))


def _last_path(command: Command, _: _Files) -> str | None:
    paths = [arg for arg in command.args if not arg.startswith("-")]
    return paths[-1] + "\n" if paths else None


def _dirname(command: Command, _: _Files) -> str | None:
    path = command.args[-1].rstrip("/")
    if not known(path) or path == "":
        return None
    head, slash, _tail = path.rpartition("/")
    return (head or ("/" if slash else ".")) + "\n"


def _basename(command: Command, _: _Files) -> str | None:
    paths = [arg for arg in command.args if not arg.startswith("-")]
    name = paths[0].rstrip("/").rpartition("/")[2]
    return name.removesuffix(paths[1] if len(paths) > 1 else "") + "\n" if known(name) else None


def _command(command: Command, _: _Files) -> str | None:
    return _last_path(command, _) if command.name == "which" or "-v" in command.args else None


def _git(command: Command, _: _Files) -> str | None:
    return HERE + "\n" if list(command.args) == ["rev-parse", "--show-toplevel"] else None


def _mktemp(command: Command, _: _Files) -> str:
    return f"/tmp/{some('mktemp')}\n"


def _rot13(command: Command, _: _Files) -> str | None:
    return None if command.stdin is None else codecs.encode(command.stdin, "rot13")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


_OUTPUTS: Mapping[str, Callable[[Command, _Files], str | None]] = {
    **dict.fromkeys(("echo", "print", "write-output", "write-host"), _echo),
    "printf": _printf,
    "cat": _cat,
    "tee": lambda command, _: command.stdin,
    "base64": _base64,
    "gbase64": _base64,
    "base32": _base32,
    "xxd": _xxd,
    "openssl": _openssl,
    "gunzip": _gzip,
    "zcat": _gzip,
    "gzip": _gzip,
    "tr": _tr,
    "rev": _rev,
    "rot13": _rot13,
    **dict.fromkeys(("awk", "gawk", "mawk"), _awk),
    **dict.fromkeys(("perl", "ruby", "php"), _perl),
    "tac": _backwards,
    **dict.fromkeys(("sort", "uniq", "nl", "fold", "pv", "sponge", "unbuffer", "stdbuf", "expand"), _input_text),
    "sed": _sed,
    "head": _lines,
    "tail": _lines,
    "cut": _cut,
    "pwd": lambda command, _: command.cwd + "\n",
    "dirname": _dirname,
    "basename": _basename,
    "realpath": _last_path,
    "readlink": _last_path,
    "which": _command,
    "command": _command,
    "git": _git,
    "mktemp": _mktemp,
    "true": lambda _command, _: "",
}


def decoded(text: str, encodings: Sequence[str] = ("base64", "hex")) -> str | None:
    """The text without base64 or hexadecimal digits, where it is one of them."""
    try:
        if "hex" in encodings and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text):
            return _text(bytes.fromhex(text))
        return _base64_text(text) if "base64" in encodings and re.fullmatch(r"[A-Za-z0-9+/_=\s-]+", text) else None
    except ValueError:
        return None
