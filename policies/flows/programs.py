"""What the files do that a session has written, where a later call runs them: they are read then, and not before."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable
from lockgate.policies.flows.deeds import Acts, acts_of
from lockgate.policies.flows.places import Doing
from lockgate.policies.patterns import finds
from lockgate.policies.remembered import remembered
from lockgate.policies.shell.paths import Place
from lockgate.policies.shell.projects import scripts_in
from lockgate.policies.written import Files
from lockgate.wire.document import dumps

MAX_CODE = 30_000
"""So much of a program is read."""
MAX_PROGRAMS = 12
"""So many programs that one call may run are read, the latest."""
_LANGUAGES = {
    "sh": "sh", "bash": "bash", "zsh": "zsh", "py": "python3", "js": "node", "mjs": "node", "cjs": "node", "ts": "node",
    "rb": "ruby", "pl": "perl", "php": "php", "command": "sh", "ps1": "pwsh",
}  # fmt: skip
_FLAGS = {"python3": "-c", "node": "-e", "ruby": "-e", "perl": "-e", "php": "-r", "pwsh": "-Command"}
_COMPILED = (".rs", ".go", ".java", ".kt", ".c", ".cpp", ".cs", ".swift")


def with_programs(acts: Acts, files: Files) -> Acts:
    """The call with what the files do that it runs."""
    found = [path for path in files.paths() if any(_runs(ran, path) for ran in acts.runs)] if acts.runs else ()
    for path in found[-MAX_PROGRAMS:]:
        if (code := _read(path, files.text(path)[: MAX_CODE * 2])) is not None:
            acts = replace(
                acts, does=acts.does | code.does, reads=(*acts.reads, *code.reads), writes=(*acts.writes, *code.writes),
                reaches=(*acts.reaches, *code.reaches), findings=(*acts.findings, *code.findings),
            )  # fmt: skip
    return acts


@remembered(1_000_000)
def _read(path: str, text: str) -> Acts | None:
    """What the program does; None where it is none that can be read."""
    code = command_of_program(path, text)
    try:
        read = acts_of(ToolCall(block=0, id="", name="Bash", arguments=dumps({"command": code}).decode()))
    except Unreadable:
        return None
    return replace(read, does=read.does | _told_by(code)) if code else None


def command_of_program(path: str, code: str) -> str:
    """The program as a shell command that would do the same; "" where neither its name nor its first line tells how."""
    name, first = path.rpartition("/")[2], code.partition("\n")[0]
    language = _LANGUAGES.get(name.rpartition(".")[2].lower(), "")
    if first.startswith("#!"):
        language = next(
            (one for one in ("python3", "node", "ruby", "perl", "bash", "sh") if one.rstrip("3") in first), language
        )
    if name in ("Makefile", "justfile"):
        language, code = "sh", re.sub(r"(?m)^[\w.-]+\s*:(?!=).*$|^\t@?", "", code)
    if name == "package.json":
        language, code = "sh", "\n".join(one for one in scripts_in(code).values() if isinstance(one, str))
    if name.endswith(_COMPILED):  # told by its words alone
        return f": {shlex.quote(code[:MAX_CODE])}"
    if not language and ".git/hooks/" not in path:
        return ""
    code, flag = code[:MAX_CODE], _FLAGS.get(language, "")
    return f"{language} {flag} {shlex.quote(code)}" if flag else code


def _told_by(code: str) -> frozenset[Doing]:
    """What a program's words say, where its language is not read: that it speaks to the net, and of keys."""
    found: list[tuple[Doing, str]] = [
        *(("sends", _SPEAKS), ("sends-unseen", _SPEAKS), ("reads-secret", _KEYS), ("reads-key", _KEYS)),
    ]  # fmt: skip
    return frozenset(doing for doing, pattern in found if finds(pattern, code))


_SPEAKS = (
    r"requests\.(?:post|put|patch)|urlopen\([^)\n]*data|socket\.(?:create_connection|socket)\b|smtplib|ftplib|paramiko|http\.client|"
    r"aiohttp|httpx\.(?:post|put)|axios|https?\.request\(|method:\s*['\"]P(?:OST|UT)|Net::HTTP|HttpClient|reqwest|http\.Post|TcpStream|"
    r"(?:Command::new|exec\.Command|Runtime.{0,40}exec)\(\"(?:curl|wget|nc|scp|ssh)\b"
)
_KEYS = (
    r"\.ssh/(?:id_|\*)|\.aws/credentials|\.netrc|\.npmrc|\.pypirc|\.kube/config|\.docker/config|\bid_(?:rsa|ed25519)\b|dict\(os\.environ|"
    r"os\.environ\.copy|JSON\.stringify\(process\.env|/proc/self/environ|Login Data|\.gnupg|master\.key|solana/id\.json|std::env::vars|os\.Environ\("
)


def _runs(ran: Place, path: str) -> bool:
    """Whether it is that file, by its name: nobody says which folder a command starts in."""
    if ran.parts[-1:] == (path.rpartition("/")[2],):
        return True
    return ran.parts[-2:] == (".git", "hooks") and ".git/" in path
