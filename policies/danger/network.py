"""Strangers' programs and shells, walls torn down, connections cut."""

from __future__ import annotations

import re

from lockgate.policies.danger.hosts import drop, here, host_of, is_address, listens, local, reaches
from lockgate.policies.danger.installers import released, well_known
from lockgate.policies.danger.rules import Setting, has, line, operands, rows, rule, written
from lockgate.policies.shell.follow import INTERPRETERS, SHELLS, code_of, script_file
from lockgate.policies.shell.model import SOME, Command, known, program_name, versionless

_FETCHERS = frozenset({
    *("curl", "wget", "aria2c", "fetch", "lynx", "http", "https", "xh", "nc", "ncat", "netcat", "scp", "ftp", "tftp"),
    *("invoke-webrequest", "iwr", "irm", "invoke-restmethod", "curlie"),
    *("lwp-request", "lwp-download", "w3m", "links", "elinks", "axel", "httpie", "get", "post"),
    *("ftpget", "wget2", "dig", "nslookup", "openssl", "gsutil"),
})  # fmt: skip


def fetched(c: Command) -> Command | None:
    """The command among its feeds that brings something from elsewhere."""
    for feed in c.feeds:
        if feed.name in _FETCHERS and (
            feed.name not in ("openssl", "dig", "nslookup") or any(True for _ in reaches(feed))
        ):
            return feed
        if feed.name == "git" and "clone" in feed.args and "sudo" in c.via:
            return feed
        if feed.name == "aws" and feed.args[:2] == ("s3", "cp"):
            return feed
    return None


_COMPILERS = ("gcc", "cc", "clang", "g++", "rustc", "tcc")
_RUNNERS = (
    *("eval", ".", "source", "exec"),
    *("iex", "invoke-expression", "start-process", "start", "saps", "invoke-item"),
)


def _runs_input(c: Command, name: str) -> bool:
    """Whether an interpreter runs what comes from elsewhere, rather than reading it as data."""
    if name in ("python", "node") and has(c, "-m"):
        return False
    if (code := code_of(c)) is not None:
        return not known(code[1])
    if (given := script_file(c)) is None:
        return bool(c.piped)
    return given[0].startswith("/dev/fd/") or (bool(c.feeds) and not c.piped)


def _runs_named(c: Command, name: str) -> bool:
    """Whether another program runs it: by its name, or because it is itself what came."""
    if name in _RUNNERS or (name in _COMPILERS and any("/dev/fd/" in arg for arg in c.args)):
        return True
    return bool(c.words and ("/" in c.words[0] or c.words[0].startswith(SOME)) and not c.piped)


@rule("network", "runs-downloads", "This runs what it downloads, unseen.")
def _(c: Command, s: Setting) -> float:
    name = versionless(c.name)
    if (source := fetched(c)) is None:
        return 0.0
    if not (_runs_input(c, name) if name in INTERPRETERS else _runs_named(c, name)):
        return 0.0
    hosts = [reach.host for reach in reaches(source)]
    if source.name == "git":
        return 0.55
    if (name in SHELLS or name in ("python", "iex", "invoke-expression") or not known(c.words[0])) and well_known(
        source
    ):
        return 0.4
    if name not in INTERPRETERS and "/" in (c.words[0] if c.words else "") and released(source):
        return 0.45
    return 0.3 if hosts and all(local(host) for host in hosts) else 0.85


