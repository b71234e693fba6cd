"""How secret what a command gets from others is: files, stores, the environment, what was recorded. Values only."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, line, operands, places
from lockgate.policies.danger.secret_reads import READERS, secrets_read
from lockgate.policies.shell.model import Command

_LISTS = frozenset({
    *("whoami", "hostname", "id", "uname", "ifconfig", "ip", "ps", "netstat", "last", "w", "pwd", "cat", "ls", "find"),
})  # fmt: skip
_DUMPERS = ("tar", "zip", "mysqldump", "pg_dump", "pg_dumpall", "mongodump", "gpg", "history", "security")
_STORES = ("psql", "mysql", "mariadb", "sqlite3", "mongosh", "mongo", "redis-cli", "bq", "clickhouse-client", "duckdb")
_OPENERS = ("sops", "vault", "pass", "op", "doppler", "bw", "age", "gopass", "secret-tool")
_RECORDERS = ("pbpaste", "screencapture", "scrot", "xclip", "xsel", "wl-paste", "get-clipboard", "import", "arecord")
_BY_WORDS = (
    (("aws", "gcloud", "az", "kubectl"), r"secret|get-parameter|print-access-token|keyvault", 0.6),
    (("aws", "gsutil", "gcloud"), r"^(?:s3\s+cp\s+s3://\S+\s+-|cat\b|storage\s+cat)", 0.5),
    (("ffmpeg",), r"avfoundation|x11grab|pulse|alsa|dshow|gdigrab", 0.6),
    (("docker", "podman"), r"^(?:save|export)\b", 0.5),
    (("git",), r"^(?:archive|bundle|log\b.*-p|diff|show|config)\b", 0.5),
)
_QUESTIONS = re.compile(r"(?i)\bselect\s+(?:1|version|now|count)\b")


def carried(c: Command, s: Setting) -> float:
    """How secret what the command gets from others is, 0 to 1."""
    return max((_told_by(feed, s) for feed in c.feeds), default=0.0)


def _told_by(feed: Command, s: Setting) -> float:
    """How secret what a command prints or writes is."""
    scores = [score for _, _, score in secrets_read(feed, s)]
    name = feed.name
    if name in ("env", "printenv", "set", "export", "declare") and (not operands(feed) or name == "printenv"):
        scores.append(0.6)
    if name in ("tar", "zip", "rsync", "cpio"):
        scores.append(_archived(feed, s))
    if name in READERS and any(arg.endswith("/etc/passwd") for arg in feed.args):
        scores.append(0.5)
    if name in _DUMPERS or (name in _STORES and not _QUESTIONS.search(line(feed))):
        scores.append(0.5)
    if name in _OPENERS or name in _RECORDERS:
        scores.append(0.6)
    scores += [score for names, pattern, score in _BY_WORDS if name in names and re.search(pattern, line(feed))]
    return max(scores, default=0.3 if name in _LISTS else 0.0)


def _archived(feed: Command, s: Setting) -> float:
    """How much of a machine an archive holds."""
    for found in places(feed, operands(feed, "-C --exclude --directory"), s):
        if (found.anchor == "~" and len(found.parts) < 1) or (found.anchor == "/" and len(found.parts) < 2):
            return 0.7
    return 0.0
