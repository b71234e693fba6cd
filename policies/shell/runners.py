"""Programs that run what their arguments say: `docker exec`, `git -c`, `awk`, `tmux` … Pure functions of words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping

from lockgate.policies.shell.cmd import cmd_as_shell
from lockgate.policies.shell.finders import fd, find, parallel, xargs
from lockgate.policies.shell.foreign import by_option, completion, foreign
from lockgate.policies.shell.inner import Inner
from lockgate.policies.shell.model import Command
from lockgate.policies.shell.prefixes import DOCKER_RUN


def _eval(command: Command) -> Iterator[Inner]:
    yield Inner(via=command.name, script=" ".join(command.args))


def _cmd(command: Command) -> Iterator[Inner]:
    """Windows' shell."""
    for at, arg in enumerate(command.args):
        if arg.lower() in ("/c", "/k", "//c", "//k"):
            yield Inner(via="cmd /c", script=cmd_as_shell(" ".join(command.args[at + 1 :])))
        if arg[:1] != "/" or arg.lower() in ("/c", "/k", "//c", "//k"):
            return


def _container(command: Command) -> Iterator[Inner]:
    args = list(command.args)
    while args and args[0].startswith("-"):
        args[
            : 2 if args[0] in ("-H", "--context", "-n", "--namespace", "-f", "--file", "-p", "--kubeconfig") else 1
        ] = []
    if args and args[0] in ("compose", "container"):
        del args[0]
        while args and args[0].startswith("-"):
            args[: 2 if args[0] in ("-f", "--file", "-p", "--project-name", "--profile") else 1] = []
    if not args or args[0] not in ("exec", "run", "debug"):
        return
    verb, args, entry = args[0], args[1:], ""
    while args and args[0].startswith("-") and args[0] != "--":
        entry = args[1] if args[0] == "--entrypoint" and len(args) > 1 else entry
        entry = args[0].partition("=")[2] if args[0].startswith("--entrypoint=") else entry
        valued = args[0] in DOCKER_RUN.split() and not (command.name in ("kubectl", "oc") and args[0] in ("-p",))
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
            elif (
                option == "-c"
                and (
                    hook := re.match(
                        r"core\.(?:pager|editor|sshcommand|fsmonitor|hookspath)=(.+)", value, re.IGNORECASE | re.DOTALL
                    )
                )
                and "pager" not in option
                and hook[1] not in ("cat", "less")
            ):
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


def _git_all(command: Command) -> Iterator[Inner]:
    yield from _git(command)
    yield from by_option(command)


_AWK_SYSTEM = re.compile(
    r'system\s*\(\s*"((?:[^"\\]|\\.)*)"|\|\s*"((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"\s*\|\s*getline'
)


_AWK_SET = re.compile(r'([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"')


def _awk(command: Command) -> Iterator[Inner]:
    for arg in command.args:
        if found := re.search(r"(?:system\s*\(\s*|\|\s*)([A-Za-z_]\w*)", arg[:20_000]):
            values = [text for name, text in _AWK_SET.findall(arg[:20_000]) if name == found[1]]
            yield from (Inner(via="awk", script=text) for text in values)
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


def _edited(command: Command) -> Iterator[Inner]:
    yield from _editor(command)
    yield from by_option(command)
    if command.stdin is not None and command.stdin.startswith("!"):
        yield Inner(via=command.name, script=command.stdin[1:], reads_input=False)
    for arg in command.args:
        if found := re.search(r"\bdelete\(\s*['\"]([^'\"]+)['\"]\s*,\s*['\"]rf?['\"]", arg):
            yield Inner(via=command.name, words=("rm", "-r", found[1]))


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
        while args and args[0].startswith("-"):
            args[: 2 if args[0] in ("-S", "-c", "-e", "-h", "-p", "-s", "-t", "-T", "-dmS", "-Sdm") else 1] = []
        if args and "-X" not in command.args:
            yield Inner(via="screen", words=args)
        elif "stuff" in args:
            yield Inner(via="screen", script=" ".join(args[args.index("stuff") + 1 :]))


