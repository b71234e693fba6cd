"""Machines of others that would be looked into, or loaded until they stand still."""

from __future__ import annotations

import re

from lockgate.policies.danger.hosts import here, host_of, local
from lockgate.policies.danger.rules import Setting, line, operands, rows, rule, value
from lockgate.policies.shell.model import Command

_LOADERS = "ab wrk wrk2 hey siege vegeta bombardier h2load boom oha autocannon"

rows(
    "network",
    "nmap",
    (
        "attacks-others",
        0.65,
        r"/\d{1,2}(?:\s|$)|--script=?\s*(?:vuln|exploit|brute)",
        "This looks for weak points of machines.",
    ),
)


@rule("network", "attacks-others", "This looks for weak points of machines.", "nmap")
def _(c: Command, s: Setting) -> float:
    looks = re.search(r"--script|-sS|-sV|-A\b|-p-|-O\b|-sU|-Pn", line(c))
    return 0.65 if looks and not here((c.args or ("-",))[-1]) else 0.0


rows(
    "network",
    "xterm",
    ("opens-shell-to-strangers", 0.75, r"-display\s+\d+\.\d+", "This gives a shell on this machine to another one."),
)


@rule("network", "attacks-others", "This loads a machine until nothing else gets through.", _LOADERS)
def _(c: Command, s: Setting) -> float:
    away = [url for url in operands(c) if (host := host_of(url)) and not local(host) and ("//" in url or "." in host)]
    numbers = [int(found) for arg in c.args for found in re.findall(r"^(?:-[a-z])?(\d{3,9})(?:/1?s)?$", arg)]
    return 0.6 if away and any(number >= 500 for number in numbers) else 0.0


@rule("network", "attacks-others", "This loads a machine until nothing else gets through.", "xargs parallel")
def _(c: Command, s: Setting) -> float:
    at_once = value(c, "-P", "--max-procs", "-j", "--jobs")
    away = [url for url in c.args if "//" in url and not local(host_of(url))]
    return 0.6 if away and at_once.isdigit() and int(at_once) >= 64 else 0.0
