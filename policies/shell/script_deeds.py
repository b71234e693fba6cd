"""What functions of JavaScript, Perl, Ruby, PHP and the like do, as shell commands that would do the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate.policies.shell.model import some
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
)


def evaluate(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """The reader takes the code itself."""


def _remove(source: str, args: Sequence[Value], _named: Mapping[str, Value], doings: Doings) -> None:
    texts = [word for arg in args for word in (arg if isinstance(arg, list) else [arg] if isinstance(arg, str) else [])]
    doings.runs(source, "rm", "-r", *(texts or [some("a path")]))


def _command_class(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    given = named.get("args")
    doings.runs(source, text_of(args[0] if args else None), *(given if isinstance(given, list) else []))


def _popen(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """Perl's `open(F, "|cmd")` runs a command."""
    text = "".join(text for arg in args if isinstance(text := arg, str))
    if "|" in text[:2] or text.endswith("|"):
        doings.shell(source, text.strip("|-").strip())
    else:
        open_deed(
            source, [arg for arg in args if isinstance(arg, str)][-1:], {"mode": "w" if ">" in text else "r"}, doings
        )


def _documents(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """A document store's own verbs; the reader of its shell judges them."""
    verb = source.partition("(")[0].rpartition(".")[2]
    given = (
        "{}"
        if verb == "deleteMany" and "({})" in source.replace(" ", "")
        else ""
        if verb != "deleteMany"
        else "{ one }"
    )
    doings.runs(source, "mongosh", "--eval", f"db.all.{verb}({given})")


def _applied(source: str, args: Sequence[Value], named: Mapping[str, Value], doings: Doings) -> None:
    """A function that calls another one by its name."""
    if args and isinstance(args[0], str) and (does := OF["php"].get(args[0]) or COMMON.get(args[0])) is not None:
        does(source, args[1:], named, doings)


COMMON: Mapping[str, Deed] = {
    "system": spawn_deed,
    "eval": evaluate,
    "shell_exec": shell_deed,
    "passthru": shell_deed,
    "popen": shell_deed,
    "proc_open": shell_deed,
}
OF: Mapping[str, Mapping[str, Deed]] = {
    "javascript": {
        **dict.fromkeys(("exec", "execSync", "Bun.$", "$", "execaCommand", "execaCommandSync"), shell_deed),
        **dict.fromkeys(("spawn", "spawnSync", "execFile", "execFileSync", "execa", "fork", "Deno.run"), spawn_deed),
        "Deno.Command": _command_class,
        **dict.fromkeys(
            ("rmSync", "rm", "rmdirSync", "rmdir", "rimraf", "rimrafSync", "removeSync", "emptyDirSync"), _remove
        ),
        **dict.fromkeys(("Deno.remove", "Deno.removeSync", "fs.remove", "rimraf.sync", "fs.promises.rm"), _remove),
        **dict.fromkeys(("unlinkSync", "unlink"), deed("rm")),
        **dict.fromkeys(
            ("writeFileSync", "writeFile", "appendFileSync", "appendFile", "createWriteStream"), deed("tee")
        ),
        **dict.fromkeys(("readFileSync", "readFile", "createReadStream", "Bun.file"), deed("cat")),
        **dict.fromkeys(("copyFileSync", "cpSync"), deed("cp", count=2)),
        **dict.fromkeys(("renameSync",), deed("mv", count=2)),
        **dict.fromkeys(
            ("chmodSync", "chmod"), lambda s, a, n, d: d.runs(s, "chmod", *reversed([text_of(x) for x in a[:2]]))
        ),
        **dict.fromkeys(("fetch", "https.get", "http.get", "axios.get", "axios", "got"), fetch_deed),
        **dict.fromkeys(("axios.post", "axios.put", "https.request", "http.request", "got.post"), send_deed),
        **dict.fromkeys(("query", "$executeRawUnsafe", "$queryRawUnsafe", "executeMultiple"), sql_deed),
        **dict.fromkeys(("dropDatabase", "deleteMany", "dropCollection"), _documents),
        "process.kill": lambda s, a, n, d: d.runs(s, "kill", *reversed([text_of(x) for x in a[:2]])),
        "Function": evaluate,
    },
    "perl": {
        "exec": spawn_deed,
        **dict.fromkeys(("unlink", "rmtree", "remove_tree", "rmdir"), _remove),
        "open": _popen,
        "kill": lambda s, a, n, d: d.runs(s, "kill", *[f"-{text_of(a[0])}" if a else "", *[text_of(x) for x in a[1:]]]),
        "get": fetch_deed,
        "getstore": fetch_deed,
    },
    "ruby": {
        **dict.fromkeys(("exec", "spawn", "Open3.capture2e", "Open3.capture3", "Open3.popen3"), spawn_deed),
        **dict.fromkeys(("IO.popen",), shell_deed),
        **dict.fromkeys(
            ("FileUtils.rm_rf", "FileUtils.rm_r", "FileUtils.remove_dir", "FileUtils.remove_entry"), _remove
        ),
        **dict.fromkeys(
            ("rm_rf", "rm_r", "File.delete", "File.unlink", "FileUtils.rm", "FileUtils.rm_f", "Dir.rmdir"), _remove
        ),
        **dict.fromkeys(("File.read", "IO.read", "File.readlines"), deed("cat")),
        **dict.fromkeys(("File.write", "IO.write"), deed("tee")),
        "File.open": open_deed,
        **dict.fromkeys(("URI.open", "Net::HTTP.get", "open-uri"), fetch_deed),
        **dict.fromkeys(("Net::HTTP.post", "Net::HTTP.post_form"), send_deed),
        "Process.kill": lambda s, a, n, d: d.runs(
            s, "kill", *[f"-{text_of(a[0])}" if a else "", *[text_of(x) for x in a[1:]]]
        ),
    },
    "php": {
        **dict.fromkeys(("array_map", "array_walk", "call_user_func"), _applied),
        "exec": shell_deed,
        **dict.fromkeys(("unlink", "rmdir"), _remove),
        **dict.fromkeys(("file_get_contents", "readfile", "file"), deed("cat")),
        "file_put_contents": deed("tee"),
        "fopen": open_deed,
    },
    "lua": {
        **dict.fromkeys(("os.execute", "io.popen"), shell_deed),
        "os.remove": _remove,
        "io.open": open_deed,
    },
    "applescript": {"script": shell_deed},
    "r": {
        **dict.fromkeys(("unlink", "file.remove", "fs::dir_delete"), _remove),
        "system2": spawn_deed,
        "source": fetch_deed,
    },
    "julia": {"rm": _remove, "run": shell_deed, "download": fetch_deed},
    "elixir": {
        **dict.fromkeys(("File.rm_rf!", "File.rm_rf", "File.rm!", "File.rm"), _remove),
        **dict.fromkeys(("System.cmd", "System.shell"), spawn_deed),
        ":os.cmd": shell_deed,
    },
    "groovy": {**dict.fromkeys(("deleteDir", "delete"), _remove)},
    "python": {
        **dict.fromkeys(("os.system", "os.popen", "run", "call", "check_output", "check_call", "Popen"), shell_deed),
        **dict.fromkeys(("shutil.rmtree", "rmtree", "os.remove", "os.unlink"), _remove),
        "open": open_deed,
        **dict.fromkeys(("requests.post", "httpx.post"), send_deed),
        **dict.fromkeys(("urlopen", "requests.get"), fetch_deed),
    },
}
"""By language, then by a function's whole or last name."""
