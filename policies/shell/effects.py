"""What commands leave behind for those after them: variables, aliases, folders, files, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from lockgate.policies.shell.finders import found_by
from lockgate.policies.shell.follow import INTERPRETERS, script_file
from lockgate.policies.shell.model import Command, Redirect, known, program_name, some, versionless
from lockgate.policies.shell.outputs import output_of
from lockgate.policies.shell.paths import place
from lockgate.policies.shell.redirects import Redirector


class Effects(Redirector):
    """Keeps what commands change."""

    def _ran_file(self, words: Sequence[str]) -> str | None:
        """The file that the command would run, where the same script has made it."""
        if not self.scope.files:
            return None
        name, path = versionless(program_name(words[0])), ""
        if name in ("start-process", "start", "saps", "invoke-item", "ii", "&", "msiexec"):
            operand = next(
                (word for word in words[1:] if not word.startswith(("-", "/")) or word.startswith("/tmp")), ""
            )
            return self._ran_file((f"./{operand}" if "/" not in operand else operand,)) if operand else None
        if name in INTERPRETERS and (found := script_file(Command(words=words))):
            path = found[0]
        elif name in (".", "source") and len(words) > 1:
            path = words[1]
        elif "/" in words[0]:
            path = words[0]
        if not path and self.scope.files and name.isidentifier():
            path = next(
                (f"{folder}/{words[0]}" for folder in _PROGRAM_FOLDERS if f"{folder}/{words[0]}" in self.scope.files),
                "",
            )
        where = place(path, self.scope.cwd, self.scope.links).text if path else ""
        return where if where in self.scope.files else None

    def _builtin(self, command: Command) -> None:
        args, scope = list(command.args), self.scope
        match command.words[0] if command.words else "":
            case "cd" | "pushd" | "chdir":
                targets = [arg for arg in args if not arg.startswith("-") or arg == "-"]
                target = targets[0] if targets else "~"
                scope.cwd = some("the last folder") if target == "-" else place(target, scope.cwd, scope.links).text
            case "popd":
                scope.cwd = some("the last folder")
            case "alias":
                for arg in args:
                    name, equals, text = arg.partition("=")
                    if equals:
                        scope.aliases[name] = text
            case "unalias":
                for arg in args:
                    scope.aliases.pop(arg, None)
            case "set":
                if "--" in args:
                    scope.positional = tuple(args[args.index("--") + 1 :])
            case "shift":
                scope.positional = tuple(scope.positional or ())[1:] if scope.positional is not None else None
            case "read" | "mapfile" | "readarray" | "getopts":
                self._reads(command)
            case "printf":
                if args[:1] == ["-v"] and len(args) > 2:
                    printed = output_of(replace(command, words=("printf", *args[2:])), scope.files)
                    scope.variables[args[1]] = some("printf") if printed is None else printed
            case "export" | "declare" | "typeset" | "local" | "readonly":
                for arg in args:
                    name, equals, value = arg.partition("=")
                    if equals and name.isidentifier():
                        scope.variables[name] = value
            case _:
                pass

    def _reads(self, command: Command) -> None:
        names = [arg for arg in command.args if arg.isidentifier()]
        text = command.stdin if command.stdin is not None and known(command.stdin) else None
        parts = (text or "").strip("\n").split(None, max(0, len(names) - 1)) if text is not None else []
        looked_up = found_by(command)[0] if text is None and command.feeds else ""
        unknown = looked_up if looked_up.startswith(("/", "~", ".")) else some("what it reads")
        for at, name in enumerate(names):
            self.scope.variables[name] = (parts[at] if at < len(parts) else "") if text is not None else unknown
            if command.feeds:
                self.scope.origins[f"${name}"] = tuple(command.feeds)

    def _written(self, redirect: Redirect, output: str | None, commands: Sequence[Command]) -> None:
        if redirect.kind not in ("write", "append") or redirect.target.startswith("/dev/"):
            return
        where = place(redirect.target, self.scope.cwd, self.scope.links).text
        before = self.scope.files.get(where) if redirect.kind == "append" else ""
        self.scope.files[where] = (
            None if output is None or (before is None and where in self.scope.files) else (before or "") + output
        )
        self.scope.origins[where] = tuple(commands)[-50:]

    def _files(self, command: Command, output: str | None) -> None:
        """Files that a command writes by its own arguments, as far as they may be run later."""
        name, args = command.name, [arg for arg in command.args if not arg.startswith("-")]
        if name in ("tee",):
            for arg in args:
                self._written(Redirect(kind="write", target=arg), output, [*command.feeds, command])
        elif name in (
            "curl",
            "wget",
            "tftp",
            "ftpget",
            "aria2c",
            "http",
            "fetch",
            "iwr",
            "irm",
            "invoke-webrequest",
            "invoke-restmethod",
            "start-bitstransfer",
        ):
            for target in _download_targets(command):
                self._written(Redirect(kind="write", target=target), None, [command])
        elif name in ("screencapture", "scrot", "import", "arecord", "ffmpeg") and args:
            self._written(Redirect(kind="write", target=args[-1]), None, [command])
        elif name == "git" and "clone" in args[:1]:
            self._cloned(command, args)
        elif name in ("tar", "zip", "7z", "gpg", "openssl", "base64") and (packed := _packed(command)):
            self._written(Redirect(kind="write", target=packed), None, [*command.feeds, command])
        elif name in ("cp", "mv", "ln", "install", "link") and len(args) == 2:
            self._copied(command, *args)
        elif name in ("scp", "rsync") and len(args) == 2 and ":" in args[0]:
            self._written(Redirect(kind="write", target=args[1]), None, [command])

    def _cloned(self, command: Command, args: Sequence[str]) -> None:
        """A repository that is fetched: its programs are a stranger's until somebody has looked."""
        url = next((arg for arg in args[1:] if "://" in arg or "@" in arg), "")
        target = args[-1] if args[-1] != url else url.rstrip("/").rpartition("/")[2].removesuffix(".git")
        if url and target:
            self.scope.origins[f"clone {place(target, self.scope.cwd, self.scope.links).text}"] = (command,)

    def _copied(self, command: Command, given: str, target: str) -> None:
        scope = self.scope
        start, end = place(given, scope.cwd, scope.links).text, place(target, scope.cwd).text
        if command.name in ("ln", "link"):
            linked = (
                start
                if given.startswith(("/", "~")) or "-s" not in command.args[0]
                else place(given, _folder(end)).text
            )
            scope.links = {**scope.links, end: linked}
        if start in scope.files:
            scope.files[end] = scope.files[start]
            scope.origins[end] = scope.origins.get(start, ())
        elif re.match(r"/(?:usr/)?(?:local/)?s?bin/", start):
            scope.files[end] = f'{program_name(start)} "$@"'