@rule("network", "opens-shell-to-strangers", "This gives a shell on this machine to another one.")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    targets = [r.target for r in c.redirects]
    if hosts := [found[1] for target in targets if (found := re.match(r"/dev/(?:tcp|udp)/([^/]+)", target))]:
        if versionless(c.name) in SHELLS or c.name == "exec":
            return 0.9
        asks = c.name in ("echo", "printf", "true", ":", "timeout") or not c.words  # whether somebody listens there
        return 0.0 if asks and all(local(host) for host in hosts) else 0.9 if not c.words else 0.65
    if versionless(c.name) in SHELLS and any("/dev/tcp/" in word for word in c.args) and code_of(c) is None:
        return 0.9
    if c.name in ("nc", "ncat", "netcat", "nc.traditional", "socket") and (
        re.search(r"(?:^|\s)(?:-[a-z]*[ecp]|--exec|--sh-exec)[ =]?\s*\S*(?:sh|cmd|python|perl)\S*", text)
    ):
        return 0.95
    if c.name == "socat" and re.search(r"(?i)(?:exec|system):", text) and re.search(r"(?i)tcp|udp|ssl|openssl", text):
        return 0.95
    if versionless(c.name) in SHELLS and any(
        feed.name in ("nc", "ncat", "netcat", "telnet", "socat", "openssl", "mkfifo") for feed in c.feeds
    ):
        return 0.9 if not known_script(c) else 0.0
    if (
        c.name in ("nc", "ncat", "netcat", "telnet", "openssl")
        and any(versionless(feed.name) in SHELLS for feed in c.feeds)
        and any(True for _ in reaches(c))
    ):
        return 0.85
    if c.name == "telnet" and re.search(r"\|\s*(?:/bin/)?(?:ba)?sh", c.source):
        return 0.9
    if c.name == "zmodload":
        return 0.6 if "net/tcp" in text else 0.0
    return 0.75 if c.name in ("pwncat", "msfvenom", "msfconsole", "weevely", "rcat") else 0.0


def known_script(c: Command) -> bool:
    return c.stdin is not None and known(c.stdin)


@rule("network", "listens-with-shell", "This lets any machine in.", "nc ncat netcat socat")
def _(c: Command, s: Setting) -> float:
    return (
        0.55
        if listens(c) and (any(versionless(f.name) in SHELLS for f in c.feeds) or (c.piped and c.stdin is None))
        else 0.0
    )


rows(
    "network",
    "iptables ip6tables nft ufw pfctl firewall-cmd netsh ebtables ipset iptables-restore iptables-legacy",
    ("drops-firewall", 0.85, r"(?:^|\s)(?:-F|--flush|-X)(?:\s|$)|^flush\b|^delete\s+table\b|^(?:--force\s+)?(?:disable|reset)\b|^-d\b|advfirewall\s+set\s+\S+\s+state\s+off|--panic-on", "This takes the firewall down."),
    ("drops-firewall", 0.8, r"-P\s+(?:INPUT|FORWARD|OUTPUT)\s+(?:ACCEPT|DROP)|--set-default-zone=trusted|^default\s+allow\s+incoming", "This opens or closes the machine to everybody."),
    ("drops-firewall", 0.65, r"^(?:-[AI]\s+INPUT(?:\s+\d+)?\s+-j\s+ACCEPT\s*$|allow\s+from\s+any(?:\s+to\s+any)?\s*$|allow\s+(?:23|3389|445|5900)\b)|\b1[-:]65535\b", "This lets everybody in."),
    ("opens-tunnel", 0.65, r"(?i)portproxy\s+add", "This opens a way in from another machine."),
    ("drops-firewall", 0.55, r"^(?:-w\s+)?-[AI]\s+OUTPUT\b.*\s(?:-d|--destination)\s+\S+.*-j\s+(?:DROP|REJECT)", "This keeps what watches over the machine from being told."),
    ("drops-firewall", 0.75, r"-A\s+(?:INPUT|OUTPUT)\s+-j\s+DROP", "This cuts the machine off."),
)  # fmt: skip
rows(
    "network",
    "ip ifconfig route nmcli networksetup tc ifdown rfkill",
    ("cuts-network", 0.75, r"^link\s+(?:set\s+)?(?:dev\s+)?\S+\s+down\b|^link\s+delete\b|^\S+\s+down\s*$|^(?:route|addr|address)\s+(?:flush|del)\b|^route\s+(?:add|replace)\s+(?:blackhole|unreachable|prohibit)\b|^(?:-f|flush|del)\b", "This cuts the machine off."),
    ("cuts-network", 0.7, r"networking\s+off|connection\s+(?:delete|down)|device\s+disconnect|radio\s+all\s+off|block\s+all|-setnetworkserviceenabled\s+.*off", "This cuts the machine off."),
    ("cuts-network", 0.6, r"^qdisc\s+(?:add|replace).*\bloss\s+\d{2,}", "This makes the network unusable."),
)  # fmt: skip
rows("network", "ifdown", ("cuts-network", 0.75, r".", "This cuts the machine off."))
_ATTACKERS = (
    "hydra medusa ncrack john hashcat sqlmap nikto masscan zmap msfconsole msfvenom aircrack-ng responder crackmapexec "
    "nuclei gobuster ffuf wpscan bettercap ettercap arpspoof hping3 slowloris mimikatz linpeas.sh linenum.sh impacket-secretsdump "
    "slowhttptest sslstrip mitm6 wifite reaver mdk4 airodump-ng aireplay-ng airmon-ng commix xsstrike feroxbuster crowbar setoolkit "
    "beef-xss evilginx sliver-server pupy legion brutespray hcxdumptool torshammer "
    "evil-winrm bloodhound-python kerbrute enum4linux patator dirb pacu lazagne lazagne.py mimipenguin linpeas pspy64 iodine dnscat "
    "dnscat2 ptunnel icmpsh covenant havoc"
)


