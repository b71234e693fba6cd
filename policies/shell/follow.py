"""What a command runs inside of itself: `sudo rm`, `sh -c '…'`, `find -exec`, `ssh host …`. Pure functions of words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lockgate.policies.shell.model import Command, known, some

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "mksh", "fish", "rbash", "bash5", "csh", "tcsh"})
INTERPRETERS: Mapping[str, str] = {
    **dict.fromkeys(SHELLS, "sh"),
    **dict.fromkeys(("python", "python2", "python3", "pypy", "pypy3", "ipython"), "python"),
    **dict.fromkeys(("node", "nodejs", "deno", "bun", "tsx", "ts-node"), "javascript"),
    **dict.fromkeys(("perl", "perl5"), "perl"),
    **dict.fromkeys(("ruby", "jruby"), "ruby"),
    **dict.fromkeys(("php", "php8"), "php"),
    **dict.fromkeys(("lua", "luajit"), "lua"),
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
    "applescript": re.compile(r"-e"),
    "powershell": re.compile(r"-c(?:ommand)?", re.IGNORECASE),
}
_VALUED_FLAGS = frozenset(
    {"-m", "-W", "-X", "-O", "-o", "-r", "--rcfile", "--init-file", "-I", "--require", "-ExecutionPolicy"}
)
MAX_ARGUMENTS = 200

type Where = Literal["", "container", "remote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Something that a command runs: words, or a script in a language."""

    via: str
    words: Sequence[str] = ()
    script: str | None = None
    language: str = "sh"
    positional: Sequence[str] | None = None
    assignments: Mapping[str, str] = field(default_factory=dict[str, str])
    inside: Where = ""
    cwd: str | None = None
    reads_input: bool = True
    """Whether it gets the command's own input."""


def inner_of(command: Command) -> Iterator[Inner]:
    """What the command runs, as far as its own words and input tell."""
    name = re.sub(r"(?<=[a-z])[\d.]+$", "", command.name)
    if language := INTERPRETERS.get(name):
        yield from _interpreted(command, language)
    elif prefix := _PREFIXES.get(name):
        yield from _prefixed(command, prefix)
    elif find := _RUNNERS.get(name):
        yield from find(command)


