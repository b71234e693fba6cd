"""Shells that come out of other programs: with root's rights, or past what started them."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, rule
from lockgate.policies.shell.follow import SHELLS
from lockgate.policies.shell.model import Command

_ROOT = ("sudo", "doas", "pkexec")
_HOSTS = ("find", "awk", "gawk", "mawk", "nawk", "vi", "vim", "nvim", "ex", "ed", "less", "more", "man", "tar", "git -c", "nmap", "perl", "ruby", "lua", "php")
"""Programs that nobody starts a shell from, unless they are all that may be started."""


def _asks(c: Command) -> bool:
    """Whether it is a shell that waits for words of whoever started it."""
    options = [arg for arg in c.args if arg not in ("-i", "-p", "-l", "--login", "--norc", "--noprofile", "-il", "-li")]
    return c.name in SHELLS and not options and not c.piped and not c.redirects


@rule("privilege", "becomes-root", "This opens a shell that may do everything.")
def _(c: Command, s: Setting) -> float:
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
    return 0.6 if any(arg == by_hand or arg.startswith("!") for arg in c.args) else 0.0


@rule("network", "opens-shell-to-strangers", "This gives a shell on this machine to another one.", "awk gawk mawk nawk")
def _(c: Command, s: Setting) -> float:
    text = " ".join(c.args)
    return 0.85 if re.search(r"/inet[46]?/(?:tcp|udp)/", text) and "|&" in text else 0.0
