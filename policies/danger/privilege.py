"""Rights that would grow, tracks that would vanish, doors that would stay open."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, has, line, operands, places, rows, rule, value, written
from lockgate.policies.shell.model import HERE, Command, shown
from lockgate.policies.shell.paths import Place

rows(
    "privilege",
    "usermod gpasswd adduser useradd addgroup dseditgroup net dscl localgroup",
    ("grants-rights", 0.8, r"(?:^|[\s,/])(?:sudo|wheel|root|admin|lxd|disk|shadow|administrators)(?:[\s,]|$)", "This makes somebody an administrator."),
    ("grants-rights", 0.85, r"(?:^|\s)-o\b.*-u\s*0|-[a-z]*u\s*0\b.*|--uid[ =]0|localgroup\s+administrators", "This makes a second root."),
)  # fmt: skip
rows(
    "privilege",
    "alias",
    (
        "reads-passwords",
        0.8,
        r"(?:^|\s)(?:sudo|su|doas|ssh|passwd)=.*\bread\s+-\w*s",
        "This asks for somebody's password in the place of the program that should.",
    ),
)
rows(
    "privilege",
    "useradd adduser",
    (
        "changes-users",
        0.45,
        r"^(?:-\S+\s+\S+\s+|-\S+\s+)*[a-z_][\w-]*\s*$",
        "This adds a user to the machine.",
    ),
)
rows(
    "privilege",
    "userdel deluser groupdel net",
    (
        "changes-users",
        0.6,
        r"^(?:-\S+\s+\S+\s+|-\S+\s+)*[a-z_][\w-]*\s*$|^user\s+\S+\s+\S+\s+/add|^-r\b",
        "This adds or removes a user of the machine.",
    ),
)
rows(
    "privilege",
    "chsh loginctl",
    ("changes-users", 0.6, r"(?:/false|/nologin)\b|^terminate-user|^kill-user", "This locks somebody out."),
)
rows(
    "privilege",
    "timedatectl date",
    (
        "changes-clock",
        0.5,
        r"^(?:set-time(?:\s|$)|set-ntp\s+(?:false|0))|^(?:-s|--set)\b",
        "This changes the machine's clock.",
    ),
)
rows("privilege", "chpasswd", ("changes-users", 0.75, r"", "This sets somebody's password."))
rows(
    "privilege",
    "passwd",
    ("changes-users", 0.75, r"^(?:-[dlu]\s+)?(?:root|[a-z_]\S*)?$|-d\b|--stdin", "This changes somebody's password."),
)
rows("privilege", "visudo", ("grants-rights", 0.65, r"^$|^-f", "This changes who may become root."))
rows(
    "privilege",
    "setcap",
    ("grants-rights", 0.8, r"cap_(?:setuid|setgid|sys_admin|dac_override|dac_read_search|sys_ptrace|sys_module|chown|fowner)|=ep|all", "This lets a program do what only root may."),
)  # fmt: skip
rows(
    "privilege",
    "setenforce spctl csrutil auditctl aa-disable aa-teardown aa-complain fdesetup bcdedit set-mppreference apparmor_parser",
    ("lowers-guard", 0.8, r"^(?:0|Permissive|permissive)\b|--(?:master|global)-disable|^disable|^-e\s*0|^-D\b|DisableRealtime|recoveryenabled|^-R\b|^/", "This turns off what keeps the machine safe."),
)  # fmt: skip


@rule("privilege", "grants-rights", "This makes somebody an administrator.", "usermod gpasswd adduser addgroup")
def _(c: Command, s: Setting) -> float:
    if not re.search(r"(?:^|[\s,])docker(?:[\s,]|$)", line(c)):
        return 0.0
    return 0.45 if re.search(r"\$(?:USER|LOGNAME)|<whoami>|<id -un>|whoami", f"{line(c)} {c.source}") else 0.8


@rule("privilege", "sets-user-id", "This lets anybody run a program as its owner.", "chmod install")
def _(c: Command, s: Setting) -> float:
    modes = [arg for arg in c.args if re.fullmatch(r"[ugoa]*[+=]\w*s\w*|[24567][0-7]{3}|0[24567][0-7]{3}", arg)]
    if modes and "sudo" not in c.via and all(one.anchor == HERE for one in places(c, operands(c)[1:], s)):
        return 0.35  # of one's own, in the project: as images of systems are made
    if c.name == "install":
        return 0.8 if re.fullmatch(r"0?[4567][0-7]{3}|[ug]*\+s", value(c, "-m", "--mode")) else 0.0
    return 0.8 if modes and not re.fullmatch(r"g\+s|2[0-7]{3}|02[0-7]{3}", modes[0]) else 0.0


@rule("privilege", "becomes-root", "This opens a shell that may do everything.", "sudo su doas pkexec")
def _(c: Command, s: Setting) -> float:
    text = re.sub(r"^-u\s*(?:root|#?0)\s+", "", line(c).strip())
    if c.name == "sudo" and c.piped and has(c, "-S", "--stdin"):
        return 0.65
    if c.name == "su":
        return 0.65 if re.match(r"(?:-\s*|-l\s*|--login\s*|root\s*|-\s+root\s*)*$", text) and not c.piped else 0.0
    if re.fullmatch(
        r"(?:-[isES]+|--login|--shell)(?:\s+-u\s+\S+)?|(?:-\S+\s+)*su(?:\s+-|\s+root|\s+-\s+root|\s+-l)*|(?:-\S+\s+)*(?:/bin/)?(?:ba|z|da)?sh(?:\s+-[il])?",
        text,
    ):
        return 0.65 if not c.piped else 0.0
    return 0.0


@rule("privilege", "keeps-a-way-in", "This lets somebody come back later.")
def _(c: Command, s: Setting) -> float:
    targets = written(c, s)
    if c.name == "tee":
        targets += places(c, operands(c), s)
    elif c.name in ("cp", "mv", "install", "ln", "copy", "copy-item", "xcopy", "ditto") and len(operands(c)) > 1:
        targets += places(c, operands(c)[-1:], s)
    elif c.name in ("sed", "gsed") and has(c, "-i"):
        targets += places(c, operands(c)[1:], s)
    elif c.name in ("curl", "wget"):
        targets += places(c, [path for path in (value(c, "-o", "-O", "--output"),) if path], s)
    if c.name in ("ln", "cp", "install") and any(
        found.anchor in ("/", "~") and re.search(r"/systemd/(?:system|user)/\S+\.wants(?:/|$)", found.text)
        for found in targets
    ):
        return 0.6
    return max((_persistence(c, target) for target in targets), default=0.0)


_STARTUP = re.compile(
    r"(?:^|/)\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv|bash_login|bash_logout|kshrc|xinitrc|xprofile)$|^/etc/(?:profile|bash\.bashrc|zsh)|"
    r"\.config/(?:fish/config\.fish|autostart/)"
)
_SETTINGS = re.compile(
    r"(?:^|/)(?:\.g?vimrc|\.emacs|init\.(?:el|vim|lua)|\.tmux\.conf|\.screenrc|\.irbrc|\.pythonrc\S*|\.node_repl\S*|\.ssh/config|\.gitconfig\S*|"
    r"git/config|\.inputrc|\.lesskey|\.curlrc|\.wgetrc|\.perldb)$|site-packages/\S*\.pth$|^/usr/lib/python\S*\.pth$|(?:^|/)(?:sitecustomize|usercustomize)\.py$|\ue003/\w+\.pth$"
)
"""Settings of programs that may hold a command."""
_ACTIVE = re.compile(
    r"curl|wget|\bnc\b|ncat|/dev/tcp|base64|python\d? -c|bash -i|nohup|\bsh -c|PROMPT_COMMAND|LD_PRELOAD|alias\s+(?:sudo|ssh|su|ls|cd)=|"
    r"\.(?:hidden|x|sys)\b|/tmp[/:]|rm -rf"
)


def _persistence(c: Command, target: Place) -> float:
    text = target.text
    content = shown(" ".join((c.stdin or "", " ".join(c.args), *(" ".join(feed.args) for feed in c.feeds))))
    if re.search(r"(?:\.ssh|dropbear)/(?:authorized_keys\d?|rc)$", text):
        return 0.85
    if _SETTINGS.search(text) and target.anchor != HERE:
        return 0.65 if _ACTIVE.search(content) or "child_process" in content or "os.system" in content else 0.0
    if re.search(r"/udev/rules\.d(?:/|$)", text) and "RUN" not in content and c.name in ("cp", "install", "ln"):
        return 0.4
    if _STARTUP.search(text):
        whole = any(r.kind == "write" and r.target in text for r in c.redirects) and c.words[:1] not in ((":",),)
        return 0.8 if _ACTIVE.search(content) else 0.4 if whole else 0.15
    if re.search(r"^/etc/sudoers", text):
        return 0.9
    if re.search(r"^/etc/cron|/var/spool/cron|^/etc/rc\.local|^/etc/init\.d/|/Library/Launch(?:Agents|Daemons)/", text):
        return 0.75
    if re.search(r"(?:^|/)systemd/(?:system|user)/[^/]+\.(?:service|timer)$", text):
        return 0.75 if _ACTIVE.search(content) else 0.35
    if text.endswith(".vscode/tasks.json") and "folderOpen" in content:
        return 0.65 if _ACTIVE.search(content) else 0.3
    if c.name in ("curl", "wget") and re.search(r"^/usr/(?:local/)?share/ca-certificates/|^/etc/pki/ca-trust/", text):
        return 0.6
    if re.search(r"(?:^|/)\.git/hooks/[\w-]+$", text):
        return 0.65 if _ACTIVE.search(content) else 0.3
    if re.search(r"(?i)/start menu/programs/startup(?:/|$)", text):
        return 0.75
    return (
        0.75 if re.search(r"^/etc/(?:update-motd\.d|ld\.so\.preload|modprobe\.d|udev/rules\.d|pam\.d)", text) else 0.0
    )


@rule(
    "privilege",
    "keeps-a-way-in",
    "This runs a command again and again from now on.",
    "crontab at launchctl schtasks systemd-run",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if c.name == "crontab":
        changes = text.strip() in ("-", "") or (operands(c, "-u") and not has(c, "-l", "-e", "-r"))
        content = shown(" ".join((c.stdin or "", *(" ".join(feed.args) for feed in c.feeds))))
        if not changes or not (c.piped or operands(c, "-u")):
            return 0.0
        return 0.8 if _ACTIVE.search(content) else 0.4 if _own_job(c, content) else 0.55
    if c.name == "systemd-run":
        return 0.6 if has(c, "--on-calendar", "--on-active", "--on-boot", "--on-startup", "--on-unit-active") else 0.0
    if c.name == "schtasks":
        return 0.65 if re.search(r"(?i)/create", text) else 0.0
    return 0.0


_JOB = re.compile(
    r"(?:^|\s)(?:@(?:hourly|daily|weekly|monthly)|[\d*/,-]+(?:\s+[\d*/,-]+){4})\s+(?:cd\s+)?/(?:opt|srv|usr|home|Users|var/www|app)/(?!\S*/\.)\S+"
)
"""A line of a crontab that runs a program by its whole path, in no hidden folder."""


def _own_job(c: Command, content: str) -> bool:
    """Whether all that it adds is a job of the user's own programs, or it only takes jobs away."""
    names = [feed.name for feed in c.feeds]
    if "grep" in names and set(names) <= {"crontab", "grep"}:
        return all("-v" in feed.args for feed in c.feeds if feed.name == "grep")
    return _JOB.search(content) is not None and set(names) <= {"crontab", "echo", "printf", "cat", "grep"}


