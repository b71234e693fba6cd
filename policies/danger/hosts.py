"""Which machines a command would speak to, and whether it sends or fetches. Values only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate.policies.danger.rules import has, operands, value
from lockgate.policies.shell.model import SOME, UNSET, Command, known

_URL = re.compile(r"(?i)^(?:[a-z][a-z0-9+.-]*:)?//(?:[^/@\s]*@)?(\[[0-9a-f:.]+\]|[^/:?#\s]+)")
_HOST = re.compile(r"^(?:[^@\s/]+@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+|\S*[\ue000-\ue003]\S*):")
_BARE = re.compile(r"^(?:[^@\s/]+@)?((?:[A-Za-z0-9_-]+\.)+[A-Za-z]{2,}|\d+\.\d+\.\d+\.\d+|localhost)(?:[:/?].*)?$")
_DROPS = re.compile(
    r"(?i)(?:^|\.)(?:transfer\.sh|file\.io|0x0\.st|pastebin\.com|termbin\.com|webhook\.site|requestbin\.\w+|ngrok(?:-free)?\.\w+|"
    r"ngrok\.io|pipedream\.net|burpcollaborator\.net|oast\.\w+|oastify\.com|interact\.sh|ix\.io|sprunge\.us|paste\.rs|bashupload\.com|"
    r"hastebin\.com|dpaste\.\w+|paste\.ee|anonfiles\.com|gofile\.io|catbox\.moe|tmpfiles\.org|beeceptor\.com|hookbin\.com|"
    r"requestcatcher\.com|dnslog\.cn|ceye\.io|canarytokens\.com|serveo\.net|localhost\.run|trycloudflare\.com|loca\.lt|"
    r"api\.telegram\.org|requestinspector\.com|rentry\.co|uguu\.se|temp\.sh|oshi\.at|clbin\.com|evil\S*|attacker\S*|exfil\S*|malicious\S*|c2\S*)$"
)
_HOOKS = re.compile(r"(?i)discord(?:app)?\.com/api/webhooks|hooks\.slack\.com/services")


@dataclass(frozen=True, slots=True)
class Reach:
    """That a command reaches a host; `sends` where it takes data there."""

    host: str
    sends: bool = False
    data: str = ""
    """What it sends, as far as its words tell."""


def host_of(url: str) -> str:
    """The host of a URL or of `user@host:path`; "" where there is none."""
    if found := _URL.match(url) or _BARE.match(url) or _HOST.match(url):
        return found[1].strip("[]").lower().rstrip(".")
    return ""


_PRIVATE = tuple(
    ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
)


def here(host: str) -> bool:
    """Whether the host is this machine."""
    if host in ("localhost", "host.docker.internal", "", "0.0.0.0", "::1") or host.endswith(".localhost"):
        return True
    return bool(re.fullmatch(r"127\.\d+\.\d+\.\d+", host))


def local(host: str) -> bool:
    """Whether the host is this machine or its own network, as far as its name or address tells."""
    if here(host) or host.endswith((".local", ".internal", ".lan", ".svc", ".localdomain")):
        return True
    return private(host) or ("." not in host and known(host) and ":" not in host and not is_address(host))


def private(host: str) -> bool:
    """Whether the host is an address of a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in net for net in _PRIVATE if net.version == address.version)


