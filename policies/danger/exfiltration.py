"""Secrets that would be read, and data that would leave the machine."""

from __future__ import annotations

import re

from lockgate.policies.danger.carried import carried as carried_by
from lockgate.policies.danger.hosts import Reach, drop, here, is_address, local, reaches, unknown_host
from lockgate.policies.danger.rules import Setting, has, line, operands, places, rows, rule
from lockgate.policies.danger.secret_places import secret
from lockgate.policies.danger.secret_reads import SEARCHERS, secrets_read
from lockgate.policies.shell.model import UNSET, Command, shown


@rule("exfiltration", "reads-secrets", "This reads keys, passwords or other credentials.")
def _(c: Command, s: Setting) -> float:
    found = list(secrets_read(c, s))
    if not found:
        return 0.0
    worst = max(score for _, _, score in found)
    if c.name in ("cp", "mv", "install", "ln", "copy", "copy-item", "cpi", "xcopy") and worst < 0.8:
        return 0.0
    if c.name in SEARCHERS and worst < 0.5:
        return worst * 0.6
    if c.name in ("sed", "perl") and has(c, "-i"):
        return worst * 0.6
    if c.name in (".", "source", "diff", "cmp", "vim", "vi", "nano"):
        return worst * 0.8 if worst < 0.6 else worst
    return worst


def _secret_words(text: str) -> bool:
    return bool(
        re.search(rf"{UNSET}\w*(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE|CREDENTIAL)\w*", text)
    )


def _first_letters(source: str) -> bool:
    """Whether no more of variables is written than a few letters: `${API_KEY:0:4}`."""
    left = re.sub(r"\$\{\w+:0:[1-8]\}", "", source)
    return left != source and "$" not in left


@rule("exfiltration", "sends-data-away", "This takes data off this machine.", "sftp ftp lftp tftp")
def _(c: Command, s: Setting) -> float:
    """Secrets that are put there by words that the program reads."""
    said = " ".join((c.stdin or "", *c.args))[:10_000]
    found = places(c, re.findall(r"(?:^|[\s;])m?put\s+(?:-\S+\s+)*([^\s;]+)", said), s)
    return max((0.85 for one in found if secret(one) is not None), default=0.0)


@rule("exfiltration", "sends-data-away", "This takes data off this machine.")
def _(c: Command, s: Setting) -> float:
    worst = 0.0
    for reach in reaches(c):
        if here(reach.host):
            continue
        score = _sent(c, reach, s)
        worst = max(worst, score if not local(reach.host) or unknown_host(reach.host) or score >= 0.85 else 0.0)
    return worst


_RAW = (
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "socat",
    "openssl",
    "tftp",
    "mail",
    "mailx",
    "mutt",
    "sendmail",
    "swaks",
    "msmtp",
    "nc.traditional",
)


_LOOKUPS = ("dig", "nslookup", "host", "ping", "drill", "whois", "resolvectl", "traceroute", "kdig")
_WEB = ("curl", "wget", "http")


def _sent(c: Command, reach: Reach, s: Setting) -> float:
    """How bad it is what the command sends to a host."""
    carried = carried_by(c, s)
    if c.name in _LOOKUPS:
        if not re.search(r"[\ue001\ue003][^.]*\.[^.]", reach.host):
            return 0.0
        return 0.8 if carried or _secret_words(reach.host) else 0.65 if c.feeds else 0.5
    if c.name in ("ssh", "sftp", "ftp", "lftp"):
        if reach.sends and (carried >= 0.6 or (carried >= 0.5 and not _archive_only(c))):
            return 0.85
        return 0.6 if reach.sends and carried >= 0.5 and is_address(reach.host) else 0.0
    if not reach.sends and not c.piped:
        return _asked(c, reach, carried) if c.name in _WEB else 0.0
    own = max((score for _, _, score in secrets_read(c, s)), default=0.0)
    if c.name in _RAW:
        talks = all(feed.name in ("echo", "printf", "sleep", "yes", "true") for feed in c.feeds) and not carried
        quiet = talks and not any(r.kind == "read" and r.target != "/dev/null" for r in c.redirects)
        return 0.0 if quiet else max(0.65, carried, own)
    return max(0.85, own, carried) if own >= 0.45 or carried >= 0.6 else _uploaded(c, reach, max(own, carried), s)


