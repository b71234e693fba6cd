"""What a one-liner in another language does, as the shell commands that would do the same. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.policies.patterns import finds
from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import some
from lockgate.policies.shell.powershell import as_shell


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made of a program: commands in order, what could not be understood, what it prints if that is known."""

    inner: Sequence[Inner] = ()
    unclear: Sequence[str] = ()
    output: str | None = None


@dataclass(slots=True)
class Doings:
    """What a program was seen to do so far."""

    inner: list[Inner] = field(default_factory=list[Inner])
    unclear: list[str] = field(default_factory=list[str])
    printed: list[str] = field(default_factory=list[str])
    database: str = ""
    """What it has connected to last: a file, or how a server is named."""
    size: int = 0
    """How long the program is, in characters."""

    def runs(self, source: str, *words: str) -> None:
        self.inner.append(Inner(via=source, words=words))

    def shell(self, source: str, script: str, language: str = "sh") -> None:
        self.inner.append(Inner(via=source, script=script, language=language))

    def evaluates(self, source: str) -> None:
        """It runs code that is not known. In a long program that is no hiding, unless what it runs was decoded."""
        if self.size < ONE_LINER or finds(_DECODES, source):
            self.runs(source, "eval", some("code"))


ONE_LINER = 800
"""A shorter program is one that is written for a single run."""
_DECODES = (
    r"(?i)b64|base64|decode|fromhex|unhex|decompress|inflate|marshal|rot13|fromCharCode|pack\(|chr\(|urlopen|requests\.|"
    r"fetch|\.read\("
)
"""RE2: what makes a text of another one, or gets it from elsewhere."""


def commands_in(text: str, language: str) -> Made:
    """The commands that a program in this language would amount to."""
    doings = Doings(size=len(text))
    if finds(_WHOLE_ENVIRONMENT, text):
        doings.runs("the whole environment", "env")
    if language == "sh":
        doings.shell("", text)
    elif language == "powershell":
        doings.shell("", as_shell(text))
    elif language == "python":
        from lockgate.policies.shell.python import read_python

        read_python(text, doings)
    else:
        from lockgate.policies.shell.scripts import read_calls

        read_calls(text, language, doings)
    if len(doings.inner) > MAX_DEEDS:
        doings.unclear.append("it does too many things to be read")
    return Made(
        inner=tuple(doings.inner[:MAX_DEEDS]), unclear=tuple(doings.unclear), output="".join(doings.printed) or None
    )


MAX_DEEDS = 300
"""So many doings of one program are followed."""
_WHOLE_ENVIRONMENT = (
    r"(?:JSON\.stringify|console\.log|entries|inspect)\(process\.env\)|[(,]\s*os\.environ\s*\)|ENV\.to_(?:h|a)\b|\$_(?:ENV|SERVER)\b|%ENV\b|(?:dict|str|dumps|items)\(os\.environ|"
    r"os\.environ\.(?:items|copy)\(|=\s*os\.environ\s*[,)]"
)
"""RE2: a program that takes every variable of its environment."""

type Value = str | list[str] | None
"""A text or a list of texts that is known in part; None where nothing is."""
type Deed = Callable[[str, Sequence[Value], Mapping[str, Value], Doings], None]
"""What a function does: its source, its arguments, those with a name."""


def text_of(value: Value, label: str = "computed") -> str:
    if isinstance(value, list):
        return " ".join(value)
    return some(label) if value is None else value


def words_of(value: Value) -> list[str]:
    return list(value) if isinstance(value, list) else [text_of(value)]


def sql_deed(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    """A function that runs a statement in the database that the program has connected to."""
    if not args or not isinstance(args[0], str):
        return
    if doings.database and "=" not in doings.database and "://" not in doings.database:
        doings.runs(source, "sqlite3", doings.database, args[0])
    else:
        doings.runs(source, "psql", "-d", doings.database, "-c", args[0])


def deed(*words: str, count: int = 1) -> Deed:
    """A function that does what `words` with its first `count` arguments do."""

    def does(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
        given = [word for arg in args[:count] for word in words_of(arg)]
        doings.runs(source, *words, *given)

    return does


def shell_deed(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """A function that gives its first argument to a shell, or its list of words to the system."""
    first = args[0] if args else next((named[key] for key in ("args", "command", "cmd") if key in named), None)
    if isinstance(first, list):
        doings.runs(source, *first)
    else:
        doings.shell(source, text_of(first))


def spawn_deed(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    """A function that takes a program and its words."""
    words = [word for arg in args for word in (arg if isinstance(arg, list) else [arg] if arg is not None else [])]
    if len(words) == 1 and " " in words[0]:
        doings.shell(source, words[0])
    elif words:
        doings.runs(source, *words)
    else:
        doings.shell(source, some("computed"))


def open_deed(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    mode = text_of(args[1] if len(args) > 1 else named.get("mode", "r"))
    doings.runs(
        source, "tee" if any(letter in mode for letter in "wax+>") else "cat", text_of(args[0] if args else None)
    )


def write_deed(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    """A function that writes its second argument into the file that is its first."""
    path, text = text_of(args[0] if args else None, "a path"), args[1] if len(args) > 1 else None
    if isinstance(text, str) and len(text) < 100_000:
        doings.inner.append(Inner(via=source, words=("tee", "-a", path), stdin=text))
    else:
        doings.runs(source, "tee", path)


def send_deed(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """A function that sends its second argument to the URL that is its first."""
    data = next((named[key] for key in ("data", "json", "files", "content", "body") if key in named), None)
    data = data if data is not None else args[1] if len(args) > 1 else None
    doings.runs(source, "curl", "--data", text_of(data, "data"), text_of(args[0] if args else named.get("url"), "url"))


def fetch_deed(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    if "data" in named or "body" in named:
        send_deed(source, args, named, doings)
    else:
        doings.runs(source, "curl", text_of(args[0] if args else named.get("url"), "url"))