rows(
    "privilege",
    "npm pnpm yarn",
    (
        "loads-foreign-code",
        0.65,
        r"^config\s+set\s+(?:--\S+\s+)*(?:script-shell|node-options|init-module)[ =]\S*(?:/|require)",
        "This makes programs run code that was slipped in.",
    ),
)


@rule("privilege", "loads-foreign-code", "This makes programs run code that was slipped in.")
def _(c: Command, s: Setting) -> float:
    return (
        0.7
        if any(
            name in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "LD_AUDIT")
            and re.search(r"/tmp|/dev/shm|/var/tmp|^\./|http", v)
            for name, v in c.assignments.items()
        )
        else 0.0
    )


@rule("privilege", "looks-for-weak-points", "This looks for a way to more rights.", "find getcap sudo")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if c.name == "find":
        return (
            0.65
            if re.search(r"-perm\s+[-/]?(?:u=s|u\+s|4000|6000|2000|g=s|-u=s)", text)
            and not any("exec" in a or "delete" in a for a in c.args)
            and any(arg.startswith(("/", "~")) for arg in c.args[:3])
            else 0.0
        )
    return 0.6 if c.name == "getcap" and re.search(r"-r\s+/(?:\s|$)", text) else 0.0


@rule(
    "privilege",
    "frees-agent",
    "This starts an agent that asks nobody.",
    "claude codex gemini qwen copilot aider opencode",
)
def _(c: Command, s: Setting) -> float:
    return (
        0.65 if re.search(r"--dangerously|--yolo|--allow-all-tools|--full-auto|--bypass|--yes-always", line(c)) else 0.0
    )


