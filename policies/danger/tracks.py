"""Records of what was done that would be removed, changed or switched off."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, has, line, operands, places, rows, rule, written
from lockgate.policies.shell.model import Command


@rule("privilege", "hides-tracks", "This removes the record of what was done.")
def _(c: Command, s: Setting) -> float:
    name, text = c.name, line(c)
    if name == "history":
        return 0.65 if has(c, "-c", "-w", "-d") and "-c" in text else 0.0
    if name in ("unset", "set", "export") and re.search(r"HIST(?:FILE|SIZE|FILESIZE)|\+o\s+history", text):
        return 0.6
    if name == "journalctl":
        return (
            0.65
            if re.search(r"--vacuum-(?:time|size)=(?:1s|0|1K|1)\b|--rotate\b.*--vacuum|--flush.*--rotate", text)
            else 0.0
        )
    if name in ("wevtutil", "clear-eventlog"):
        return 0.8 if name != "wevtutil" or re.match(r"(?i)(?:cl|clear-log|sl|set-log|um)\b", text) else 0.0
    links = name == "ln" and re.search(r"/dev/null\s+\S*_history", text)
    touched = name in ("utmpdump",) or any(
        r.target.endswith(("/wtmp", "/btmp", "/lastlog", "_history", "auth.log", "/secure")) and r.kind == "write"
        for r in c.redirects
    )
    return 0.75 if links or touched else 0.0


@rule("privilege", "hides-tracks", "This turns off the record of what is done.")
def _(c: Command, s: Setting) -> float:
    return 0.55 if any(name in ("HISTFILE",) and v in ("/dev/null", "") for name, v in c.assignments.items()) else 0.0


_RECORDS = re.compile(
    r"^/var/log/(?:audit(?:/|$)|auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|sudo|journal(?:/|$))|"
    r"^/(?:var/)?run/utmp"
)
_LOGS = re.compile(r"^/var/log/|(?:^|/)\.(?:bash|zsh|sh|python|mysql|psql|node_repl)_history$")


@rule(
    "privilege",
    "hides-tracks",
    "This removes the record of what was done.",
    "rm unlink shred truncate sed gsed perl dd mv cp tee chattr",
)
def _(c: Command, s: Setting) -> float:
    """Records that tell who did what; other logs only where lines are taken out of them."""
    changed = [found.text for found in written(c, s)]
    if c.name in ("sed", "gsed", "perl"):
        changed += [found.text for found in places(c, operands(c, "-e -f"), s)] if has(c, "-i", "--in-place") else []
        return 0.65 if any(_LOGS.search(text) for text in changed) else 0.0
    if c.name == "dd":
        changed += [arg[3:] for arg in c.args if arg.startswith("of=")]
    elif c.name == "tee":
        changed += [] if has(c, "-a", "--append") else operands(c)
    elif c.name == "chattr":
        changed += (
            operands(c)
            if any(arg.startswith("-") and arg[1:].strip("Rf") in ("i", "a", "ia") for arg in c.args)
            else []
        )
    elif c.name != "cp":
        changed += [found.text for found in places(c, operands(c, "-s --size -n"), s)]
    return 0.7 if any(_RECORDS.search(text) for text in changed) else 0.0


_SYSTEM = re.compile(r"^/(?:usr|bin|sbin|lib\w*|etc|boot|opt)/")


@rule("privilege", "hides-tracks", "This changes when a file seems to have been written.", "touch")
def _(c: Command, s: Setting) -> float:
    times = has(c, "-r", "--reference", "-d", "--date", "-t")
    return 0.55 if times and any(_SYSTEM.match(arg) for arg in c.args) else 0.0


rows(
    "privilege",
    "mount",
    (
        "hides-tracks",
        0.7,
        r"(?:--bind|-o\s*\S*bind)\s+\S+\s+/proc/",
        "This hides a running program from those who look.",
    ),
)
rows(
    "privilege",
    "exec",
    (
        "hides-tracks",
        0.65,
        r"^-a\s+\W*\[?(?:kworker|ksoftirqd|systemd|sshd|init|kthreadd)",
        "This gives a program another one's name.",
    ),
)
rows(
    "privilege",
    "chattr",
    ("locks-files", 0.55, r"^(?:-R\s+)?\+i\b.*(?:/\.[\w-]|\s\.[\w-]|/tmp/|/dev/shm/)", "This keeps a hidden file from being removed."),
)  # fmt: skip
