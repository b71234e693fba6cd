"""What a command runs inside of itself: `sudo rm`, `sh -c '…'`, `find -exec`, `ssh host …`. Pure functions of words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lockgate.policies.shell.foreign import by_variable
from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import Command, versionless
from lockgate.policies.shell.prefixes import PREFIXES, prefixed
from lockgate.policies.shell.runners import RUNNERS

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "mksh", "fish", "rbash", "bash5", "csh", "tcsh"})


INTERPRETERS: Mapping[str, str] = {
    **dict.fromkeys(SHELLS, "sh"),
    **dict.fromkeys(("python", "python2", "python3", "py", "pypy", "pypy3", "ipython"), "python"),
    **dict.fromkeys(("node", "nodejs", "deno", "bun", "tsx", "ts-node"), "javascript"),
    **dict.fromkeys(("perl", "perl5"), "perl"),
    **dict.fromkeys(("ruby", "jruby"), "ruby"),
    **dict.fromkeys(("php", "php8"), "php"),
    **dict.fromkeys(("lua", "luajit"), "lua"),
    **dict.fromkeys(("rscript", "r"), "r"),
    "julia": "julia",
    **dict.fromkeys(("elixir", "iex"), "elixir"),
    **dict.fromkeys(("groovy", "scala"), "groovy"),
    "osascript": "applescript",
    **dict.fromkeys(("pwsh", "powershell"), "powershell"),
}
"""Programs that run a text, and the language of the text."""


_CODE_FLAGS: Mapping[str, re.Pattern[str]] = {
    "sh": re.compile(r"-[a-zA-Z]*c[a-zA-Z]*|--command"),
    "python": re.compile(r"-[a-zA-Z]*c"),
    "javascript": re.compile(r"-[ep]|-pe|--eval|--print|eval"),
    "perl": re.compile(r"-[a-zA-Z0-9]*[eE]"),
    "ruby": re.compile(r"-[a-z]*e"),
    "php": re.compile(r"-r|--run"),
    "lua": re.compile(r"-e"),
    **dict.fromkeys(("r", "julia", "elixir", "groovy"), re.compile(r"-[eE]|--eval")),
    "applescript": re.compile(r"-e"),
    "powershell": re.compile(r"-c(?:ommand)?", re.IGNORECASE),
}


_POWERSHELL_FLAG = re.compile(r"(?i)-(?:nop|nol|noe|non|noni|sta|mta|noprofile|nologo|noexit|noninteractive)\b")
_VALUED_FLAGS = frozenset(
    {"-m", "-W", "-X", "-O", "-o", "-r", "--rcfile", "--init-file", "-I", "--require", "-ExecutionPolicy"}
)


def inner_of(command: Command) -> Iterator[Inner]:
    """What the command runs, as far as its own words and input tell."""
    name = versionless(command.name)
    if command.assignments:
        yield from by_variable(command)
    if name in (".", "source") and command.args[:1] == ("/dev/stdin",) and command.stdin is not None:
        yield Inner(via=name, script=command.stdin, reads_input=False)
    if language := INTERPRETERS.get(name):
        yield from _interpreted(command, language)
    elif prefix := PREFIXES.get(name):
        yield from prefixed(command, prefix)
        if name == "ssh":
            yield from RUNNERS["scp"](command)
    elif find := RUNNERS.get(command.name) or RUNNERS.get(name):
        yield from find(command)


def code_of(command: Command) -> tuple[str, str, Sequence[str]] | None:
    """The language and text that an interpreter is given in its words, and what follows."""
    language = INTERPRETERS.get(versionless(command.name), "")
    if not language:
        return None
    flag, args = _CODE_FLAGS[language], command.args
    for at, arg in enumerate(args):
        if flag.fullmatch(arg) and at + 1 < len(args):
            texts = [b for a, b in zip(args[at:], args[at + 1 :], strict=False) if flag.fullmatch(a)]
            return (
                language,
                "\n".join(texts) if language in ("perl", "ruby", "applescript") else args[at + 1],
                args[at + 2 :],
            )
        if arg.startswith("--eval=") or (language == "python" and re.match(r"-c.", arg)):
            return language, arg.partition("=")[2] if arg.startswith("--") else arg[2:], args[at + 1 :]
        if not arg.startswith(("-", "+")) and args[at - 1 : at] and args[at - 1] not in _VALUED_FLAGS:
            return None
        if not arg.startswith(("-", "+")) and at == 0:
            return None
    return None


def script_file(command: Command) -> tuple[str, Sequence[str]] | None:
    """The file that an interpreter is to run, and its arguments; None where it reads its input instead."""
    args = list(command.args)
    while args:
        arg = args.pop(0)
        if arg in ("-s", "-", "-m") or (
            arg.startswith("-") and not arg.startswith("--") and "s" in arg[1:] and not args
        ):
            return None
        if arg in _VALUED_FLAGS:
            args[:1] = []
        elif not arg.startswith(("-", "+")) and arg not in ("run",):
            return arg, args
    return None


def _first_file(command: Command) -> str:
    """The file that a shell reads before it asks for commands."""
    args = command.args
    return next((args[at + 1] for at, arg in enumerate(args[:-1]) if arg in ("--rcfile", "--init-file")), "")


def _reads_input(command: Command) -> bool:
    given = script_file(command)
    return given is None or given[0] in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def _interpreted(command: Command, language: str) -> Iterator[Inner]:
    if language == "python" and "-m" in command.args[:-1]:
        at = list(command.args).index("-m")
        if not any(arg == "-c" for arg in command.args[:at]) and all(arg.startswith("-") for arg in command.args[:at]):
            yield Inner(via=f"{command.name} -m", words=command.args[at + 1 :])
            return
    if code := code_of(command):
        _, text, rest = code
        if language == "powershell":
            text = " ".join((text, *rest))
        flag = "-c" if language in ("sh", "python", "powershell") else "-e"
        positional = list(rest) if language == "sh" else None
        yield Inner(via=f"{command.name} {flag}", script=text, language=language, positional=positional)
    elif language == "powershell" and (words := [arg for arg in command.args if not _POWERSHELL_FLAG.match(arg)]):
        yield Inner(via=command.name, script=" ".join(words), language=language)
    elif language == "sh" and (first := _first_file(command)):
        yield Inner(via=command.name, words=(".", first))
    elif command.stdin is not None and _reads_input(command) and "-m" not in command.args:
        yield Inner(via=command.name, script=command.stdin, language=language, reads_input=False)
