"""How secret what a command gets from others is: files, stores, the environment, what was recorded. Values only."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, line, operands, places
from lockgate.policies.danger.secret_reads import READERS, secrets_read
from lockgate.policies.shell.model import Command

_STORES = ("psql", "mysql", "mariadb", "sqlite3", "mongosh", "mongo", "redis-cli", "bq", "clickhouse-client", "duckdb")
_DUMPERS = ("tar", "zip", "mysqldump", "pg_dump", "pg_dumpall", "mongodump", "gpg", "history", "security")


def carried(c: Command, s: Setting) -> float:
    """How secret what the command gets from others is, 0 to 1."""
    worst = 0.0
    for feed in c.feeds:
        worst = max([worst, *(score for _, _, score in secrets_read(feed, s))])
        if feed.name in ("env", "printenv", "set", "export", "declare") and (
            not operands(feed) or feed.name == "printenv"
        ):
            worst = max(worst, 0.6)
        if feed.name in ("tar", "zip", "rsync", "cpio"):
            worst = max(worst, _archived(feed, s))
        if feed.name in READERS and any(arg.endswith("/etc/passwd") for arg in feed.args):
            worst = max(worst, 0.5)
        if feed.name in _STORES and not re.search(r"\bselect\s+(?:1|version|now|count)\b", line(feed), re.IGNORECASE):
            worst = max(worst, 0.5)
        if feed.name in ("sops", "vault", "pass", "op", "doppler", "bw", "age", "gopass", "secret-tool") or (
            feed.name in ("aws", "gcloud", "az", "kubectl")
            and re.search(r"secret|get-parameter|print-access-token|keyvault", line(feed))
        ):
            worst = max(worst, 0.6)
        if feed.name in ("aws", "gsutil", "gcloud") and re.match(
            r"(?:s3\s+cp\s+s3://\S+\s+-|cat\b|storage\s+cat)", line(feed)
        ):
            worst = max(worst, 0.5)
        if feed.name == "ffmpeg" and re.search(r"avfoundation|x11grab|pulse|alsa|dshow|gdigrab", line(feed)):
            worst = max(worst, 0.6)
        if feed.name in (
            "pbpaste",
            "screencapture",
            "scrot",
            "xclip",
            "xsel",
            "wl-paste",
            "get-clipboard",
            "import",
            "arecord",
        ):
            worst = max(worst, 0.6)
        if feed.name in _DUMPERS or (feed.name == "docker" and feed.args[:1] in (("save",), ("export",))):
            worst = max(worst, 0.5)
        if feed.name == "git" and re.match(r"(?:archive|bundle|log\b.*-p|diff|show|config)\b", line(feed)):
            worst = max(worst, 0.5)
        if feed.name in (
            "whoami",
            "hostname",
            "id",
            "uname",
            "ifconfig",
            "ip",
            "ps",
            "netstat",
            "last",
            "w",
            "pwd",
            "cat",
            "ls",
            "find",
        ):
            worst = max(worst, 0.3)
    return worst


def _archived(feed: Command, s: Setting) -> float:
    """How much of a machine an archive holds."""
    for found in places(feed, operands(feed, "-C --exclude --directory"), s):
        if (found.anchor == "~" and len(found.parts) < 1) or (found.anchor == "/" and len(found.parts) < 2):
            return 0.7
    return 0.0