def code_of(command: Command) -> tuple[str, str, Sequence[str]] | None:
    """The language and text that an interpreter is given in its words, and what follows."""
    language = INTERPRETERS.get(re.sub(r"(?<=[a-z])[\d.]+$", "", command.name), "")
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
    elif command.stdin is not None and script_file(command) is None:
        if not any(arg == "-m" for arg in command.args):
            yield Inner(via=command.name, script=command.stdin, language=language, reads_input=False)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A program that runs the rest of its words."""

    valued: str = ""
    """Options that take the next word."""
    skip: int = 0
    """Operands before the program."""
    inside: Where = ""
    joined: bool = False
    """Whether the words are joined and read as a shell command."""
    script: str = ""
    """Options that take a shell command."""


_SUDO = "-u -g -C -D -h -p -R -r -t -T -U --user --group --chdir --host --prompt --chroot --close-from"
_DOCKER_RUN = (
    "-v --volume -e --env -p --publish -w --workdir -u --user --name --network --net --entrypoint --env-file --mount "
    "-m --memory --cpus --platform -h --hostname -l --label --add-host --cap-add --cap-drop --device --dns --gpus "
    "--restart --security-opt --shm-size --tmpfs --ulimit --link --log-driver --pid --ipc --userns --volumes-from "
    "--pull --cpuset-cpus --index -n --namespace -c --container --context --expose -a --attach --runtime"
)
_PREFIXES: Mapping[str, _Prefix] = {
    "sudo": _Prefix(_SUDO),
    "doas": _Prefix("-u -C"),
    "env": _Prefix("-u -C --unset --chdir", script="-S --split-string"),
    "nohup": _Prefix(),
    "timeout": _Prefix("-s -k --signal --kill-after", skip=1),
    "gtimeout": _Prefix("-s -k --signal --kill-after", skip=1),
    "nice": _Prefix("-n --adjustment"),
    "ionice": _Prefix("-c -n --class --classdata"),
    "time": _Prefix("-f -o --format --output"),
    "stdbuf": _Prefix("-i -o -e --input --output --error"),
    "setsid": _Prefix(),
    "command": _Prefix(),
    "builtin": _Prefix(),
    "exec": _Prefix("-a"),
    "coproc": _Prefix(),
    "busybox": _Prefix(),
    "toybox": _Prefix(),
    "chroot": _Prefix("--userspec --groups", skip=1),
    "unshare": _Prefix("-R -w -S -G --root --wd --setuid --setgid"),
    "nsenter": _Prefix("-t --target -S -G --setuid --setgid"),
    "fakeroot": _Prefix("-l -s -i -b"),
    "proot": _Prefix("-r -b -w"),
    "xvfb-run": _Prefix("-n -s -e -f -p"),
    "strace": _Prefix("-e -o -p -s -u -E -O -S -I -P"),
    "ltrace": _Prefix("-e -o -p -s -u"),
    "chrt": _Prefix("-T -P -D", skip=1),
    "taskset": _Prefix("", skip=1),
    "caffeinate": _Prefix("-t -w"),
    "firejail": _Prefix(),
    "pkexec": _Prefix("--user"),
    "gosu": _Prefix("", skip=1),
    "su-exec": _Prefix("", skip=1),
    "setpriv": _Prefix("--reuid --regid --groups"),
    "capsh": _Prefix(""),
    "dbus-run-session": _Prefix("--config-file"),
    "systemd-run": _Prefix("-p -u -M -H --unit --property --slice --uid --gid --on-active --on-calendar"),
    "unbuffer": _Prefix(),
    "script": _Prefix("", script="-c --command", skip=9),
    "su": _Prefix("-s -g -G -w --shell --group", script="-c --command", skip=9),
    "runuser": _Prefix("-u -g -s --user --group --shell", script="-c --command"),
    "flock": _Prefix("-w -E --timeout", skip=1, script="-c --command"),
    "watch": _Prefix("-n --interval", joined=True),
    "entr": _Prefix(),
    "dotenv": _Prefix("-f -e"),
    "direnv": _Prefix(skip=2),
    "aws-vault": _Prefix(skip=2),
    "op": _Prefix(skip=1),
    "doppler": _Prefix("-p -c --project --config", skip=1, script="--command"),
    "chpst": _Prefix("-u -U -b -e -d"),
    "torsocks": _Prefix(),
    "proxychains": _Prefix("-f"),
    "proxychains4": _Prefix("-f"),
    "rlwrap": _Prefix(),
    "catchsegv": _Prefix(),
    "hyperfine": _Prefix("-w -r -p -c -n --warmup --runs --prepare --cleanup --export-json", joined=True),
    "noglob": _Prefix(),
    "nocorrect": _Prefix(),
    "then": _Prefix(),
    "do": _Prefix(),
    "else": _Prefix(),
    "if": _Prefix(),
    "while": _Prefix(),
    "until": _Prefix(),
    "!": _Prefix(),
    "{": _Prefix(),
    "npx": _Prefix("-p --package", script="-c --call"),
    "bunx": _Prefix(),
    "pnpx": _Prefix(),
    "uvx": _Prefix("--from --with --python -p"),
    "pipx": _Prefix(),
    "ssh": _Prefix("-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w", skip=1, inside="remote", joined=True),
    "autossh": _Prefix("-M -b -c -D -F -i -J -L -l -o -p -R -S -W", skip=1, inside="remote", joined=True),
}
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def _prefixed(command: Command, prefix: _Prefix) -> Iterator[Inner]:
    valued, scripts = prefix.valued.split(), prefix.script.split()
    if command.name == "command" and any(re.fullmatch(r"-[vV]", arg) for arg in command.args):
        return
    args, assignments, skip = list(command.args), dict[str, str](), prefix.skip
    cwd = None
    while args:
        arg = args[0]
        if arg in scripts and len(args) > 1:
            yield Inner(via=command.name, script=" ".join(args[1:]) if arg == "-S" else args[1], inside=prefix.inside)
            return
        if option := next((long for long in scripts if arg.startswith(f"{long}=")), ""):
            yield Inner(via=command.name, script=arg[len(option) + 1 :], inside=prefix.inside)
            return
        if arg == "--":
            args.pop(0)
            break
        if arg.startswith("-") and len(arg) > 1:
            cwd = (
                args[1] if arg in ("-C", "-D", "--chdir") and command.name in ("env", "sudo") and len(args) > 1 else cwd
            )
            del args[: 2 if arg in valued else 1]
        elif command.name in ("env", "sudo", "doas") and (found := _ASSIGNMENT.fullmatch(arg)):
            assignments[found[1]] = found[2]
            args.pop(0)
        elif skip:
            skip -= 1
            args.pop(0)
        else:
            break
    if args and prefix.joined:
        yield Inner(via=command.name, script=" ".join(args), inside=prefix.inside)
    elif args:
        yield Inner(via=command.name, words=args, assignments=assignments, inside=prefix.inside, cwd=cwd)
    elif prefix.inside == "remote" and command.stdin is not None:
        yield Inner(via=command.name, script=command.stdin, inside=prefix.inside, reads_input=False)
    elif command.name == "su" and command.stdin is not None:
        yield Inner(via=command.name, script=command.stdin, reads_input=False)


def _eval(command: Command) -> Iterator[Inner]:
    yield Inner(via=command.name, script=" ".join(command.args))


_XARGS = _Prefix("-d -E -I -L -n -P -s -a --delimiter --max-args --max-procs --max-lines --replace --arg-file -J -R")


def _xargs(command: Command) -> Iterator[Inner]:
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
        words = [part for word in args for part in _placed(word, place, given)] if place else [*args, *given]
        yield Inner(via="xargs", words=words, reads_input=False)


def _given(command: Command, split: str | None, *, whole: bool) -> Iterator[Sequence[str]]:
    """The words that xargs adds, one list for each call."""
    if command.stdin is None or not known(command.stdin):
        yield found_by(command)
        return
    text = command.stdin.replace("\0", "\n")
    if split:
        words = [part for part in text.split(ansi(split))]
    elif whole:
        words = text.splitlines()
    else:
        words = text.split()
    words = words[:MAX_ARGUMENTS]
    if whole:
        yield from ([word.strip()] for word in words if word.strip())
    elif words:
        yield words


def ansi(text: str) -> str:
    from lockgate.policies.shell.words import ansi_c

    return ansi_c(text)


def _placed(word: str, place: str, given: Sequence[str]) -> Sequence[str]:
    return [word.replace(place, " ".join(given))]


def found_by(command: Command) -> Sequence[str]:
    """What is known of the names that another command finds: the folders that it looks into."""
    finder = next((feed for feed in reversed(command.feeds) if feed.name in ("find", "fd", "fdfind", "ls", "du")), None)
    if finder is None:
        label = next((str(feed) for feed in reversed(command.feeds)), "input")
        return [some(label)]
    return [f"{root.rstrip('/')}/{found}" if root != "." else found for root, found in _found(finder)]


def _found(finder: Command) -> Iterator[tuple[str, str]]:
    roots, tests = _find_parts(finder) if finder.name == "find" else (_plain(finder.args), ())
    narrow = any(test.startswith(_NARROW) for test in tests) or (finder.name != "find" and finder.name != "ls")
    yield from ((root, some(str(finder)) if narrow else "*") for root in roots or ["."])


def _plain(args: Sequence[str]) -> list[str]:
    return [arg for arg in args if not arg.startswith("-")]


_NARROW = (
    *("-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex", "-empty", "-newer", "-mtime", "-mmin"),
    *("-atime", "-amin", "-ctime", "-cmin", "-size", "-inum", "-samefile", "-lname", "-xtype", "-links"),
)


def _find_parts(command: Command) -> tuple[list[str], list[str]]:
    """The folders that `find` looks into, and its tests and actions."""
    args = list(command.args)
    while args and (args[0] in ("-H", "-L", "-P") or args[0].startswith(("-O", "-D"))):
        args.pop(0)
    at = next((at for at, arg in enumerate(args) if arg.startswith("-") or arg in ("(", "!", ")")), len(args))
    return args[:at] or ["."], args[at:]


def _find(command: Command) -> Iterator[Inner]:
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


def _fd(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    at = next((at for at, arg in enumerate(args) if arg in ("-x", "-X", "--exec", "--exec-batch")), None)
    if at is not None and args[at + 1 :]:
        words = [arg for arg in args[at + 1 :] if arg != ";"]
        mark = some("fd")
        yield Inner(via="fd -x", words=[w.replace("{}", mark) for w in words] + ([] if "{}" in words else [mark]))


def _parallel(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    while args and args[0].startswith("-"):
        args[: 2 if args[0] in ("-j", "-S", "--jobs", "-a", "--colsep", "-n", "-N") else 1] = []
    at = next((at for at, arg in enumerate(args) if arg in (":::", "::::", ":::+")), len(args))
    given = args[at + 1 :] if at < len(args) else list(next(_given(command, "\n", whole=False), ()))
    script = " ".join(args[:at])
    for one in given[:MAX_ARGUMENTS] or [some("input")]:
        text = script.replace("{}", one) if "{}" in script else f"{script} {one}".strip()
        yield Inner(via="parallel", script=text, reads_input=False)


def _container(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    while args and args[0].startswith("-"):
        args[
            : 2 if args[0] in ("-H", "--context", "-n", "--namespace", "-f", "--file", "-p", "--kubeconfig") else 1
        ] = []
    while args and args[0] in ("compose", "container"):
        args.pop(0)
        while args and args[0].startswith("-"):
            args[: 2 if args[0] in ("-f", "--file", "-p", "--project-name", "--profile") else 1] = []
    if not args or args[0] not in ("exec", "run", "debug"):
        return
    verb, args, entry = args[0], args[1:], ""
    while args and args[0].startswith("-") and args[0] != "--":
        entry = args[1] if args[0] == "--entrypoint" and len(args) > 1 else entry
        entry = args[0].partition("=")[2] if args[0].startswith("--entrypoint=") else entry
        valued = args[0] in _DOCKER_RUN.split() and not (command.name in ("kubectl", "oc") and args[0] in ("-p",))
        args[: 2 if valued else 1] = []
    args = args[1:]  # the container or image
    while args and args[0].startswith("-") and "--" in args and command.name in ("kubectl", "oc"):
        args.pop(0)
    words = [*([entry] if entry else []), *(args[args.index("--") + 1 :] if "--" in args else args)]
    if words:
        yield Inner(via=f"{command.name} {verb}", words=words, inside="container")


def _git(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    aliases: dict[str, str] = {}
    while args and args[0].startswith("-"):
        option = args.pop(0)
        if option in ("-c", "-C", "--git-dir", "--work-tree", "--exec-path") and args:
            value = args.pop(0)
            if option == "-c" and (found := re.match(r"alias\.([\w-]+)=!(.*)", value, re.DOTALL)):
                aliases[found[1]] = found[2]
            elif option == "-c" and (
                hook := re.match(
                    r"core\.(?:pager|editor|sshcommand|fsmonitor|hookspath)=(.+)", value, re.IGNORECASE | re.DOTALL
                )
            ):
                if "pager" not in option and hook[1] not in ("cat", "less"):
                    yield Inner(via="git -c", script=hook[1])
    if not args:
        return
    if args[0] in aliases:
        yield Inner(via="git alias", script=" ".join((aliases[args[0]], *map(shlex.quote, args[1:]))))
    elif args[:2] == ["submodule", "foreach"] or args[:2] == ["bisect", "run"]:
        rest = [arg for arg in args[2:] if arg != "--recursive"]
        yield Inner(via=" ".join(("git", *args[:2])), script=" ".join(rest) if len(rest) == 1 else shlex.join(rest))
    elif args[0] == "rebase":
        for at, arg in enumerate(args):
            if arg in ("-x", "--exec") and at + 1 < len(args):
                yield Inner(via="git rebase --exec", script=args[at + 1])
    elif args[0] == "filter-branch":
        for at, arg in enumerate(args):
            if arg.endswith("-filter") and at + 1 < len(args):
                yield Inner(via="git filter-branch", script=args[at + 1], cwd="/tmp/filter-branch")


_AWK_SYSTEM = re.compile(
    r'system\s*\(\s*"((?:[^"\\]|\\.)*)"|\|\s*"((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"\s*\|\s*getline'
)


def _awk(command: Command) -> Iterator[Inner]:
    for arg in command.args:
        for found in _AWK_SYSTEM.finditer(arg[:20_000]):
            yield Inner(via="awk", script=(found[1] or found[2] or found[3] or "").replace('\\"', '"'))


def _tar(command: Command) -> Iterator[Inner]:
    for at, arg in enumerate(command.args):
        if found := re.match(
            r"--(?:checkpoint-action=exec|to-command|use-compress-program|rsh-command)=(.*)", arg, re.DOTALL
        ):
            yield Inner(via="tar", script=found[1])
        elif arg == "-I" and command.name != "tar" and at + 1 < len(command.args):
            yield Inner(via="tar", script=command.args[at + 1])


def _trap(command: Command) -> Iterator[Inner]:
    args = [arg for arg in command.args if arg != "--"]
    if len(args) > 1 and not args[0].startswith("-"):
        yield Inner(via="trap", script=args[0])


def _editor(command: Command) -> Iterator[Inner]:
    for at, arg in enumerate(command.args):
        text = command.args[at + 1] if arg in ("-c", "--cmd") and at + 1 < len(command.args) else arg
        if text.startswith((":!", "!", "+!", "+:!")):
            yield Inner(via=command.name, script=text.lstrip("+:").removeprefix("!"))
        elif found := re.search(r"(?:system|execute)\(\s*['\"](.+?)['\"]\s*\)", text):
            yield Inner(via=command.name, script=found[1])


def _screen(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    if (
        command.name == "tmux"
        and args[:1]
        and args[0] in ("send-keys", "send", "new-session", "new", "new-window", "neww")
    ):
        rest = args[1:]
        words = [
            w
            for i, w in enumerate(rest)
            if not w.startswith("-") and rest[i - 1 : i] not in (["-t"], ["-s"], ["-n"], ["-c"])
        ]
        words = [word for word in words if word not in ("Enter", "C-m", "C-c", "KPEnter")]
        if words:
            yield Inner(via=f"tmux {args[0]}", script=" ".join(words))
    elif command.name == "screen":
        words = [w for i, w in enumerate(args) if not w.startswith("-") and args[i - 1 : i] not in (["-S"], ["-X"])]
        if words:
            yield Inner(via="screen", words=words)


def _input_script(command: Command) -> Iterator[Inner]:
    """`at` and `batch` run what they read."""
    if command.stdin is not None:
        yield Inner(via=command.name, script=command.stdin, reads_input=False)


def _crontab(command: Command) -> Iterator[Inner]:
    for line in (command.stdin or "").splitlines():
        if found := re.match(r"\s*(?:@\w+|(?:[\d*/,\-A-Za-z]+\s+){5})\s*(.+)", line):
            yield Inner(via="crontab", script=found[1], reads_input=False)


def _project(command: Command) -> Iterator[Inner]:
    """`uv run X`, `poetry run X`, `npm exec -- X`, `bundle exec X`."""
    args = list(command.args)
    while args and args[0].startswith("-"):
        args.pop(0)
    if args[:1] and args[0] in ("run", "exec", "x", "dlx") and (command.name, args[0]) not in _SCRIPTS:
        rest = args[1:]
        while rest and rest[0].startswith("-") and rest[0] != "--":
            rest[
                : 2
                if rest[0] in ("--with", "--python", "-p", "--extra", "--group", "-n", "--package", "--project")
                else 1
            ] = []
        rest = rest[1:] if rest[:1] == ["--"] else rest
        if rest:
            yield Inner(via=f"{command.name} {args[0]}", words=rest)


_SCRIPTS = {
    ("npm", "run"),
    ("pnpm", "run"),
    ("yarn", "run"),
    ("bun", "run"),
    ("cargo", "run"),
    ("go", "run"),
    ("deno", "run"),
}


def _vagrant(command: Command) -> Iterator[Inner]:
    for flag in ("-c", "--command"):
        if flag in command.args[:-1]:
            at = list(command.args).index(flag)
            yield Inner(via=f"{command.name} ssh", script=command.args[at + 1], inside="remote")


def _gcloud(command: Command) -> Iterator[Inner]:
    if "ssh" in command.args:
        for at, arg in enumerate(command.args):
            if arg.startswith("--command="):
                yield Inner(via="gcloud ssh", script=arg.partition("=")[2], inside="remote")
            elif arg == "--command" and at + 1 < len(command.args):
                yield Inner(via="gcloud ssh", script=command.args[at + 1], inside="remote")


_RUNNERS: Mapping[str, Callable[[Command], Iterator[Inner]]] = {
    "eval": _eval,
    "xargs": _xargs,
    "gxargs": _xargs,
    "find": _find,
    "gfind": _find,
    "fd": _fd,
    "fdfind": _fd,
    "parallel": _parallel,
    **dict.fromkeys(("docker", "podman", "nerdctl", "kubectl", "oc", "docker-compose"), _container),
    "git": _git,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    "tar": _tar,
    "trap": _trap,
    **dict.fromkeys(("vi", "vim", "nvim", "ex", "ed", "less", "more", "man"), _editor),
    "tmux": _screen,
    "screen": _screen,
    "at": _input_script,
    "batch": _input_script,
    "crontab": _crontab,
    **dict.fromkeys(
        ("uv", "poetry", "pipenv", "pdm", "hatch", "rye", "bundle", "npm", "pnpm", "yarn", "bun", "mise"), _project
    ),
    **dict.fromkeys(("conda", "mamba", "micromamba", "asdf", "nix"), _project),
    "vagrant": _vagrant,
    "gcloud": _gcloud,
}