_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/bin", "~/.local/bin", "~/bin")


def _packed(command: Command) -> str:
    """The file that an archiver writes."""
    args = [arg for arg in command.args if not arg.startswith("-") or arg == "-"]
    if command.name in ("gpg", "openssl", "base64"):
        return next((b for a, b in pairwise(command.args) if a in ("-o", "--output", "-out")), "")
    if command.name == "tar":
        mode = command.args[0].lstrip("-") if command.args else ""
        return (
            next((b for a, b in pairwise(command.args) if re.fullmatch(r"-?[a-zA-Z]*f|--file", a)), "")
            if "c" in mode
            else ""
        )
    return next((arg for arg in args if arg not in ("a", "u")), "")


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _download_targets(command: Command) -> Iterator[str]:
    args = command.args
    if command.name in ("tftp", "ftpget"):
        plain = [arg for arg in args if not arg.startswith("-")]
        yield from [b for a, b in pairwise(args) if a in ("-r", "-l")] if command.name == "tftp" else plain[1:2]
        return
    if command.name == "start-bitstransfer":
        yield from [arg for arg in args if not arg.startswith("-")][1:2]
    for at, arg in enumerate(args):
        if (
            arg in ("-o", "--output", "-O", "--output-document", "-OutFile", "-outfile")
            and at + 1 < len(args)
            and (command.name != "curl" or arg != "-O")
        ):
            yield args[at + 1]
        elif arg.startswith("--output=") or arg.startswith("--output-document="):
            yield arg.partition("=")[2]
        elif re.fullmatch(r"-[a-zA-Z]*[oO]", arg) and at + 1 < len(args) and (arg[-1] == "o" or command.name == "wget"):
            yield args[at + 1]
    prefix = next((b for a, b in pairwise(args) if a in ("-P", "--directory-prefix", "--output-dir")), "")
    remote_name = command.name == "wget" or any(
        re.fullmatch(r"-[a-zA-Z]*O[a-zA-Z]*|--remote-name", arg) for arg in args
    )
    for arg in args if remote_name else ():
        if re.match(r"(?:https?|ftp)://", arg):
            name = arg.partition("?")[0].rstrip("/").rpartition("/")[2]
            yield f"{prefix}/{name}" if prefix else name
