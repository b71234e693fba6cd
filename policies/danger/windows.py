"""What harms a Windows machine, or one through PowerShell: its own programs, each in the pack of its kind."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, rows, rule
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