rows(
    "privilege",
    "gdb strace",
    ("reads-other-programs", 0.45, r"(?:^|\s)(?:-p|--pid|-p\d)\s*\d*", "This looks into a running program's memory."),
    (
        "reads-other-programs",
        0.65,
        r"(?:^|\s)(?:-p|--pid|-p\d)\s*.*(?:ssh|gpg|keyring|sudo|passwd|login|vault|dump\s+memory|gcore|generate-core)|(?:^|\s)(?:-p|--pid)[ =]1\b",
        "This looks into a running program's memory.",
    ),
)
rows(
    "privilege",
    "ptrace reptyr gcore",
    ("reads-other-programs", 0.65, r"gpg|ssh|keyring|agent|passw|vault", "This looks into a running program's memory."),
    ("reads-other-programs", 0.55, r"(?:^|\s)(?:-p|--pid|-p\d)\s*\d*", "This looks into a running program's memory."),
)
rows(
    "privilege",
    "launchctl",
    ("keeps-a-way-in", 0.55, r"^(?:load|bootstrap|submit|enable)\b.*(?:Launch(?:Agents|Daemons)/|\.plist|\s-p\s|\s--\s)", "This starts a program at every login from now on."),
)  # fmt: skip
rows(
    "privilege",
    "defaults osascript",
    ("keeps-a-way-in", 0.7, r"Log(?:in|out)Hook|make\s+(?:new\s+)?login item|AutoLaunchedApplicationDictionary", "This starts a program at every login from now on."),
    ("lowers-guard", 0.65, r"LSQuarantine\S*\s+(?:-bool\s+)?(?:false|no|0)|com\.apple\.security\S*\s|alf\s+globalstate\s+(?:-int\s+)?0|askForPassword\s+(?:-int\s+)?0", "This turns off what keeps the machine safe."),
)  # fmt: skip
rows(
    "privilege",
    "chattr",
    (
        "locks-files",
        0.6,
        r"^(?:-R\s+)?[+-]i\b.*(?:/etc|/bin|/usr|authorized_keys|/var|/boot|/root)",
        "This locks or unlocks files of the system.",
    ),
)
rows(
    "privilege",
    "reg",
    ("changes-registry", 0.7, r"(?i)^(?:delete|add)\s+\"?(?:HKLM|HKEY_LOCAL)", "This changes the machine's registry."),
)
rows(
    "privilege",
    "xattr",
    (
        "lowers-guard",
        0.5,
        r"-[a-z]*d[a-z]*\s+com\.apple\.quarantine\s+(?:/|~)",
        "This lets a downloaded program run unchecked.",
    ),
)
rows("privilege", "aa-teardown aa-disable", ("lowers-guard", 0.8, r"", "This turns off what keeps the machine safe."))
rows(
    "privilege",
    "security trust certutil",
    ("lowers-guard", 0.65, r"^add-trusted-cert\b|^anchor\s+(?:--store\s+)?\S|(?i)-addstore\b", "This makes the machine trust whoever has this certificate."),
)  # fmt: skip
rows(
    "privilege",
    "vssadmin wbadmin wmic diskshadow tmutil",
    ("deletes-backups", 0.85, r"(?i)delete|disable", "This deletes backups."),
)
rows("privilege", "capsh", ("becomes-root", 0.65, r"--[ug]id=0", "This opens a shell that may do everything."))
rows(
    "privilege",
    "enable",
    (
        "loads-foreign-code",
        0.65,
        r"^-f\s+(?:/tmp|/dev/shm|/var/tmp|\./)",
        "This makes programs run code that was slipped in.",
    ),
)


@rule("privilege", "becomes-root", "This gives a password to become somebody else.", "su")
def _(c: Command, s: Setting) -> float:
    return 0.6 if c.piped and has(c, "-c", "--command") else 0.0
