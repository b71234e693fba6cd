"""Rules that judge one command each: their names, why they matter, and how bad it is from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import HERE, Command, shown
from lockgate.policies.shell.paths import Place, place

PACKS = (
    *("files", "git", "disks", "processes", "network", "packages", "cloud", "database", "containers", "privilege"),
    "exfiltration",
)
"""Every pack, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What rules know beside the command."""

    workspace: str = ""
    """The absolute path of the workspace; "" where it is not known, and where commands start then counts as it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to do harm."""

    pack: str
    name: str
    why: str
    """A sentence for the one who is refused."""
    judge: Callable[[Command, Setting], float]
    programs: frozenset[str]
    """The programs it is about; all of them, where it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """That a rule found harm in a command."""

    rule: Rule
    score: float
    command: Command


_BY_PROGRAM: dict[str, list[Rule]] = {}
_FOR_ALL: list[Rule] = []
RULES: dict[str, Rule] = {}


def rule(pack: str, name: str, why: str, programs: str = "") -> Callable[[Callable[[Command, Setting], float]], None]:
    """Registers a function that scores a command of these programs; 0 means it is none of its business."""

    def register(judge: Callable[[Command, Setting], float]) -> None:
        _add(Rule(pack=pack, name=name, why=why, judge=judge, programs=frozenset(programs.split())))

    return register


def rows(pack: str, programs: str, *table: tuple[str, float, str, str]) -> None:
    """Registers rules for programs that are told by their words: name, score, RE2 pattern of the words, and why."""
    for name, score, pattern, why in table:
        _add(Rule(pack=pack, name=name, why=why, judge=_matcher(pattern, score), programs=frozenset(programs.split())))


def _add(new: Rule) -> None:
    RULES.setdefault(new.name, new)
    for program in new.programs:
        _BY_PROGRAM.setdefault(program, []).append(new)
    if not new.programs:
        _FOR_ALL.append(new)


def _matcher(pattern: str, score: float) -> Callable[[Command, Setting], float]:
    return lambda command, _: score if finds(pattern, line(command)) else 0.0


def judged(command: Command, setting: Setting, packs: Sequence[str]) -> Iterator[Finding]:
    """What the rules of these packs find in one command. Asking a program for help is no harm."""
    if command.args[-1:] in (("--help",), ("--version",)) and len(command.args) < 3:
        return
    for one in (*_BY_PROGRAM.get(command.name, ()), *_FOR_ALL):
        if one.pack in packs and (score := one.judge(command, setting)) > 0:
            yield Finding(rule=one, score=min(1.0, score), command=command)


# What rules ask of a command.

_GLOBAL_OPTIONS = {
    "git": "-C -c --git-dir --work-tree --namespace --exec-path",
    "docker": "-H --host --context -c --config -l --log-level",
    "podman": "--connection --url",
    "kubectl": "-n --namespace --context --kubeconfig --cluster --user -s --server --as",
    "oc": "-n --namespace --context",
    "aws": "--profile --region --output --endpoint-url",
    "gcloud": "--project --account --configuration --format",
    "helm": "-n --namespace --kube-context --kubeconfig",
    "az": "--subscription",
    "npm": "--prefix --registry",
    "terraform": "",
    "systemctl": "-H -M",
}


_line: tuple[Command | None, str] = (None, "")
"""The command whose line was asked for last: every rule about a command asks for it."""


def line(command: Command) -> str:
    """The command's arguments as one text, without the options that stand before its verb."""
    global _line
    of, text = _line
    if of is not command:
        text = _joined(command)
        _line = (command, text)
    return text


def _joined(command: Command) -> str:
    args = list(command.args)
    if (valued := _GLOBAL_OPTIONS.get(command.name)) is not None:
        while args and args[0].startswith("-"):
            args[: 2 if args[0] in valued.split() else 1] = []
    return " ".join(map(shown, args))


def has(command: Command, *options: str) -> bool:
    """Whether one of the options is given; a short one also in a cluster such as `-rf`."""
    for arg in command.args:
        if arg == "--":
            return False
        for option in options:
            if arg == option or arg.startswith(f"{option}="):
                return True
            if len(option) == 2 and arg[:1] == "-" and arg[:2] != "--" and option[1] in arg[1:] and len(arg) <= 8:
                return True
    return False


def value(command: Command, *options: str) -> str:
    """What an option is given, in any of the usual spellings; "" where it is not given."""
    args = command.args
    for at, arg in enumerate(args):
        for option in options:
            if arg == option and at + 1 < len(args):
                return args[at + 1]
            if option.startswith("--") and arg.startswith(f"{option}="):
                return arg[len(option) + 1 :]
            if len(option) == 2 and arg.startswith(option) and len(arg) > 2 and not arg.startswith("--"):
                return arg[2:]
    return ""


def operands(command: Command, valued: str = "") -> list[str]:
    """The arguments that are no options, and no values of those options that take one."""
    out, takes, plain, skip = list[str](), valued.split(), False, False
    for arg in command.args:
        if skip:
            skip = False
        elif plain or not arg.startswith("-") or arg == "-":
            out.append(arg)
        elif arg == "--":
            plain = True
        else:
            skip = arg in takes
    return out


def chosen(command: Command) -> bool:
    """Whether a filter before it tells which names are meant, and not only which are not."""
    filters = ("grep", "egrep", "rg", "where-object", "select-string", "findstr")
    return any(feed.name in filters and not has(feed, "-v", "--invert-match") for feed in command.feeds)


def places(command: Command, paths: Sequence[str], setting: Setting) -> list[Place]:
    return [where(command, path, setting) for path in paths]


def where(command: Command, path: str, setting: Setting) -> Place:
    """Where one of the command's paths leads."""
    cwd = command.cwd
    return place(path, HERE if command.inside and cwd == HERE else cwd, command.links, setting.workspace)


_WRITERS = frozenset({"add-content", "set-content", "out-file", "clear-content"})


def written(command: Command, setting: Setting) -> list[Place]:
    """What the command's redirections write, and PowerShell's programs in their place."""
    targets = [r.target for r in command.redirects if r.kind in ("write", "append")]
    if command.name in _WRITERS:
        targets += [value(command, "-Path", "-FilePath", "-LiteralPath") or next(iter(operands(command)), "")]
    return places(command, targets, setting)


def read_by(command: Command, setting: Setting) -> list[Place]:
    """What its redirections read."""
    return places(command, [r.target for r in command.redirects if r.kind == "read"], setting)