def _asked(c: Command, reach: Reach, carried: float) -> float:
    """How bad it is what a question for a page gives away in its address."""
    query = " ".join(arg for arg in c.args if "//" in arg or "." in arg)[:8_000]
    strange = any(drop(arg) for arg in c.args) or is_address(reach.host)
    if any(feed.name not in ("date", "mktemp", "jq") for feed in c.feeds):
        if carried >= 0.45:
            return 0.85
        if strange:
            return 0.75
        return 0.55 if carried and re.search(r"\?\w+=\S*\ue002", query) else 0.0
    if _secret_words(query) and not _own_secret(reach, query):
        return 0.75 if strange else 0.5
    return 0.0


def _uploaded(c: Command, reach: Reach, carried: float, s: Setting) -> float:
    """How bad an upload is that holds no known secret."""
    if _own_secret(reach, reach.data):
        return 0.0
    if _secret_words(reach.data):
        return 0.75
    if any(drop(arg) for arg in c.args):
        return 0.8
    if c.name in _WEB and carried >= 0.45:
        return 0.75
    if is_address(reach.host) and reach.sends and c.name in ("scp", "rsync") and re.search(r"-i\s*\S", line(c)):
        return _copied(c, reach, s)  # who names a key knows the machine
    if is_address(reach.host) and reach.sends:
        return 0.7 if "@" in reach.data or c.feeds or c.name in ("scp", "rsync") else 0.5
    if c.name in ("scp", "rsync", "rclone", "aws", "gsutil"):
        return _copied(c, reach, s)
    if c.name in _WEB and carried >= 0.3 and reach.sends:
        told = any(feed.name in ("cat", "env", "printenv", "hostname", "whoami", "id", "uname") for feed in c.feeds)
        return 0.6 if told and "@-" not in reach.data else 0.5
    return 0.0


def _own_secret(reach: Reach, sent: str) -> bool:
    """Whether all that it sends of secrets is the one for this very host: CODECOV_TOKEN to codecov.io."""
    names = re.findall(rf"{UNSET}(\w+)", sent)
    return bool(names) and all(name.lower().partition("_")[0] in reach.host.replace("-", "") for name in names)


def _archive_only(c: Command) -> bool:
    return (
        all(feed.name in ("tar", "git", "zip", "gzip", "pg_dump", "mysqldump", "cat", "zstd") for feed in c.feeds)
        and c.feeds[-1:] != ()
    )


def _copied(c: Command, reach: Reach, s: Setting) -> float:
    """Files that are copied to another machine: whole homes and system folders are more than a deployment."""
    paths = [path for path in reach.data.split() if path not in ("s3", "cp", "sync", "copy", "mv", "put", "move")]
    for found in places(c, paths, s):
        if found.anchor == "~" and (
            not found.parts or found.parts[0] in ("*", "Documents", ".config", ".mozilla", "Desktop")
        ):
            return 0.75
        if found.anchor == "/" and (
            not found.parts or (found.parts[0] in ("etc", "root", "home") and len(found.parts) < 3)
        ):
            return 0.75
        if found.text.endswith((".sql", ".dump", ".kdbx")) and reach.sends and c.name in ("scp", "rsync"):
            return 0.45
    return 0.0


