"""What functions of Python do, as the shell commands that would do the same. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate.policies.shell.programs import (
    Deed,
    Doings,
    Value,
    deed,
    fetch_deed,
    open_deed,
    send_deed,
    shell_deed,
    spawn_deed,
    sql_deed,
    text_of,
    words_of,
    write_deed,
)


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
        doings.evaluates(source)


def _becomes(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    if args and args[0] == "0":
        doings.runs(source, "sudo", "-i")


def _connect(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    if args and isinstance(args[0], list):  # an address; databases are named otherwise
        doings.runs(source, "nc", *words_of(args[0]))
    elif args and isinstance(args[0], str):
        doings.database = args[0]
    elif isinstance(host := _named.get("host"), str):
        doings.database = f"host={host} dbname={text_of(_named.get('dbname') or _named.get('database'), 'a name')}"


def _drop(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    doings.runs(source, "mongosh", text_of(args[0] if args else None, "a database"), "--eval", "db.dropDatabase()")


def _flush(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    doings.runs(source, "redis-cli", source.rstrip("()").rpartition(".")[2])


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
DEEDS: Mapping[str, Deed] = {
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
    **dict.fromkeys(("os.setuid", "os.setresuid", "os.setreuid"), _becomes),
    **dict.fromkeys(("exec", "eval", "compile", "builtins.exec", "builtins.eval"), _run_code),
}
METHODS: Mapping[str, Deed] = {
    "execute": sql_deed,
    "executescript": sql_deed,
    "flushall": _flush,
    "flushdb": _flush,
    "drop_database": _drop,
    "connect": _connect,
}
"""Methods that mean the same whatever they are called on."""


def nothing(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """What does nothing that matters."""
