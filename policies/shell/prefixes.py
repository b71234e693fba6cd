"""Programs that run the rest of their words: `sudo`, `env`, `timeout`, `ssh` and the like. Pure functions of words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate.policies.shell.inner import Inner, Where
from lockgate.policies.shell.model import Command


@dataclass(frozen=True, slots=True)
class Prefix:
    """A program that runs the rest of its words."""

    valued: str = ""
    """Options that take the next word."""
    skip: int = 0
    """Operands before the program."""
    inside: Where = ""
    joined: bool = False
    """Whether the words are joined and read as a shell command."""
    script: str = ""
    """Options that take a shell command; a short one also at the end of a cluster such as `-qc`."""


_SUDO = "-u -g -C -D -h -p -R -r -t -T -U --user --group --chdir --host --prompt --chroot --close-from"


DOCKER_RUN = (
    "-v --volume -e --env -p --publish -w --workdir -u --user --name --network --net --entrypoint --env-file --mount "
    "-m --memory --cpus --platform -h --hostname -l --label --add-host --cap-add --cap-drop --device --dns --gpus "
    "--restart --security-opt --shm-size --tmpfs --ulimit --link --log-driver --pid --ipc --userns --volumes-from "
    "--pull --cpuset-cpus --index -n --namespace -c --container --context --expose -a --attach --runtime"
)


PREFIXES: Mapping[str, Prefix] = {
    "sudo": Prefix(_SUDO),
    "doas": Prefix("-u -C"),
    "env": Prefix("-u -C --unset --chdir", script="-S --split-string"),
    "nohup": Prefix(),
    "aa-exec": Prefix("-p -n --profile --namespace"),
    "choom": Prefix("-n -p"),
    "cpulimit": Prefix("-l -p -e --limit"),
    "faketime": Prefix(skip=1),
    "numactl": Prefix("-N -m -C"),
    "prlimit": Prefix(),
    "ssh-agent": Prefix("-t -a"),
    "opam": Prefix("--switch", skip=1),
    "sshpass": Prefix("-p -f -d -P"),
    "timeout": Prefix("-s -k --signal --kill-after", skip=1),
    "gtimeout": Prefix("-s -k --signal --kill-after", skip=1),
    "nice": Prefix("-n --adjustment"),
    "ionice": Prefix("-c -n --class --classdata"),
    "time": Prefix("-f -o --format --output"),
    "stdbuf": Prefix("-i -o -e --input --output --error"),
    "setsid": Prefix(),
    "command": Prefix(),
    "builtin": Prefix(),
    "exec": Prefix("-a"),
    "coproc": Prefix(),
    "busybox": Prefix(),
    "toybox": Prefix(),
    "chroot": Prefix("--userspec --groups", skip=1),
    "unshare": Prefix("-R -w -S -G --root --wd --setuid --setgid"),
    "nsenter": Prefix("-t --target -S -G --setuid --setgid"),
    "fakeroot": Prefix("-l -s -i -b"),
    "proot": Prefix("-r -b -w"),
    "xvfb-run": Prefix("-n -s -e -f -p"),
    "strace": Prefix("-e -o -p -s -u -E -O -S -I -P"),
    "ltrace": Prefix("-e -o -p -s -u"),
    "chrt": Prefix("-T -P -D", skip=1),
    "taskset": Prefix("", skip=1),
    "caffeinate": Prefix("-t -w"),
    "firejail": Prefix(),
    "pkexec": Prefix("--user"),
    "gosu": Prefix("", skip=1),
    "su-exec": Prefix("", skip=1),
    "setpriv": Prefix("--reuid --regid --groups"),
    "capsh": Prefix(""),
    "dbus-run-session": Prefix("--config-file"),
    "systemd-run": Prefix("-p -u -M -H --unit --property --slice --uid --gid --on-active --on-calendar"),
    "unbuffer": Prefix(),
    "script": Prefix("", script="-c --command", skip=9),
    "su": Prefix("-s -g -G -w --shell --group", script="-c --command", skip=9),
    "runuser": Prefix("-u -g -s --user --group --shell", script="-c --command"),
    "flock": Prefix("-w -E --timeout", skip=1, script="-c --command"),
    "watch": Prefix("-n --interval", joined=True),
    "entr": Prefix(),
    "dotenv": Prefix("-f -e"),
    "direnv": Prefix(skip=2),
    "aws-vault": Prefix(skip=2),
    "op": Prefix(skip=1),
    "doppler": Prefix("-p -c --project --config", skip=1, script="--command"),
    "chpst": Prefix("-u -U -b -e -d"),
    "torsocks": Prefix(),
    "proxychains": Prefix("-f"),
    "proxychains4": Prefix("-f"),
    "rlwrap": Prefix(),
    "catchsegv": Prefix(),
    "hyperfine": Prefix("-w -r -p -c -n --warmup --runs --prepare --cleanup --export-json", joined=True),
    "noglob": Prefix(),
    "arch": Prefix("-e"),
    "cross-env": Prefix(),
    "cross-env-shell": Prefix(joined=True),
    "nvm": Prefix(skip=2),
    "shx": Prefix(),
    "wsl": Prefix("-d --distribution -u --user --cd --shell-type"),
    "xcrun": Prefix("--sdk -sdk --toolchain -toolchain"),
    "nocorrect": Prefix(),
    "then": Prefix(),
    "do": Prefix(),
    "else": Prefix(),
    "if": Prefix(),
    "while": Prefix(),
    "until": Prefix(),
    "!": Prefix(),
    "{": Prefix(),
    "npx": Prefix("-p --package", script="-c --call"),
    "bunx": Prefix(),
    "pnpx": Prefix(),
    "uvx": Prefix("--from --with --python -p"),
    "pipx": Prefix(),
    "ssh": Prefix("-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w", skip=1, inside="remote", joined=True),
    "autossh": Prefix("-M -b -c -D -F -i -J -L -l -o -p -R -S -W", skip=1, inside="remote", joined=True),
}


_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def _clustered(arg: str, scripts: Sequence[str]) -> bool:
    """Whether it is a cluster of short options whose last one takes a shell command."""
    return arg[:1] == "-" and arg[1:].isalpha() and len(arg) > 2 and f"-{arg[-1]}" in scripts


def _script_first(command: Command, prefix: Prefix, args: Sequence[str]) -> Inner | None:
    """The shell command that the first of these words gives, if it is an option for one."""
    arg, scripts = args[0], prefix.script.split()
    if (arg in scripts or _clustered(arg, scripts)) and len(args) > 1:
        return Inner(via=command.name, script=" ".join(args[1:]) if arg == "-S" else args[1], inside=prefix.inside)
    if command.name == "env" and arg.startswith("-S") and len(arg) > 2:
        return Inner(via="env", script=" ".join((arg[2:], *args[1:])))
    if option := next((long for long in scripts if arg.startswith(f"{long}=")), ""):
        return Inner(via=command.name, script=arg[len(option) + 1 :], inside=prefix.inside)
    return None


def prefixed(command: Command, prefix: Prefix) -> Iterator[Inner]:
    valued = prefix.valued.split()
    if command.name == "command" and any(re.fullmatch(r"-[vV]", arg) for arg in command.args):
        return
    args, assignments, skip = list(command.args), dict[str, str](), prefix.skip
    cwd = None
    while args:
        arg = args[0]
        if (inner := _script_first(command, prefix, args)) is not None:
            yield inner
            return
        if arg == "--":
            args.pop(0)
            break
        if arg.startswith("-") and len(arg) > 1:
            cwd = (
                args[1] if arg in ("-C", "-D", "--chdir") and command.name in ("env", "sudo") and len(args) > 1 else cwd
            )
            del args[: 2 if arg in valued else 1]
        elif command.name in ("env", "sudo", "doas", "cross-env", "cross-env-shell") and (
            found := _ASSIGNMENT.fullmatch(arg)
        ):
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