@rule("network", "attacks-others", "This is a tool to attack machines.", _ATTACKERS)
def _(c: Command, s: Setting) -> float:
    named = [host for arg in c.args if (host := host_of(arg)) and ("." in host or here(host))]
    nets = any(re.search(r"\d/\d", arg) for arg in c.args)
    return 0.45 if named and all(map(here, named)) and not nets else 0.75


rows(
    "network",
    "certutil bitsadmin mshta regsvr32",
    (
        "runs-hidden-code",
        0.6,
        r"(?i)-decode(?:hex)?\b.*\.(?:exe|dll|ps1|bat|js|vbs|scr)\b",
        "This unpacks a program that was hidden.",
    ),
    (
        "fetches-from-drops",
        0.7,
        r"(?i)-urlcache|/transfer|https?://|/i:http",
        "This fetches a program by a tool that is meant for something else.",
    ),
)
rows("network", "ping", ("attacks-others", 0.65, r"(?:^|\s)-f(?:\s|$)|-s\s+6\d{4}", "This floods a machine."))
rows(
    "network",
    "tcpdump tshark dumpcap",
    ("listens-to-others", 0.55, r"(?:-w|-A|-X)\b.*(?:port|any|tcp)|-i\s+any|-w\s", "This records what others send."),
)
rows(
    "network",
    "ngrok cloudflared chisel frpc frps bore localtunnel lt gost ligolo-agent rathole",
    (
        "opens-tunnel",
        0.55,
        r"^(?:http|tcp|tls|start|tunnel|client|server|--port|local|-c|-L|-connect)\b|^-c\s|^-L\s",
        "This opens a way in from the whole internet.",
    ),
)


@rule("network", "opens-tunnel", "This opens a way in from another machine.", "ssh autossh")
def _(c: Command, s: Setting) -> float:
    return 0.6 if has(c, "-R") else 0.55 if has(c, "-D") else 0.0


rows(
    "network",
    "code",
    ("opens-tunnel", 0.6, r"^tunnel\b", "This opens a way in from another network."),
)
rows(
    "network",
    "tailscale zerotier-cli netbird ssh-copy-id",
    ("opens-tunnel", 0.6, r"^(?:up|login|set)\b.*(?:--ssh|--auth-?key|--advertise-exit-node)|^join\b", "This opens a way in from another network."),
    ("opens-tunnel", 0.5, r"(?:^|\s)-i\s+\S*\.pub\s+(?:\S+\s+)*root@", "This lets a key in as root."),
)  # fmt: skip


@rule("network", "misleads-names", "This sends traffic for a name to another machine.")
def _(c: Command, s: Setting) -> float:
    found = [place.text for place in written(c, s)]
    if c.name in ("tee", "sed", "gsed", "cp", "mv"):
        found += operands(c)
    if not any(path == "/etc/hosts" or path.lower().endswith("/drivers/etc/hosts") for path in found):
        return 0.0
    text = " ".join((c.stdin or "", *c.args, *(" ".join(feed.args) for feed in c.feeds)))
    mapped = re.search(r"(\d+\.\d+\.\d+\.\d+)\s+\S*\.\w+", text)
    overwrites = any(r.kind == "write" and r.target == "/etc/hosts" for r in c.redirects) or (
        c.name == "tee" and not has(c, "-a")
    )
    outward = mapped is not None and not local(mapped[1])
    known_name = re.search(
        r"(?:google|github|pypi|npmjs|microsoft|apple|amazon|bank|paypal|anthropic|openai|ubuntu|debian)", text
    )
    return 0.75 if overwrites or outward else 0.6 if known_name else 0.0


