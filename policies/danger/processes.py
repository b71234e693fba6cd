"""Programs and services that would stop, and the machine itself."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, chosen, has, line, operands, rows, rule, written
from lockgate.policies.shell.model import Command, known

_CORE = (
    r"(?:sshd?|systemd[\w-]*|init|dbus(?:-daemon)?|NetworkManager|networking|network|systemd-networkd|systemd-resolved|auditd|"
    r"r?syslogd?|syslog-ng|ufw|firewalld|iptables|nftables|fail2ban|apparmor|cron|crond|falcon-sensor|osqueryd?|clamav[\w-]*|"
    r"crowdstrike[\w-]*|falcon[\w-]*|falco[\w-]*|wazuh[\w-]*|ossec[\w-]*|polkit|launchd|loginwindow|kubelet|tripwire|aide|snort|suricata|"
    r"sysmon[\w-]*|auditbeat|filebeat|cbagentd|carbonblack|ds_agent|elastic-agent|splunkd?|SplunkForwarder|sophos[\w-]*|sav-protect|"
    r"systemd-journald|nscd|sssd|windowserver|securityd|"
    r"explorer|lsass|WinDefend|mdatp|sentinelone)"
)


@rule("processes", "forks-without-end", "This starts copies of itself until the machine stands still.")
def _(c: Command, s: Setting) -> float:
    if c.endless or c.words[:1] == ("%0",):
        return 0.95
    return 0.8 if c.source.count("$0") > 1 and "&" in c.source and c.words[:1] in (("bash",), ("./bash",)) else 0.0


@rule("processes", "kills-everything", "This ends programs that nobody named, or that the system needs.", "kill")
def _(c: Command, s: Setting) -> float:
    words = [arg for arg in c.args if arg != "--"]
    signal = words[0] if words and re.fullmatch(r"-(?:\d+|[A-Z]+|s|n|SIG[A-Z]+)", words[0]) and len(words) > 1 else ""
    rest = words[1:] if signal else words
    rest = rest[1:] if signal in ("-s", "-n") else rest
    if any(word in ("-1", "1", "0") for word in rest):
        return 0.95 if "1" in rest or "-1" in rest else 0.4
    if any(_core(feed) for feed in c.feeds):
        return 0.8
    lists = [feed for feed in c.feeds if feed.name in ("ps", "pgrep", "lsof", "fuser", "ls", "pidof")]
    narrowed = chosen(c) or any(feed.name in ("pgrep", "lsof", "fuser", "pidof", "cat") for feed in c.feeds)
    narrowed = narrowed or any(feed.name in ("awk", "sed") and re.search(r"/[^/]+/", line(feed)) for feed in c.feeds)
    narrowed = narrowed or any(feed.name == "ps" and has(feed, "-C", "--ppid") for feed in c.feeds)
    return 0.8 if lists and not narrowed else 0.0


def _core(feed: Command) -> bool:
    """Whether it looks up what the system needs, or everything of one user."""
    if feed.name not in ("pidof", "pgrep"):
        return False
    names = operands(feed, "-u -U -s -g -G -t -P --euid --user -d")
    everything = not names and has(feed, "-u", "-U", "--euid", "--user")
    return everything or any(re.fullmatch(_CORE, name) for told in names for name in told.strip("^$()").split("|"))


@rule(
    "processes",
    "kills-by-name",
    "This ends programs that nobody named, or that the system needs.",
    "pkill killall killall5 taskkill stop-process skill",
)
def _(c: Command, s: Setting) -> float:
    if c.name == "killall5":
        return 0.9
    words = [word for word in operands(c, "-u -U -s -g -G -t -P --signal --euid --user") if word[:1] != "/"]
    users = [c.args[at + 1] for at, arg in enumerate(c.args[:-1]) if arg in ("-u", "-U", "--euid", "--user")]
    if users and not [w for w in words if w not in users]:
        return 0.8 if any(user in ("root", "0") or not known(user) for user in users) else 0.65
    for word in words:
        if (len(word) < 3 and not re.fullmatch(r"[A-Za-z]\w|vi|vim|qt|go|nc", word)) or word in ("*", ".*", "", "."):
            return 0.85
        if re.fullmatch(rf"(?i){_CORE}", word.strip("^$")):
            return 0.8
        if re.fullmatch(r"postgres|mysqld|mariadbd|mongod|dockerd|containerd", word) and has(
            c, "-9", "-KILL", "-SIGKILL"
        ):
            return 0.55
    if c.name == "stop-process" and any(feed.name in ("get-process", "gps", "ps") for feed in c.feeds):
        named = [
            feed for feed in c.feeds if operands(feed) or feed.name in ("where-object", "where", "?", "select-object")
        ]
        return 0.0 if named else 0.8
    return 0.7 if c.name == "taskkill" and re.search(r"(?i)/im\s+\*|lsass|csrss|winlogon", line(c)) else 0.0


rows(
    "processes",
    "shutdown reboot halt poweroff restart-computer stop-computer",
    ("stops-machine", 0.85, r"^(?:|[^-].*|-.*)$", "This stops the machine."),
)
rows(
    "processes",
    "init telinit",
    ("stops-machine", 0.85, r"^[016sS]\b", "This stops the machine, or most of what runs on it."),
)
rows(
    "processes",
    "systemctl service rc-service launchctl sc net initctl sv",
    (
        "stops-machine",
        0.85,
        r"^(?:poweroff|reboot|halt|kexec|suspend|hibernate|emergency|rescue|isolate\s+(?:rescue|emergency|poweroff|reboot))\b",
        "This stops the machine.",
    ),
    (
        "stops-services",
        0.75,
        r"^(?:-\S+\s+)*(?:stop|disable|mask|kill|unload|bootout|delete|remove)\s+(?:-\S+\s+)*(?:\S+\s+)*"
        + _CORE
        + r"(?:\.(?:service|socket|target))?(?:\s|$)",
        "This stops what keeps the machine reachable, safe or at work.",
    ),
    (
        "stops-services",
        0.75,
        r"^" + _CORE + r"\s+stop\b",
        "This stops what keeps the machine reachable, safe or at work.",
    ),
    (
        "stops-services",
        0.65,
        r"^(?:-\S+\s+)*(?:disable|mask|kill)\s+(?:-\S+\s+)*(?:\S+\s+)*(?:mysqld?|mariadb|postgres(?:ql)?(?:@\S+)?|mongod|redis(?:-server)?|docker|containerd)(?:\.service|\.socket)?(?:\s|$)",
        "This stops a database.",
    ),
    (
        "stops-services",
        0.6,
        r"^(?:link|enable|start)\s+(?:-\S+\s+)*(?:/tmp|/dev/shm|/var/tmp)/",
        "This starts a service that somebody left where anybody may write.",
    ),
    (
        "stops-services",
        0.7,
        r"^(?:unload|bootout|remove)\b.*(?:/System|^|\s)/Library/LaunchDaemons/",
        "This stops what keeps the machine safe or at work.",
    ),
    (
        "stops-services",
        0.7,
        r"^(?:stop|disable|mask|kill)\s+(?:-\S+\s+(?:[A-Z\d]+\s+)?)*(?:'?\*|--all)",
        "This stops everything.",
    ),
)
rows(
    "processes",
    "crontab",
    ("drops-schedule", 0.8, r"^(?:-u\s+\S+\s+)?-r\b|^-ri?\b", "This deletes every scheduled job."),
)
rows(
    "processes",
    "rmmod modprobe insmod kexec sysctl",
    ("changes-kernel", 0.7, r"^(?:-r|--remove)\b", "This takes a part out of the running kernel."),
    (
        "changes-kernel",
        0.7,
        r"kernel\.(?:panic|sysrq|randomize_va_space|core_pattern|modules_disabled|kptr_restrict|dmesg_restrict|yama\.ptrace_scope)\s*=|vm\.(?:drop_caches|overcommit_memory)\s*=\s*[2-9]|net\.ipv4\.(?:tcp_syncookies\s*=\s*0|icmp_echo_ignore_all\s*=\s*1)",
        "This changes how the kernel keeps itself safe.",
    ),
)
rows("processes", "rmmod insmod kexec", ("changes-kernel", 0.75, r".", "This changes the running kernel."))
rows(
    "processes",
    "xmrig minerd cpuminer ethminer cgminer nbminer t-rex phoenixminer lolminer xmr-stak",
    ("mines-coins", 0.95, r"", "This uses the machine to mine coins."),
)
rows(
    "processes",
    "rtcwake",
    ("stops-machine", 0.7, r"-m\s*(?:off|disk|mem|standby|freeze)", "This stops the machine."),
)
rows(
    "processes",
    "hping3 slowloris goldeneye",
    ("exhausts-machine", 0.65, r".", "This loads a machine until nothing else gets through."),
)
rows(
    "processes",
    "stress stress-ng",
    ("exhausts-machine", 0.45, r".", "This loads a machine."),
    (
        "exhausts-machine",
        0.65,
        r"(?:^|\s)(?:-[a-zA-Z]\s*0\b|--[\w-]+[ =]0\b|--all|-a\b|--sequential|--vm-bytes[ =](?:9\d|100)%|^[^t]*$)",
        "This loads a machine until nothing else gets through.",
    ),
)


_SWITCHES = re.compile(
    r"kernel\.(?:core_pattern\s*=\s*\||randomize_va_space\s*=\s*0|yama\.ptrace_scope\s*=\s*0|kptr_restrict\s*=\s*0)"
)


@rule("processes", "changes-kernel", "This changes how the kernel keeps itself safe.")
def _(c: Command, s: Setting) -> float:
    targets = [found.text for found in written(c, s)] + (list(c.args) if c.name == "tee" else [])
    if any(re.search(r"^/(?:sys/fs/)?selinux/enforce$|^/sys/kernel/security/", target) for target in targets):
        return 0.8
    if not any(target.startswith(("/etc/sysctl", "/proc/sys/kernel")) for target in targets):
        return 0.0
    told = " ".join((c.stdin or "", *c.args))
    weak = any(re.search(r"core_pattern|randomize_va_space|ptrace_scope", target) for target in targets)
    if all(target.endswith("core_pattern") for target in targets) and c.stdin is not None and "|" not in c.stdin:
        return 0.0
    return 0.7 if weak or _SWITCHES.search(told) else 0.0


@rule("processes", "writes-kernel-switches", "This tells the kernel to stop or change.")
def _(c: Command, s: Setting) -> float:
    targets = [found.text for found in written(c, s)] + (list(c.args) if c.name == "tee" else [])
    return (
        0.95 if any(t in ("/proc/sysrq-trigger", "/dev/kmem", "/dev/mem", "/sys/power/state") for t in targets) else 0.0
    )


@rule("processes", "loops-without-end", "This starts programs without end.", "sh bash perl python python3 ruby node")
def _(c: Command, s: Setting) -> float:
    code = " ".join(c.args)
    return (
        0.85
        if re.search(
            r"fork\s+while\s+(?:1\b|true|fork)|while\s*\(?(?:1|true)\)?\s*[:{]?\s*(?:os\.)?fork|while\s*\(?\s*fork",
            code,
            re.IGNORECASE,
        )
        else 0.0
    )