rows(
    "exfiltration",
    "security secret-tool pass gopass keyring lpass bw",
    ("reads-secrets", 0.75, r"^(?:find-(?:generic|internet)-password\b.*-[a-z]*[wg]|dump-keychain|export\b|lookup\b|search\b)", "This reads a password store."),
    ("reads-secrets", 0.55, r"^(?:show|get|list\s+items|get\s+password)\s", "This reads a password store."),
)  # fmt: skip
rows(
    "exfiltration",
    "gpg gpg2",
    ("reads-secrets", 0.85, r"--export-secret-(?:keys|subkeys)", "This takes private keys out of their store."),
)
rows(
    "exfiltration",
    "gh",
    ("reads-secrets", 0.55, r"^auth\s+(?:token|status\b.*(?:-t|--show-token))", "This shows a token."),
)
rows(
    "exfiltration",
    "ssh-keygen",
    ("reads-secrets", 0.6, r"-[a-z]*p[a-z]*\b.*-N\s*(?:''|\s|$)", "This takes a key's password away."),
)
rows(
    "exfiltration",
    "nmcli",
    ("reads-secrets", 0.7, r"(?:^|\s)(?:-s|--show-secrets)\s.*(?:psk|connection)", "This shows passwords of networks."),
)
rows(
    "exfiltration",
    "trufflehog gitleaks",
    (
        "searches-for-secrets",
        0.65,
        r"^filesystem\s+(?:\S+=)?[/~](?:\s|$)|--source[= ][/~](?:\s|$)",
        "This looks for credentials all over the machine.",
    ),
)
rows(
    "exfiltration",
    "git",
    ("reads-secrets", 0.6, r"^credential(?:-\w+)?\s+(?:fill|get)\b", "This reads a password store."),
)
rows("exfiltration", "getent", ("reads-secrets", 0.8, r"^shadow", "This reads the users' passwords."))


@rule("exfiltration", "shows-secrets", "This shows credentials that the environment holds.", "echo printf printenv env")
def _(c: Command, s: Setting) -> float:
    if c.name in ("echo", "printf"):
        if not _secret_words(" ".join(c.args)) or c.redirects or _first_letters(c.source):
            return 0.0
        return 0.55 if re.search(r"^(?:\S*\s)?\S{0,40}$|=", shown(" ".join(c.args))) else 0.4
    names = operands(c)
    return (
        0.55
        if c.name == "printenv"
        and any(re.search(r"SECRET|TOKEN|PASSWORD|API_?KEY|ACCESS_KEY|CREDENTIAL", n) for n in names)
        else 0.0
    )


@rule("exfiltration", "shows-secrets", "This shows credentials that the environment holds.", "grep egrep rg awk sed")
def _(c: Command, s: Setting) -> float:
    if (
        not c.feeds
        or c.feeds[-1].name not in ("env", "printenv", "set", "export", "declare")
        or has(c, "-c", "-q", "-v")
    ):
        return 0.0
    wanted = " ".join(operands(c, "-e -A -B -C -m"))
    return 0.55 if re.search(r"(?i)secret|token|passw|api_?key|\bkey\b|credential", wanted) else 0.0


@rule(
    "exfiltration",
    "searches-for-secrets",
    "This looks for credentials all over the machine.",
    "grep egrep rg find ag locate",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    wide = any(
        found.anchor in ("/", "~") and len(found.parts) < 3 and found.parts[:1] not in (("usr",), ("tmp",))
        for found in places(c, [w for w in operands(c) if w.startswith(("/", "~"))], s)
    )
    if not wide:
        return 0.0
    if c.name == "find":
        names = re.search(
            r"-i?name\s+\S*(?:id_rsa|id_ed25519|\.pem|\.key|\.env|credential|passw|secret|wallet|\.kdbx|\.p12|\.pfx|history|token)",
            text,
        )
        return 0.65 if names else 0.0
    return 0.6 if re.search(r"(?i)passw|secret|api_?key|aws_|token|private key|AKIA", text) else 0.0


@rule("exfiltration", "pushes-elsewhere", "This pushes the repository to a place of its own.", "git")
def _(c: Command, s: Setting) -> float:
    for reach in reaches(c):
        if reach.sends and not local(reach.host):
            return (
                0.8
                if is_address(reach.host)
                or drop(reach.host)
                or not re.search(r"github|gitlab|bitbucket|azure|codeberg|sr\.ht", reach.host)
                else 0.3
            )
    return (
        0.6
        if re.match(r"remote\s+(?:add|set-url)\b", line(c))
        and any(drop(arg) or is_address(arg.partition("://")[2].partition("/")[0]) for arg in c.args)
        else 0.0
    )