@rule(
    "network",
    "shares-files",
    "This shows files to every machine that can reach this one.",
    "python python3 php npx http-server",
)
def _(c: Command, s: Setting) -> float:
    if not re.search(r"http\.server|SimpleHTTPServer|-S\s+0\.0\.0\.0|^http-server|^serve", line(c)):
        return 0.0
    return (
        0.65
        if c.cwd in ("/", "~", "/root", "/etc", "/home")
        or re.search(r"(?:--directory|-d|-t)\s+(?:/|~|/root|/home|/etc)(?:\s|$)", line(c))
        else 0.0
    )


@rule(
    "network",
    "fetches-from-drops",
    "This fetches a program from a place where anybody can leave one.",
    "curl wget aria2c iwr invoke-webrequest start-bitstransfer irm",
)
def _(c: Command, s: Setting) -> float:
    for url in c.args:
        if drop(url) and not any(reach.sends for reach in reaches(c)):
            return 0.6
        if is_address(host_of(url)) and re.search(
            r"\.(?:sh|elf|bin|exe|py|pl|so|php)(?:\?|$)|/(?:payload|shell|implant|agent|bot|x|backdoor)\b", url
        ):
            return 0.6
    return 0.0


@rule("network", "runs-hidden-code", "This hides what it runs from whoever reads it.")
def _(c: Command, s: Setting) -> float:
    name = versionless(c.name)
    made = bool(c.words) and "/" in c.words[0] and not c.piped
    if name not in INTERPRETERS and name not in ("eval", "source", ".") and not made:
        return 0.0
    decoders = [
        f
        for f in c.feeds
        if f.name in ("base64", "xxd", "base32", "openssl", "gunzip", "zcat", "rev", "gpg", "uudecode", "ccrypt")
    ]
    decodes = [f for f in decoders if f.name in ("gunzip", "zcat", "rev") or has(f, "-d", "-D", "--decode", "-r")]
    if not decodes:
        return 0.0
    if made or (c.stdin is not None and known(c.stdin)):
        return 0.55
    code = code_of(c)
    return (
        0.6
        if (code is None and script_file(c) is None) or (code is not None and not known(code[1])) or name == "eval"
        else 0.0
    )


@rule("network", "runs-hidden-code", "This hides what it runs from whoever reads it.", "eval")
def _(c: Command, s: Setting) -> float:
    """A one-liner of another language that evaluates what it computes."""
    computed = c.words[1:] == ("\ue002code\ue003",) and not any(feed.name == "cat" for feed in c.feeds)
    return 0.55 if computed else 0.0


@rule("network", "runs-downloads", "This runs what it downloads, unseen.", "node nodejs bun")
def _(c: Command, s: Setting) -> float:
    text = " ".join((*c.args, c.stdin or ""))[:100_000]
    return 0.7 if re.search(r"\bimport\s*\(?\s*['\"]https?://(?!esm\.sh|cdn\.jsdelivr|unpkg)", text) else 0.0


@rule("network", "runs-downloads", "This runs what it downloads, unseen.", "deno bun npx go")
def _(c: Command, s: Setting) -> float:
    return 0.7 if re.search(r"^(?:run|x|eval|)\s*(?:-\S+\s+)*https?://(?!deno\.land|jsr\.io|esm\.sh)", line(c)) else 0.0


@rule("network", "runs-hidden-code", "This hides what it runs from whoever reads it.", "powershell pwsh")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if re.search(r"(?i)(?:^|\s)-e(?:nc|ncodedcommand)?\s+[A-Za-z0-9+/=]{16,}", text):
        return 0.8
    return (
        0.85
        if re.search(r"(?i)(?:iex|invoke-expression)\b.*(?:downloadstring|webclient|iwr|invoke-webrequest|irm)", text)
        else 0.0
    )


@rule("network", "runs-hidden-code", "This hides which program it runs.")
def _(c: Command, s: Setting) -> float:
    """A program whose name comes from a computation that could not be followed."""
    if not c.words or known(c.words[0]) or program_name(c.words[0]).startswith("\ue000"):
        return 0.0
    decoders = ("base64", "xxd", "tr", "rev", "printf", "perl", "python", "python3", "openssl", "gunzip")
    return (
        0.6
        if c.words[0].startswith(SOME) and any(feed.name in decoders for feed in c.feeds) and " -v" not in c.source
        else 0.0
    )