def _input_script(command: Command) -> Iterator[Inner]:
    """`at` and `batch` run what they read."""
    if command.stdin is not None and not {"-l", "-c", "-d", "-r"} & set(command.args):
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
        if rest[:1] and rest[0] in ("-c", "--call") and command.name in ("npm", "pnpm", "yarn"):
            yield Inner(via=f"{command.name} {args[0]}", script=" ".join(rest[1:2]))
            return
        while rest and rest[0].startswith("-") and rest[0] != "--":
            rest[
                : 2
                if rest[0] in ("--with", "--python", "-p", "--extra", "--group", "-n", "--package", "--project")
                else 1
            ] = []
        rest = rest[1:] if rest[:1] == ["--"] else rest
        if len(rest) == 1 and " " in rest[0]:
            yield Inner(via=f"{command.name} {args[0]}", script=rest[0])
        elif rest:
            yield Inner(via=f"{command.name} {args[0]}", words=rest)
    for arg in command.args:
        if found := re.match(r"--script-shell=(.+)|scripts\.(?:pre|post)?(?:install|prepare|publish|pack)=(.+)", arg):
            yield Inner(via=f"{command.name} scripts", script=found[1] or found[2])


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


def _guest(command: Command) -> Iterator[Inner]:
    """`minikube ssh X`, `multipass exec NAME -- X`, `limactl shell NAME X`."""
    args = list(command.args)
    if args[:1] and args[0] in ("ssh", "exec", "shell"):
        rest = args[args.index("--") + 1 :] if "--" in args else args[1 if args[0] == "ssh" else 2 :]
        if rest:
            yield Inner(via=f"{command.name} {args[0]}", script=" ".join(rest), inside="remote")


def _each(command: Command) -> Iterator[Inner]:
    """`concurrently "X" "Y"`."""
    yield from (Inner(via=command.name, script=arg) for arg in command.args if not arg.startswith("-"))


def _adb(command: Command) -> Iterator[Inner]:
    if "shell" in command.args:
        words = command.args[command.args.index("shell") + 1 :]
        if words[:2] == ("su", "-c") and len(words) > 2:  # what follows is one command
            words = ("su", "-c", shlex.quote(" ".join(words[2:])))
        yield Inner(via="adb shell", script=" ".join(words), inside="remote")


def _zip(command: Command) -> Iterator[Inner]:
    """What `zip -TT`, `tcpdump -z` and `make --eval` run."""
    for at, arg in enumerate(command.args[:-1]):
        if arg in ("-TT", "--unzip-command") or (command.name == "tcpdump" and arg == "-z"):
            yield Inner(via=command.name, script=command.args[at + 1].rstrip("#").strip())


def _proxy(command: Command) -> Iterator[Inner]:
    """Commands that `ssh` and its kin are told to connect by."""
    for arg in command.args:
        if found := re.match(r"(?i)(?:-o\s*)?(?:proxycommand|localcommand|knownhostscommand)=(.+)", arg, re.DOTALL):
            yield Inner(via=command.name, script=found[1])
    if command.name == "rsync":
        for at, arg in enumerate(command.args[:-1]):
            if arg in ("-e", "--rsh") and not command.args[at + 1].startswith("ssh"):
                yield Inner(via="rsync -e", script=command.args[at + 1])


def _gcloud(command: Command) -> Iterator[Inner]:
    if "ssh" in command.args:
        for at, arg in enumerate(command.args):
            if arg.startswith("--command="):
                yield Inner(via="gcloud ssh", script=arg.partition("=")[2], inside="remote")
            elif arg == "--command" and at + 1 < len(command.args):
                yield Inner(via="gcloud ssh", script=command.args[at + 1], inside="remote")


RUNNERS: Mapping[str, Callable[[Command], Iterator[Inner]]] = {
    "eval": _eval,
    "cmd": _cmd,
    "xargs": xargs,
    "gxargs": xargs,
    "find": find,
    "gfind": find,
    "fd": fd,
    "fdfind": fd,
    "parallel": parallel,
    **dict.fromkeys(("docker", "podman", "nerdctl", "kubectl", "oc", "docker-compose"), _container),
    "git": _git_all,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    "tar": _tar,
    "trap": _trap,
    **dict.fromkeys(("vi", "vim", "nvim", "ex", "ed", "less", "more", "man"), _edited),
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
    "adb": _adb,
    **dict.fromkeys(("minikube", "colima", "multipass", "limactl", "lima", "orb"), _guest),
    "concurrently": _each,
    **dict.fromkeys(("split", "dpkg", "xterm", "gcc", "repo", "west", "make", "gmake"), by_option),
    **dict.fromkeys(("compgen", "complete", "bind"), completion),
    **dict.fromkeys(("tclsh", "wish", "expect", "guile", "emacs", "ghc", "sbcl", "clisp", "racket"), foreign),
    **dict.fromkeys(("m4", "cmake", "gdb", "sqlite3", "lldb", "swift", "go", "rust-script"), foreign),
    "zip": _zip,
    "tcpdump": _zip,
    **dict.fromkeys(("scp", "sftp", "rsync"), _proxy),
}
