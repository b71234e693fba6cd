"""What harms a Mac, or a telephone's simulator, through programs that only a Mac has."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, line, rows, rule
from lockgate.policies.shell.model import Command

rows(
    "disks",
    "hdiutil diskutil asr",
    ("removes-volume", 0.85, r"^erase\b|(?i)^erase\w*\s|^reformat\b|^restore\b.*--erase", "This erases a disk."),
)
rows(
    "network",
    "socketfilterfw",
    (
        "drops-firewall",
        0.8,
        r"--setglobalstate\s+off|--setblockall\s+off|--unblockapp",
        "This takes the firewall down.",
    ),
)
rows(
    "network",
    "networksetup",
    ("misleads-names", 0.65, r"^-set(?:web|secureweb|socksfirewall|autoproxy)\w*\s+(?:\S+\s+){1,2}\S+|^-setdnsservers\s+\S+\s+(?:\d|[0-9a-f]*:)", "This sends what this machine asks for to another one."),
)  # fmt: skip
rows(
    "network",
    "systemsetup",
    ("opens-tunnel", 0.65, r"(?i)-setremote(?:login|appleevents)\s+on", "This opens a way in from another machine."),
)
rows(
    "privilege",
    "nvram",
    ("lowers-guard", 0.75, r"boot-args=\S*(?:amfi|cs_|debug|-v\b)|csr-active-config|^-c\b", "This turns off what keeps the machine safe."),
)  # fmt: skip
rows("privilege", "tccutil", ("lowers-guard", 0.55, r"^reset\s+All\s*$", "This resets what every program may do."))
rows("privilege", "log", ("hides-tracks", 0.7, r"^erase\b", "This removes the record of what was done."))
_TELLS = (
    (re.compile(r"(?is)\b(?:shut\s?down|restart|log out)\b"), 0.7),
    (re.compile(r"(?is)\bdelete\b.{0,60}\b(?:every|all|home|desktop|documents|disk)\b|\bempty\s+(?:the\s+)?trash\b"), 0.7),
    (re.compile(r"(?is)display dialog.{0,200}(?:password|hidden answer)"), 0.7),
)  # fmt: skip


@rule(
    "files",
    "orders-other-programs",
    "This has another program delete files, ask for a password or stop the machine.",
    "osascript",
)
def _(c: Command, s: Setting) -> float:
    text = f"{line(c)} {c.stdin or ''}"[:20_000]
    return max((score for pattern, score in _TELLS if pattern.search(text)), default=0.0)


@rule("privilege", "lowers-guard", "This changes what programs may see and hear.", "sqlite3")
def _(c: Command, s: Setting) -> float:
    changes = re.search(r"(?i)\b(?:insert|update|delete|replace)\b", " ".join((*c.args, c.stdin or "")))
    return 0.8 if changes and any("com.apple.TCC/TCC.db" in arg for arg in c.args) else 0.0
