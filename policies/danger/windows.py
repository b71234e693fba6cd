"""What harms a Windows machine, or one through PowerShell: its own programs, each in the pack of its kind."""

from __future__ import annotations

import re

from lockgate.policies.danger.hosts import drop, is_address, local
from lockgate.policies.danger.rules import Setting, rows, rule
from lockgate.policies.danger.secret_reads import secrets_read
from lockgate.policies.shell.model import Command, shown

_AUTOSTART = (
    r"(?i)currentversion[\\/]*run|winlogon|image file execution|[\\/]startup\b|[\\/]services[\\/]|userinit|appinit"
)
rows(
    "disks",
    "clear-disk format-volume initialize-disk remove-partition diskpart reset-physicaldisk remove-virtualdisk remove-storagepool",
    ("formats-disk", 0.9, r"(?i)^(?:[^/]|/s)", "This makes a disk new, and everything on it is lost."),
)
rows(
    "disks",
    "cipher",
    ("overwrites-disk", 0.7, r"(?i)/w:", "This writes over what was deleted, so that nothing brings it back."),
)
rows(
    "disks",
    "wsl wsl.exe",
    ("removes-volume", 0.85, r"(?i)--unregister\b", "This deletes a whole Linux installation with its files."),
)
rows(
    "containers",
    "remove-vm remove-vmsnapshot",
    ("removes-machines", 0.7, r".", "This deletes a virtual machine."),
)
rows(
    "privilege",
    "set-mppreference add-mppreference set-netfirewallprofile disable-windowsoptionalfeature set-executionpolicy "
    "uninstall-windowsfeature disable-bitlocker manage-bde sc set-service stop-service",
    ("lowers-guard", 0.85, r"(?i)-disable\w+\s+(?:1|true|\S*true)|-exclusion|-enabled\s+(?:false|0)|windows-?defender|disable-bitlocker|^-off\b", "This turns off what keeps the machine safe."),
    ("lowers-guard", 0.75, r"(?i)(?:windefend|mpssvc|wscsvc|sense|eventlog|wuauserv)\b", "This turns off what keeps the machine safe."),
)  # fmt: skip
rows(
    "privilege",
    "new-localuser add-localgroupmember enable-localuser set-localuser add-adgroupmember new-aduser",
    ("grants-rights", 0.8, r".", "This adds a user, or gives one more rights."),
)
rows(
    "privilege",
    "register-scheduledtask new-service set-wmiinstance register-wmievent register-scheduledjob",
    ("keeps-a-way-in", 0.65, r".", "This runs a command again and again from now on."),
)
rows(
    "privilege",
    "sc",
    (
        "keeps-a-way-in",
        0.65,
        r"(?i)^(?:\\\\\S+\s+)?(?:create|config|delete)\b.*",
        "This makes, changes or removes a service.",
    ),
)
rows(
    "privilege",
    "reg new-itemproperty set-itemproperty copy-item new-item",
    ("keeps-a-way-in", 0.8, _AUTOSTART, "This runs a command again and again from now on."),
)
rows(
    "privilege",
    "reg remove-itemproperty set-itemproperty new-itemproperty remove-item",
    ("changes-registry", 0.7, r"(?i)^(?:(?:delete|add|import)\s+|(?:-\w+\s+)*)\"?(?:HKLM|HKEY_LOCAL)", "This changes the machine's registry."),
)  # fmt: skip
rows(
    "exfiltration",
    "reg ntdsutil rundll32 procdump secretsdump netsh cmdkey vaultcmd",
    ("reads-secrets", 0.85, r"(?i)^save\s+\"?HK(?:LM|EY_LOCAL_MACHINE)[\\/]*(?:sam|security|system)|ifm|minidump|lsass|wlan\s+show\b.*key=clear|^/list", "This takes the machine's passwords out of their store."),
)  # fmt: skip
rows(
    "network",
    "rundll32 wmic mshta cmstp installutil msbuild regsvcs wscript cscript",
    ("runs-downloads", 0.75, r"(?i)javascript:|vbscript:|https?://|process\s+call\s+create", "This runs a program by a tool that is meant for something else."),
)  # fmt: skip
rows(
    "privilege",
    "clear-eventlog remove-eventlog limit-eventlog clear-history",
    ("hides-tracks", 0.7, r"", "This removes the record of what was done."),
)
rows(
    "processes",
    "stop-process",
    (
        "kills-by-name",
        0.7,
        r"(?i)-name\s+(?:\*|lsass|winlogon|csrss|explorer)",
        "This ends programs that nobody named, or that the system needs.",
    ),
)


