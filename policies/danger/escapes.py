"""Shells that come out of other programs: with root's rights, or past what started them."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, rule, value
from lockgate.policies.shell.follow import SHELLS
from lockgate.policies.shell.model import Command

_ROOT = ("sudo", "doas", "pkexec")
_REPLS = r"python[\d.]*|ipython3?|node|irb|lua[\d.]*|php|perl|ruby|gdb|expect|tclsh|script|vi|vim|nvim|emacs|nano"
_HOSTS = (
    "find",
    "awk",
    "gawk",
    "mawk",
    "nawk",
    "vi",
    "vim",
    "nvim",
    "ex",
    "ed",
    "less",
    "more",
    "man",
    "tar",
    "git -c",
    "nmap",
    "perl",
    "ruby",
    "lua",
    "php",
)
"""Programs that nobody starts a shell from, unless they are all that may be started."""


def _asks(c: Command) -> bool:
    """Whether it is a shell that waits for words of whoever started it."""
    options = [arg for arg in c.args if arg not in ("-i", "-p", "-l", "--login", "--norc", "--noprofile", "-il", "-li")]
    return c.name in SHELLS and not options and not c.piped and not c.redirects


@rule("privilege", "becomes-root", "This opens a shell that may do everything.")
def _(c: Command, s: Setting) -> float:
    if c.via and c.via[-1] in _ROOT and not c.args and not c.piped and not c.redirects and re.fullmatch(_REPLS, c.name):
        return 0.6
    if c.inside or not c.via or not _asks(c):
        return 0.0
    if any(via in _ROOT for via in c.via):
        return 0.65
    return 0.6 if any(via.startswith(_HOSTS) for via in c.via) or (c.name in SHELLS and "-p" in c.args) else 0.0


@rule("privilege", "becomes-root", "This opens a shell that may do everything.", "nmap git man less ftp gdb mysql psql")
def _(c: Command, s: Setting) -> float:
    """Programs with a way into a shell, started by root to be used by hand."""
    if not any(via in _ROOT for via in c.via) or c.inside:
        return 0.0
    by_hand = {"nmap": "--interactive", "git": "-p", "gdb": "-ex"}.get(c.name, "!")
    return 0.6 if any(arg == by_hand or arg.startswith("!") for arg in (*c.args, c.stdin or "")) else 0.0


@rule("privilege", "becomes-root", "This opens a shell that may do everything.", "rsync ssh scp sftp")
def _(c: Command, s: Setting) -> float:
    """A program that is told to speak to a shell in the place of ssh."""
    told = [value(c, "-e", "--rsh", "-S")] + [arg.partition("=")[2] for arg in c.args if "ProxyCommand" in arg]
    shells = any(re.match(r"(?:/bin/)?(?:ba|z|da)?sh\b", one) for one in told)
    return 0.6 if shells and any(via in _ROOT for via in c.via) else 0.0


_A_SHELL = re.compile(r"(?:^|[\s\"'(=!:,|])(?:exec\s+)?/bin/(?:ba|z|da|k)?sh(?:$|[\s\"');,&])(?!\s*-c\s)")
_NAMES_IT = frozenset({
    *("chsh", "useradd", "usermod", "adduser", "ln", "cp", "mv", "ls", "cat", "file", "ldd", "stat", "echo", "printf", "grep"),
    *("rg", "sed", "tee", "docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "incus", "machinectl", "dpkg", "rpm", "apt-file"),
    *("which", "test", "[", "head", "tail", "strings", "readelf", "chmod", "chown", "update-alternatives", "git", "sudo", "env"),
    *("crictl", "ctr", "md5sum", "sha256sum", "diff", "cmp", "getent", "man", "rm", "install", "vagrant", "command", "type"),
})  # fmt: skip
"""Programs to whom a shell is a file, or a setting, or the program of a container."""


@rule("privilege", "becomes-root", "This opens a shell that may do everything.")
def _(c: Command, s: Setting) -> float:
    """A program that is told, with root's rights, to start a shell."""
    if not any(via in _ROOT for via in c.via) or c.inside or c.name in _NAMES_IT or c.name in SHELLS:
        return 0.0
    if c.name == "script" and not re.search(r"-c|--command", " ".join(c.args)):
        return 0.6
    return 0.6 if any(_A_SHELL.search(arg) for arg in (*c.args, *c.assignments.values())) else 0.0


_SOCKET = re.compile(
    r"(?i)\b(?:TCPSocket|TCPServer|IO::Socket|fsockopen|net\.(?:connect|Socket|createServer|Dial|Listen)|java\.net\.(?:Server)?Socket|"
    r"new Socket\(|require\(?\s*[\"']socket[\"']|using Sockets|set \w+ \[socket|syscall\.Socket|TcpClient|sockaddr_in)"
)
_OBEYS = re.compile(
    r"(?i)/bin/(?:ba|z|da)?sh\b|ProcessBuilder|(?:IO|io)\.popen\(\s*\w+\s*[,)]|eval [\"']?exec|exec \$|syscall\.Exec|exec\.Command\(|cmd\.exe|"
    r"run\(`?\$|\bopen\(`?\$"
)
_RUNS_TEXT = (
    "ruby perl php lua luajit node nodejs deno bun julia tclsh expect jjs jrunscript jshell groovy scala kotlin swift go gawk "
    "elixir erl guile clisp sbcl racket rscript r octave dotnet csi fsi"
)


@rule("network", "opens-shell-to-strangers", "This gives a shell on this machine to another one.", _RUNS_TEXT)
def _(c: Command, s: Setting) -> float:
    """A program in any language that speaks to a socket and starts what it hears."""
    text = " ".join((*c.args, c.stdin or ""))[:100_000]
    return 0.85 if _SOCKET.search(text) and _OBEYS.search(text) else 0.0


@rule("network", "opens-shell-to-strangers", "This gives a shell on this machine to another one.", "awk gawk mawk nawk")
def _(c: Command, s: Setting) -> float:
    text = " ".join(c.args)
    return 0.85 if re.search(r"/inet[46]?/(?:tcp|udp)/", text) and "|&" in text else 0.0


_EXPLOITS = re.compile(
    r"(?i)(?:^|/)(?:\S*cve-\d{4}-\d{3,}\S*|dirty_?(?:cow|pipe|sock)\S*|pwnkit\S*|linpeas\S*|winpeas\S*|lazagne\S*)$"
)


@rule(
    "privilege",
    "looks-for-weak-points",
    "This is a program that breaks into a machine.",
    "python python3 gcc cc bash sh make",
)
def _(c: Command, s: Setting) -> float:
    return 0.65 if any(_EXPLOITS.search(arg) for arg in c.args[:6] if not arg.startswith("-")) else 0.0


@rule("network", "runs-hidden-code", "This runs a program that never was a file.", "python python3 perl ruby")
def _(c: Command, s: Setting) -> float:
    return 0.65 if any("memfd_create" in arg for arg in c.args) else 0.0
