"""Which secrets a command reads, by its words and redirections. Values only."""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.policies.danger.hosts import reaches
from lockgate.policies.danger.rules import Setting, has, operands, places, read_by, value
from lockgate.policies.danger.secret_places import secret
from lockgate.policies.shell.model import Command
from lockgate.policies.shell.paths import Place

READERS = frozenset({
    *("cat", "less", "more", "head", "tail", "base64", "xxd", "od"),
    *("hexdump", "strings", "tac", "nl", "cp", "scp", "tar", "zip"),
    *("rsync", "gzip", "bzip2", "xz", "7z", "openssl", "vim", "vi"),
    *("nano", "view", "bat", "awk", "sed", "cut", "sort", "uniq"),
    *("dd", "tee", "mv", "ln", "rev", "tr", "paste"),
    *("fold", "split", "pbcopy", "xclip", "xsel", "base32", "uuencode", "curl"),
    *("wget", "nc", "sftp", "source", ".", "gpg", "type"),
    *("get-content", "gc", "emacs", "python", "jq", "yq", "sqlite3", "strace"),
    *("s3cmd", "s5cmd", "mc", "azcopy", "b2", "docker", "read"),
    *("gh", "ssh-add", "install", "cpio", "perl", "aws", "gsutil"),
    *("mutt", "mail", "mailx", "swaks", "unshadow", "copy", "copy-item", "cpi", "xcopy", "rclone", "file-roller", "diff", "cmp", "expand", "pr", "iconv"),
})  # fmt: skip
SEARCHERS = frozenset({"grep", "egrep", "rg", "ag", "ack", "fgrep", "zgrep"})


def secrets_read(c: Command, s: Setting) -> Iterator[tuple[Place, str, float]]:
    """The places with secrets that the command reads, what they are, and how bad that is."""
    paths: list[str] = []
    if c.name in READERS:
        paths += [word.removeprefix("@") for word in _words(c) if word]
        if c.name in ("ssh-add",) or (c.name == "tee" and not c.redirects):
            paths = []
    elif c.name in SEARCHERS:
        patterns = 0 if has(c, "-e", "--regexp", "-f") else 1
        paths += operands(c, "-e --regexp -A -B -C -m --include --exclude --exclude-dir -g -t -f --max-depth")[
            patterns:
        ]
    for found in (*places(c, paths, s), *read_by(c, s)):
        if (what := secret(found)) is not None:
            yield found, *what


def _words(c: Command) -> Iterator[str]:
    """The words that name what the command reads."""
    match c.name:
        case "curl":
            yield from _of_curl(c)
        case "cp" | "mv" | "ln" | "install" | "copy" | "copy-item" | "cpi" | "xcopy" if len(operands(c)) > 1:
            yield from operands(c)[:-1]
        case "scp" | "rsync" | "sftp":
            yield from operands(c, "-i -F -P -o -e -J -l -c -S --exclude --include --filter --exclude-from")[:-1]
        case "gh":
            yield from operands(c)[2:] if operands(c)[:2] == ["gist", "create"] else ()
        case "openssl":
            public = c.args[:1] and c.args[0] in ("x509", "req", "verify", "s_client")
            yield from () if public or "-pubout" in c.args else (value(c, "-in"),)
        case "python" | "node":
            return
        case "wget":
            yield value(c, "--post-file", "--body-file")
        case "sed" | "awk" | "jq" | "yq" | "perl":
            yield from operands(c, "-e -f -F -v --arg --argjson")[(0 if has(c, "-e", "-f") else 1) :]
        case "docker":
            copied = operands(c)[1:2] if c.args[:1] == ("cp",) else []
            yield from (word.partition(":")[2] or word for word in copied)
        case "od":
            yield from operands(c, "-N -j -t -A -w -S")
        case "mutt" | "mail" | "mailx" | "swaks":
            yield value(c, "-a", "-A", "--attach")
        case "dd":
            yield from (arg[3:] for arg in c.args if arg.startswith("if="))
        case "tar":
            yield from operands(c, "-f --file -C --exclude --directory")
        case _:
            yield from operands(c, "-n -c -s -w -l -j -N")


def _of_curl(c: Command) -> Iterator[str]:
    for reach in reaches(c):
        yield from (part.partition("@")[2] or part for part in reach.data.split() if "@" in part or "/" in part)
    yield from (arg.removeprefix("file://") for arg in c.args if arg.startswith("file://"))
    yield value(c, "-T", "--upload-file")