@rule("privilege", "lowers-guard", "This lets any script run.", "set-executionpolicy")
def _(c: Command, s: Setting) -> float:
    text = " ".join(c.args).lower()
    return 0.6 if re.search(r"unrestricted|bypass", text) and not re.search(r"process|currentuser", text) else 0.0


@rule("network", "opens-shell-to-strangers", "This gives a shell on this machine to another one.", "powershell pwsh")
def _(c: Command, s: Setting) -> float:
    text = shown(" ".join(c.args))
    return (
        0.9
        if re.search(r"(?i)net\.sockets\.tcp(?:client|listener)", text)
        and re.search(r"(?i)iex|invoke-expression|getstream", text)
        else 0.0
    )


@rule("network", "runs-hidden-code", "This hides what it runs from whoever reads it.", "powershell pwsh")
def _(c: Command, s: Setting) -> float:
    text = shown(" ".join(c.args))
    runs = re.search(r"(?i)\biex\b|invoke-expression|\[scriptblock\]::create|\.invoke\(|assembly\]::load", text)
    hidden = re.search(r"(?i)frombase64string|-join\s*\(|\[char\]|gzipstream", text)
    fetched = re.search(
        r"(?i)downloadstring|downloaddata|webclient|\biwr\b|invoke-webrequest|\birm\b|invoke-restmethod", text
    )
    return 0.85 if runs and fetched else 0.7 if runs and hidden else 0.0


rows(
    "network",
    "new-netfirewallrule netsh",
    ("drops-firewall", 0.65, r"(?i)^(?:.*-direction\s+inbound.*-action\s+allow.*-(?:protocol\s+any|localport\s+(?:any|22|23|3389|445|5985))|.*add\s+rule\b.*dir=in\b.*action=allow\b.*localport=(?:any|22|23|445|3389|5985)\b)", "This lets everybody in."),
    ("cuts-network", 0.6, r"(?i)^(?:winsock|int(?:erface)?\s+ip)\s+reset|^interface\s+set\s+interface\b.*disable", "This cuts the machine off."),
)  # fmt: skip
rows("network", "disable-netadapter remove-netroute", ("cuts-network", 0.7, r".", "This cuts the machine off."))
rows(
    "network",
    "enable-psremoting set-item winrm",
    ("opens-tunnel", 0.6, r"(?i)-force\b|trustedhosts\s+(?:-value\s+)?\*|^quickconfig", "This opens a way in from another machine."),
)  # fmt: skip
rows(
    "privilege",
    "get-wmiobject gwmi get-ciminstance remove-wmiobject remove-ciminstance",
    ("deletes-backups", 0.7, r"(?i)-delete\b", "This deletes backups."),
)
rows(
    "privilege",
    "fsutil auditpol",
    ("hides-tracks", 0.75, r"(?i)^usn\s+deletejournal|:disable\b|^/(?:clear|remove)|^file\s+setzerodata\b.*physicaldrive", "This removes or turns off the record of what was done."),
)  # fmt: skip
rows(
    "privilege",
    "wmic",
    ("keeps-a-way-in", 0.75, r"(?i)__eventfilter|eventconsumer|__filtertoconsumerbinding", "This runs a command again and again from now on."),
)  # fmt: skip
rows(
    "privilege",
    "runas psexec psexec64 start-process saps",
    ("becomes-root", 0.6, r"(?i)/user:\S*admin|^-s\b|\s-s\b|-verb\s+runas\b", "This runs a program that may do everything."),
)  # fmt: skip
rows(
    "files",
    "icacls takeown cacls",
    ("takes-ownership", 0.7, r"(?i)(?:windows|program files|system32).*(?:/setowner|/grant|/reset)", "This changes who owns files of the system."),
)  # fmt: skip
rows(
    "privilege",
    "remove-item ri",
    ("changes-registry", 0.7, r"(?i)HK(?:CU|LM):[\\/](?:Software|System)?[\\/]?(?:\s|$)", "This deletes the registry."),
)
rows(
    "privilege",
    "attrib",
    ("hides-files", 0.55, r"(?i)\+[sh]\b.*\.(?:exe|dll|bat|cmd|ps1|vbs|scr)\b", "This hides a program."),
)  # fmt: skip
rows(
    "exfiltration",
    "get-azkeyvaultsecret get-storedcredential",
    ("reads-secrets", 0.6, r"(?i)-asplaintext|.", "This shows stored secrets."),
)
rows("processes", "net", ("stops-services", 0.7, r"(?i)^stop\s+\W*(?:windows (?:firewall|defender)|mpssvc|windefend|wuauserv|eventlog|wscsvc)", "This stops what keeps the machine safe."))  # fmt: skip


