"""`find`, `fd`, `xargs` and `parallel`: what they look up, and what they run with it. Pure functions of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import Command, known, some
from lockgate.policies.shell.prefixes import Prefix
from lockgate.policies.shell.words import ansi_c

MAX_ARGUMENTS = 200


_XARGS = Prefix("-d -E -I -L -n -P -s -a --delimiter --max-args --max-procs --max-lines --replace --arg-file -J -R")


def xargs(command: Command) -> Iterator[Inner]:
    args, place, split, many = list(command.args), "", None, False
    while args and args[0].startswith("-"):
        arg = args.pop(0)
        if arg in _XARGS.valued.split() and args:
            value = args.pop(0)
            place = value if arg in ("-I", "-J", "--replace") else place
            split = value if arg in ("-d", "--delimiter") else split
            many = many or arg == "-L"
        elif arg.startswith("-I") or arg.startswith("--replace=") or arg == "-i":
            place = arg[2:] if arg.startswith("-I") else arg.partition("=")[2] or "{}"
        elif arg.startswith("-d"):
            split = arg[2:]
    args = args or ["echo"]
    for given in _given(command, split, whole=bool(place)):
        bare = [word.rpartition("/")[2] for word in given] if command.feeds and _bare_names(command) else given
        words = [_placed(word, place, given, bare) for word in args] if place else [*args, *given]
        yield Inner(via="xargs", words=words, reads_input=False)


def _given(command: Command, split: str | None, *, whole: bool) -> Iterator[Sequence[str]]:
    """The words that xargs adds, one list for each call."""
    if command.stdin is None or not known(command.stdin):
        yield found_by(command)
        return
    text = command.stdin.replace("\0", "\n")
    if split:
        words = list(text.split(ansi_c(split)))
    elif whole:
        words = text.splitlines()
    else:
        words = text.split()
    words = words[:MAX_ARGUMENTS]
    if whole:
        yield from ([word.strip()] for word in words if word.strip())
    elif words:
        yield words


def _placed(word: str, place: str, given: Sequence[str], bare: Sequence[str]) -> str:
    return word.replace(place, " ".join(given if word == place else bare))


def _bare_names(command: Command) -> bool:
    """Whether the names that it reads are a listing's, without their folder."""
    finder = next((feed for feed in reversed(command.feeds) if feed.name in _FINDERS), None)
    return finder is not None and finder.name == "ls"


_FINDERS = ("find", "fd", "fdfind", "ls", "du")


def found_by(command: Command) -> Sequence[str]:
    """What is known of the names that another command finds: the folders that it looks into."""
    finder = next((feed for feed in reversed(command.feeds) if feed.name in _FINDERS), None)
    if finder is None:
        label = next((str(feed) for feed in reversed(command.feeds)), "input")
        return [some(label)]
    return [f"{root.rstrip('/')}/{found}" if root != "." else found for root, found in _found(finder)]


def _found(finder: Command) -> Iterator[tuple[str, str]]:
    roots, tests = _find_parts(finder) if finder.name == "find" else (_plain(finder.args), ())
    narrow = any(test.startswith(_NARROW) for test in tests) or finder.name == "du"
    if finder.name in ("fd", "fdfind"):
        pattern, roots = (roots[0], roots[1:]) if roots else (".", [])
        narrow = pattern not in (".", "", ".*", "*") or any(a in ("-e", "--extension", "-E", "-g") for a in finder.args)
    label = "sub/.git" if ".git" in tests else some(str(finder))
    yield from ((root, label if narrow else "*") for root in roots or ["."])


def _plain(args: Sequence[str]) -> list[str]:
    return [arg for arg in args if not arg.startswith("-")]


_NARROW = (
    *("-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex", "-empty", "-newer"),
    *("-inum", "-samefile", "-lname", "-xtype", "-links"),
)


def _find_parts(command: Command) -> tuple[list[str], list[str]]:
    """The folders that `find` looks into, and its tests and actions."""
    args = list(command.args)
    while args and (args[0] in ("-H", "-L", "-P") or args[0].startswith(("-O", "-D"))):
        args.pop(0)
    at = next((at for at, arg in enumerate(args) if arg.startswith("-") or arg in ("(", "!", ")")), len(args))
    return args[:at] or ["."], args[at:]


def find(command: Command) -> Iterator[Inner]:
    _, tests = _find_parts(command)
    found = [root if root[-1:] == "/" and len(root) > 1 else f"{root}/{what}" for root, what in _found(command)]
    found = [f"/{path.lstrip('/')}" if path.startswith("/") else path for path in found]
    if "-delete" in tests:
        yield Inner(via="find -delete", words=["rm", "-r", "--", *found], reads_input=False)
    for at, test in enumerate(tests):
        if test in ("-exec", "-execdir", "-ok", "-okdir"):
            words = tests[at + 1 :]
            end = next((i for i, word in enumerate(words) if word in (";", "+", "\\;")), len(words))
            for path in found:
                placed = [word.replace("{}", path) for word in words[:end]]
                if placed:
                    yield Inner(via=f"find {test}", words=placed, reads_input=False)


def fd(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    at = next((at for at, arg in enumerate(args) if arg in ("-x", "-X", "--exec", "--exec-batch")), None)
    if at is not None and args[at + 1 :]:
        words = [arg for arg in args[at + 1 :] if arg != ";"]
        finder = replace(command, words=(command.name, *args[:at]))
        for root, what in _found(finder):
            mark = f"{root.rstrip('/')}/{what}"
            yield Inner(via="find -x", words=[w.replace("{}", mark) for w in words] + ([] if "{}" in words else [mark]))


def parallel(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    while args and args[0].startswith("-"):
        args[: 2 if args[0] in ("-j", "-S", "--jobs", "-a", "--colsep", "-n", "-N") else 1] = []
    at = next((at for at, arg in enumerate(args) if arg in (":::", "::::", ":::+")), len(args))
    given = args[at + 1 :] if at < len(args) else list(next(_given(command, "\n", whole=False), ()))
    script = " ".join(args[:at])
    for one in given[:MAX_ARGUMENTS] or [some("input")]:
        text = script.replace("{}", one) if "{}" in script else f"{script} {one}".strip()
        yield Inner(via="parallel", script=text, reads_input=False)