def is_address(host: str) -> bool:
    """Whether the host is a bare address out in the world."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(re.fullmatch(r"0x[0-9a-f]{8}|\d{9,10}", host))
    return not private(host) and not here(host)


def drop(url: str) -> bool:
    """Whether the URL is a place where anybody leaves and fetches things unseen."""
    return bool(_DROPS.search(host_of(url)) or _HOOKS.search(url))


_CURL_DATA = (
    "-d",
    "--data",
    "--data-binary",
    "--data-raw",
    "--data-urlencode",
    "--data-ascii",
    "-F",
    "--form",
    "-T",
    "--upload-file",
    "--json",
)
CURL_VALUED = (
    "-o --output -H --header -X --request -A --user-agent -u --user -b --cookie -c --cookie-jar -e --referer -m --max-time "
    "--connect-timeout --retry -w --write-out -x --proxy --cacert --cert --key -D --dump-header -K --config --resolve "
    "--retry-delay -r --range -d --data --data-binary --data-raw --data-urlencode --data-ascii -F --form -T --upload-file "
    "--json -C --continue-at --limit-rate --interface --form-string --unix-socket -E --aws-sigv4 --url-query"
)


MAX_REACHES = 20
"""So many different hosts of one command are looked at."""


_reached: tuple[Command | None, Sequence[Reach]] = (None, ())
"""The command that was asked about last: several rules ask about each."""


def reaches(c: Command) -> Sequence[Reach]:
    """Every host that the command would reach, as far as its words tell, each once."""
    global _reached
    of, found = _reached
    if of is not c:
        found = _each_once(c)
        _reached = (c, found)
    return found


def _each_once(c: Command) -> Sequence[Reach]:
    found: dict[tuple[str, bool], Reach] = {}
    for reach in _reaches(c):
        found.setdefault((reach.host, reach.sends), reach)
        if len(found) >= MAX_REACHES:
            break
    return tuple(found.values())


def _reaches(c: Command) -> Iterator[Reach]:
    if (find := _FINDERS.get(c.name)) is not None:
        yield from find(c)
    for redirect in c.redirects:
        if found := re.match(r"/dev/(?:tcp|udp)/([^/]+)", redirect.target):
            yield Reach(found[1].lower(), True, c.stdin or "")


def _wget(c: Command) -> Iterator[Reach]:
    sent = value(c, "--post-file", "--post-data", "--body-file", "--body-data", "-InFile", "-Body")
    for url in operands(c, "-O -o -P -U -e --header --user-agent -OutFile -Method -Headers"):
        if host := host_of(url):
            yield Reach(host, bool(sent), sent)


def _httpie(c: Command) -> Iterator[Reach]:
    words = operands(c)
    verb = words[0].upper() if words and words[0].isalpha() and words[0].isupper() else ""
    for url in words[1 if verb else 0 :][:1]:
        sends = verb in ("POST", "PUT", "PATCH") or c.piped or any("=" in word for word in words[1:])
        yield Reach(host_of(url), sends)


def _ssh(c: Command) -> Iterator[Reach]:
    for host in operands(c, "-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w -P -u")[:1]:
        yield Reach((host_of(host) or host.rpartition("@")[2]).lower(), c.piped, c.stdin or "")


def _lookup(c: Command) -> Iterator[Reach]:
    for name in operands(c, "-c -i -W -w -s -t -p -n -m -b -k -y -x"):
        plain = name.removeprefix("@").lower().rstrip(".")
        if "." in plain or not known(plain):
            yield Reach(plain, not known(plain), plain)


def _mail(c: Command) -> Iterator[Reach]:
    for address in c.args:
        if "@" in address:
            yield Reach(address.rpartition("@")[2].lower().rstrip(">"), True, c.stdin or "")


def _curl(c: Command) -> Iterator[Reach]:
    sent = [c.args[at + 1] for at, arg in enumerate(c.args[:-1]) if arg in _CURL_DATA]
    sent += [arg[2:] for arg in c.args if re.match(r"-[dFT][^-]", arg)] + [
        arg.partition("=")[2]
        for arg in c.args
        if arg.startswith("--") and "=" in arg and arg.partition("=")[0] in _CURL_DATA
    ]
    sent += [
        c.args[at + 1]
        for at, arg in enumerate(c.args[:-1])
        if re.fullmatch(r"-[a-zA-WYZ]+[dFT]", arg) and arg not in _CURL_DATA
    ]
    for url in [*operands(c, CURL_VALUED), *([value(c, "--url")] if value(c, "--url") else [])]:
        host = host_of(url if "//" in url else f"//{url}")
        if host and url not in sent:
            yield Reach(host, bool(sent), " ".join(sent))


def _netcat(c: Command) -> Iterator[Reach]:
    if c.name == "openssl":
        if c.args[:1] == ("s_client",) and (target := value(c, "-connect")):
            yield Reach(target.partition(":")[0].lower(), c.piped, c.stdin or "")
        return
    if c.name == "socat":
        for arg in c.args:
            if found := re.match(r"(?i)(?:tcp|tcp4|udp|ssl|openssl|tcp-connect|openssl-connect):([^:,]+)", arg):
                yield Reach(found[1].lower(), True, c.stdin or "")
        return
    if any(re.fullmatch(r"-[a-z]*[lz][a-z]*|--listen", arg) for arg in c.args):
        return
    for host in operands(c, "-w -p -s -q -x -X -i -e -c --exec --sh-exec -O -I")[:1]:
        yield Reach(host.lower(), c.piped or bool(value(c, "-e", "--exec", "-c")), c.stdin or "")


def _copy(c: Command) -> Iterator[Reach]:
    paths = operands(c, "-P -i -F -o -l -c -S -J -e --rsh --exclude --include --port --password-file --files-from -T")
    for at, path in enumerate(paths):
        if (host := _HOST.match(path)) and not path.startswith(("/", ".")) and "://" not in path:
            sends = at == len(paths) - 1
            yield Reach(host[1].lower(), sends, " ".join(paths[:-1]) if sends else "")
        elif path.startswith(("rsync://", "scp://")):
            yield Reach(host_of(path), at == len(paths) - 1, " ".join(paths[:-1]))


def _git(c: Command) -> Iterator[Reach]:
    words = operands(c, "-C -c")
    if c.name == "gh" and words[:2] == ["gist", "create"]:
        yield Reach("gist.github.com", True, " ".join(words[2:]))
    sends = words[:1] == ["push"]
    for word in words[1:]:
        if "://" in word or re.match(r"^[\w.-]+@[\w.-]+:", word):
            yield Reach(host_of(word), sends, word if sends else "")


def _packages(c: Command) -> Iterator[Reach]:
    for option in (
        "-i",
        "--index-url",
        "--extra-index-url",
        "--registry",
        "-f",
        "--find-links",
        "--index",
        "--source",
        "--repository-url",
    ):
        if url := value(c, option):
            yield Reach(host_of(url), "publish" in c.args or "upload" in c.args)
    for word in operands(c):
        if re.match(r"(?:git\+)?(?:https?|ssh|git)://", word):
            yield Reach(host_of(word.removeprefix("git+")))


_STORES = {"s3": "s3.amazonaws.com", "gs": "storage.googleapis.com", "b2": "backblazeb2.com"}
_BUCKETS = re.compile(r"(s3|gs|b2)://([^/\s]+)")


def _bucket(c: Command) -> Iterator[Reach]:
    words = operands(
        c, "--include --exclude --filter --acl --profile --region --sse --storage-class --config --transfers"
    )
    paths = [word for word in words if re.match(r"(?:s3|gs|b2|https?)://|[\w-]+:", word)]
    for path in paths:
        sends = (
            bool(words)
            and words[-1] == path
            and any(verb in words for verb in ("cp", "sync", "mv", "copy", "put", "move", "rsync"))
        )
        bucket = _BUCKETS.match(path)
        host = f"{bucket[2]}.{_STORES[bucket[1]]}".lower() if bucket else host_of(path) if "//" in path else ""
        yield Reach(host or path.partition(":")[0] + ":", sends, " ".join(words[:-1]) if sends else "")


def _database(c: Command) -> Iterator[Reach]:
    host = next((host_of(arg) for arg in c.args if "://" in arg), "") or value(c, "-h", "--host")
    if host:
        yield Reach(host.lower(), any("dump" in feed.name for feed in c.feeds))


_FINDERS: Mapping[str, Callable[[Command], Iterator[Reach]]] = {
    **dict.fromkeys(("curl", "curlie"), _curl),
    **dict.fromkeys(
        ("wget", "wget2", "aria2c", "axel", "lynx", "w3m", "links", "invoke-webrequest", "iwr", "irm"), _wget
    ),
    **dict.fromkeys(("invoke-restmethod", "start-bitstransfer", "lwp-request", "lwp-download"), _wget),
    **dict.fromkeys(("http", "https", "xh", "httpie"), _httpie),
    **dict.fromkeys(("nc", "ncat", "netcat", "telnet", "nc.traditional", "nc.openbsd", "openssl", "socat"), _netcat),
    **dict.fromkeys(("ssh", "sftp", "mosh", "autossh", "ftp", "tftp", "lftp", "ssh-copy-id"), _ssh),
    **dict.fromkeys(("scp", "rsync", "rcp"), _copy),
    **dict.fromkeys(("ping", "ping6", "traceroute", "dig", "nslookup", "host", "drill", "mtr", "whois"), _lookup),
    **dict.fromkeys(("resolvectl", "delv", "kdig"), _lookup),
    **dict.fromkeys(("git", "gh", "svn", "hg"), _git),
    **dict.fromkeys(("pip", "pip3", "uv", "npm", "pnpm", "yarn", "gem", "cargo", "go", "bun", "poetry"), _packages),
    **dict.fromkeys(("twine", "conda"), _packages),
    **dict.fromkeys(("psql", "mysql", "mariadb", "mongorestore"), _database),
    **dict.fromkeys(("mail", "mailx", "mutt", "sendmail", "msmtp", "swaks"), _mail),
    **dict.fromkeys(("aws", "gsutil", "rclone", "s3cmd", "mc", "azcopy", "gcloud", "b2", "restic"), _bucket),
}


def unknown_host(host: str) -> bool:
    return SOME in host or UNSET in host


def dials(c: Command) -> bool:
    """Whether the command speaks to a machine beyond this one and its own network."""
    return any(not local(reach.host) for reach in reaches(c))


def listens(c: Command) -> bool:
    return c.name in ("nc", "ncat", "netcat", "socat") and (
        has(c, "-l", "--listen") or "LISTEN" in " ".join(c.args).upper()
    )