@rule("privilege", "deletes-backups", "This deletes backups.", "remove-wmiobject remove-ciminstance foreach-object")
def _(c: Command, s: Setting) -> float:
    return 0.8 if any("shadowcopy" in str(feed).lower() for feed in c.feeds) else 0.0


@rule("cloud", "deletes-in-the-cloud", "This deletes something in the cloud that may not come back.")
def _(c: Command, s: Setting) -> float:
    if not c.name.startswith(("remove-az", "remove-ec2", "remove-s3", "remove-rds", "remove-gc")):
        return 0.0
    return 0.0 if "-whatif" in str(c).lower() else 0.75


@rule(
    "privilege", "lowers-guard", "This turns off what keeps the machine safe, or the record of it.", "powershell pwsh"
)
def _(c: Command, s: Setting) -> float:
    if re.search(r"(?i)(?:remove-item|clear-content|ri|del)\b[^;|]{0,80}historysavepath", " ".join(c.args)):
        return 0.65
    return 0.8 if re.search(r"(?i)amsi(?:utils|initfailed|scanbuffer|context)", " ".join(c.args)) else 0.0


@rule("processes", "forks-without-end", "This starts programs until the machine stands still.", "powershell pwsh")
def _(c: Command, s: Setting) -> float:
    endless = r"(?i)while\s*\(\s*\$?(?:true|1)\s*\)\s*\{[^}]{0,200}start-(?:process|job)|for\s*\(\s*;\s*;\s*\)\s*\{[^}]{0,200}start-(?:process|job)"
    return 0.85 if re.search(endless, shown(" ".join(c.args))) else 0.0


_UNC = re.compile(r"^(?://|\\\\)([\w.-]+)[/\\]")


@rule(
    "exfiltration",
    "sends-data-away",
    "This takes data off this machine.",
    "copy copy-item cpi xcopy robocopy move move-item out-file set-content cp",
)
def _(c: Command, s: Setting) -> float:
    """A copy to another machine's share."""
    shares = [found[1] for arg in c.args if (found := _UNC.match(arg))]
    away = [host for host in shares if not local(host)]
    if not away:
        return 0.0
    own = max((score for _, _, score in secrets_read(c, s)), default=0.0)
    return 0.75 if own >= 0.45 or c.feeds or any(drop(f"//{host}") or is_address(host) for host in away) else 0.0
