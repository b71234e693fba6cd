"""How much is lost where a place is deleted or overwritten. Values only."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from lockgate.policies.shell.model import HERE, SOME, UNSET
from lockgate.policies.shell.paths import Place

_SYSTEM = frozenset({
    *("bin", "boot", "dev", "etc", "home", "lib", "lib32"),
    *("lib64", "mnt", "media", "opt", "proc", "root", "run", "sbin"),
    *("srv", "sys", "usr", "var", "Users", "System"),
    *("Library", "Applications", "Volumes", "private", "snap", "nix"),
})  # fmt: skip
_BUILT = frozenset({
    *("node_modules", "dist", "build", "out", "target", "coverage", ".next", ".nuxt", ".cache", "__pycache__", ".venv"),
    *("venv", "env", ".tox", ".nox", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".turbo", ".parcel-cache", "tmp"),
    *("temp", "logs", ".gradle", ".eggs", "htmlcov", "bin", "obj", "cmake-build-debug", "_build", "site", "public"),
    *(".terraform", ".svelte-kit", "storybook-static", ".angular"),
    *("Pods", "DerivedData", "vendor", "bazel-out", ".output"),
    *(".serverless", ".vercel", "playwright-report", "test-results", ".nyc_output", "generated", "gen", ".dart_tool"),
    *("tmp.*", "*.egg-info", "*.log", "*.tmp", "*.pyc", "*.o", "cache", "artifacts", ".DS_Store", "*.bak", "*.orig"),
})  # fmt: skip
_BUILT_LIKE = tuple(name for name in _BUILT if "*" in name)
_CACHES = (
    ".cache", ".npm", ".yarn", ".pnpm-store", ".gradle/caches", ".m2/repository", ".cargo/registry", ".cargo/git",
    ".local/share/Trash", "Library/Caches", "Library/Developer/Xcode/DerivedData", ".bun/install/cache", "go/pkg/mod",
    ".nuget/packages", ".ivy2/cache", ".conda/pkgs", ".tmp", "tmp", ".pub-cache", ".ccache", ".bundle/cache", ".vscode-server",
)  # fmt: skip
_FREE = (
    "tmp/", "var/tmp/", "dev/shm/", "var/cache/", "var/lib/apt/lists/", "usr/share/doc/", "usr/share/man/", "usr/src/",
    "usr/share/locale/", "run/lock/", "var/run/", "run/", "data/local/tmp/",
)  # fmt: skip
_DEAR_HOME = frozenset({
    *("Documents", "Desktop", "Pictures", "Downloads", "Music"),
    *("Movies", "Videos", "Library", ".ssh", ".gnupg", ".aws"),
    *(".config", ".kube", ".local", ".docker", "Dropbox", ".password-store", ".mozilla", "snap", ".azure", ".git"),
})  # fmt: skip
_DEAREST = (".ssh", ".gnupg", ".aws", ".kube", "Documents", "Pictures")
_DEAR_FILES = ("etc/", "boot/", "usr/bin/", "usr/sbin/", "usr/lib", "bin/", "sbin/", "lib/", "lib64/", "proc/", "sys/")


def deletion(found: Place, *, recursive: bool) -> float:
    """How bad it is to delete a place, 0 to 1; `recursive` with all that is below."""
    parts = tuple(found.parts)
    match found.anchor:
        case "/":
            return _absolute(parts, recursive)
        case "~":
            return _home(parts, recursive)
        case anchor if anchor == HERE:
            return _workspace(parts, recursive)
        case anchor if anchor == UNSET:
            return _unset(parts, recursive)
        case _:
            return _unknown(parts, recursive)


def _everything(part: str) -> bool:
    return part in ("*", ".*", "**", "{*,.*}", ".[!.]*", "..?*", ".??*", "*.*")


def _built(part: str) -> bool:
    return part in _BUILT or any(fnmatchcase(part, name) for name in _BUILT_LIKE)


def _absolute(parts: tuple[str, ...], recursive: bool) -> float:
    if not parts or (_everything(parts[0])):
        return 1.0 if recursive or not parts else 0.9
    rest = "/".join(parts) + "/"
    if parts[0] in ("tmp", "var") and (rest in ("tmp/", "var/tmp/")):
        return 0.6
    if any(rest.startswith(free) and rest != free for free in _FREE) or rest == "var/lib/apt/lists/":
        return 0.15
    if re.fullmatch(r"[a-z]:", parts[0]):
        return _drive(parts[1:], recursive)
    drive = _mounted_drive(parts)
    if drive is not None:
        return _drive(drive, recursive)
    if parts[0] in ("home", "Users"):
        if len(parts) < 3 or (len(parts) == 3 and _everything(parts[2])):
            return 1.0 if recursive else 0.6
        return _home(parts[2:], recursive)
    if parts[0] == "root":
        return 1.0 if len(parts) == 1 and recursive else _home(parts[1:], recursive)
    if parts[0] in _SYSTEM or (len(parts[0]) < 64 and any(fnmatchcase(name, parts[0]) for name in _SYSTEM)):
        return _system(parts, rest, recursive)
    if parts[-1] == ".git" and recursive and parts[0] not in ("tmp", "var"):
        return 0.6
    if len(parts) == 1 and parts[0] in ("sdcard", "sdcard0"):
        return 0.85 if recursive else 0.5
    if len(parts) == 1:
        return (
            0.6 if recursive and parts[0] in ("data", "workspace", "app", "repo", "srv", "backup", "backups") else 0.5
        )
    if _built(parts[-1]):
        return 0.1
    if parts[0] in ("data", "backup", "backups", "storage", "database", "db"):
        return 0.65 if recursive else 0.45
    return (0.55 if _everything(parts[-1]) and len(parts) == 2 else 0.3) if recursive else 0.2


def _mounted_drive(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    """What is on a drive of Windows, as WSL and Git's own shell name it: `/mnt/c/Users`, `/c/Users`."""
    first, rest = parts[0], parts[1:]
    if first == "mnt" and rest and len(rest[0]) == 1 and rest[0].isalpha():
        return rest[1:]
    return rest if first in ("c", "d") and rest and re.match(r"(?i)users$|windows$|program", rest[0]) else None


def _drive(parts: tuple[str, ...], recursive: bool) -> float:
    """A path on a drive of Windows."""
    if not parts or _everything(parts[0]):
        return 1.0 if recursive else 0.85
    first = parts[0].lower()
    if first in ("users", "documents and settings"):
        return _home(parts[2:], recursive) if len(parts) > 1 else 1.0
    if first in ("windows", "program files", "program files (x86)", "programdata", "recovery", "boot"):
        free = len(parts) > 1 and parts[1].lower() in ("temp", "tmp", "softwaredistribution", "prefetch")
        return 0.15 if free else 0.95 if recursive else 0.8
    if recursive and re.match(r"backups?$|data$|documents$", first):
        return 0.65
    return (
        0.1
        if _built(parts[-1]) or first in ("temp", "tmp")
        else (0.6 if len(parts) < 2 else 0.3)
        if recursive
        else (0.55 if len(parts) < 2 else 0.2)
    )


def _system(parts: tuple[str, ...], rest: str, recursive: bool) -> float:
    count = len(parts)
    if count == 1 or (count == 2 and _everything(parts[1])):
        return 1.0 if recursive else 0.85
    if parts[0] in ("opt", "srv", "mnt", "media", "Volumes", "snap"):
        count -= _everything(parts[-1])  # all that is in a folder is the folder
        return (0.7 if count < 4 else 0.4) if recursive else 0.4
    if (_ordinary_etc(rest) and count > 3) or (count > 4 and _built(parts[-1])):
        return 0.4
    if parts[:2] == ("usr", "local"):
        own = count > 2 and parts[2] not in ("bin", "lib", "lib64", "sbin", "share", "etc", "include", "src", "*")
        return (0.9 if count == 2 else 0.45 if own else 0.75 if count == 3 else 0.5) if recursive else 0.35
    if parts[:2] == ("var", "www"):
        return 0.75 if recursive and not _built(parts[-1]) else 0.35
    if not recursive and re.search(r"\.log(?:\.\w+)*$", parts[-1]) and count > 3:
        return 0.35
    if parts[:2] == ("var", "log") and count > 3 and parts[-1].startswith(SOME):
        return 0.35  # old logs of one program, by their name
    if parts[:2] == ("var", "log"):
        return 0.75 if recursive or count == 3 else 0.5
    if rest.startswith(_DEAR_FILES):
        return 0.95 if recursive else 0.8 if parts[0] != "etc" or not _ordinary_etc(rest) else 0.4
    return 0.85 if recursive else 0.6


def _ordinary_etc(rest: str) -> bool:
    return rest.startswith(("etc/nginx/sites-", "etc/nginx/conf.d/", "etc/apt/sources.list.d/", "etc/apache2/sites-"))


def _home(parts: tuple[str, ...], recursive: bool) -> float:
    count = len(parts)
    if count == 0 or (count == 1 and _everything(parts[0])):
        return 1.0 if recursive else 0.7
    if recursive and count > 1 and _everything(parts[-1]) and not _built(parts[0]):
        return _home(tuple(parts[:-1]), recursive)
    first, rest = parts[0], "/".join(parts)
    if recursive and parts[-1] == ".git" and "sub" in parts[:-1]:
        return 0.75  # every repository that is found
    if any(rest == cache or rest.startswith(f"{cache}/") for cache in _CACHES):
        return 0.2
    if parts[0] in _DEAR_HOME:
        if parts[0] in (".config", ".local", "Downloads", "Library") and count > 2:
            return 0.3
        if recursive:
            return 0.85 if count < 3 else 0.5 if first in _DEAREST else 0.45
        if count == 2 and "*" in parts[1] and first not in (".config", ".local", "Downloads", "Library"):
            return 0.8 if first.startswith(".") else 0.6
        return 0.8 if first in _DEAREST[:3] else 0.35
    if parts[0] in (".bashrc", ".zshrc", ".profile", ".bash_profile", ".gitconfig", ".netrc"):
        return 0.7
    if re.fullmatch(r"\.(?:bash|zsh|python|mysql|psql|node_repl)_history", parts[0]):
        return 0.65
    if _built(parts[-1]) or (parts[0].startswith(".") and count > 1):
        return 0.2
    if not recursive:
        return 0.25
    return 0.6 if count == 1 else 0.3


def _workspace(parts: tuple[str, ...], recursive: bool) -> float:
    ups = sum(part == ".." for part in parts)
    below = parts[ups:]
    if ups and below and _built(below[-1]):
        return 0.2
    if ups:
        return (0.9 if not below or _everything(below[0]) else 0.55 if ups > 2 else 0.4) if recursive else 0.3
    if not parts:
        return 0.8 if recursive else 0.4
    last = parts[-1]
    if last == ".git" and 1 < len(parts) < 4 and recursive:
        return 0.6 if parts[0] == "sub" else 0.45  # what was just copied or cloned is often begun anew
    if parts[0] == ".git":
        state = last in ("hooks", "rebase-merge", "rebase-apply", "index.lock")
        return 0.85 if recursive and len(parts) < 3 and not state else 0.15
    if _everything(parts[0]) and len(parts) == 1:
        return 0.75 if recursive else 0.35
    return 0.1


_STAGED = re.compile(
    r"(?i)^\ue000(?:D|S|B|WORKDIR|DESTDIR|\w*(?:root|stag|pkg|inst(?:all)?_?|target|image|build|work|out)\w*dir|pkgdir|\w*rootfs\w*|\w*sysroot\w*|buildroot|stage\w*)\ue001"
)
"""Variables that makers of packages and of images have always set: the folder that a system is put together in."""


def _unset(parts: tuple[str, ...], recursive: bool) -> float:
    """A variable that nothing sets may be empty: `$X/` is then `/`, and `$X/lib` is `/lib`."""
    if not recursive:
        return 0.2
    if len(parts) == 1 or (_STAGED.search(parts[0]) and not _everything(parts[1])):
        return 0.4
    if _everything(parts[1]):
        return 0.9
    return 0.75 if parts[1] in _SYSTEM and parts[1] not in _BUILT else 0.15 if _built(parts[-1]) else 0.45


def _unknown(parts: tuple[str, ...], recursive: bool) -> float:
    if parts[:1] == ("..",):
        return (0.6 if _everything(parts[-1]) or parts[-1] == ".." else 0.4) if recursive else 0.2
    if len(parts) > 1 and _everything(parts[-1]) and len(parts) == 2:
        return 0.45 if recursive else 0.2
    return 0.2


_CRITICAL = (
    ("etc/passwd", 0.95), ("etc/shadow", 0.95), ("etc/gshadow", 0.95), ("etc/group", 0.8), ("etc/sudoers", 0.95),
    ("etc/fstab", 0.75), ("etc/pam.d", 0.9), ("etc/ld.so.preload", 0.95), ("etc/ssh/sshd_config", 0.75),
    ("etc/crontab", 0.75), ("etc/cron.", 0.65), ("etc/rc.local", 0.7), ("etc/inittab", 0.7), ("etc/profile", 0.65), ("etc/init.d", 0.6),
    ("etc/hosts.allow", 0.6), ("etc/hosts.deny", 0.6), ("etc/resolv.conf", 0.6), ("boot/", 0.9), ("bin/", 0.85),
    ("sbin/", 0.85), ("usr/bin/", 0.7), ("usr/sbin/", 0.8), ("lib/", 0.85), ("usr/lib/", 0.6), ("lib64/", 0.85),
    ("proc/sysrq-trigger", 0.95), ("proc/sys/kernel", 0.6), ("sys/", 0.5), ("etc/bash.bashrc", 0.65), ("etc/selinux", 0.7),
    ("etc/systemd/system", 0.45), ("var/spool/cron", 0.75), ("etc/zshrc", 0.6), ("etc/environment", 0.5),
)  # fmt: skip


def _on_drive(rest: str) -> float:
    """How bad it is to write a file there, on a drive of Windows."""
    if rest.startswith(("windows/", "boot/", "program files")):
        return 0.8 if rest.startswith(("windows/system32", "boot/")) else 0.6
    return 0.75 if "/startup/" in rest or rest.endswith("/startup") else 0.0


def overwriting(found: Place) -> float:
    """How bad it is to write a file there, 0 to 1."""
    parts = tuple(found.parts)
    if found.anchor == "/":
        rest = "/".join(parts)
        if re.match(r"dev/(?:sd|hd|vd|xvd|nvme|mmcblk|disk|rdisk|mapper/|md\d|dm-|loop0$|mem|kmem|port)", rest):
            return 0.95
        if rest[1:2] == ":" or rest[:4] == "mnt/":
            return _on_drive(rest.removeprefix("mnt/")[2:].lstrip("/").lower())
        score = max((score for start, score in _CRITICAL if rest.startswith(start)), default=0.0)
        if rest == "proc/sys/kernel/core_pattern":
            return 0.45  # what is written there tells
        if not score and parts[:1] in (("root",), ("home",), ("Users",)):
            return overwriting(Place("~", parts[1:] if parts[0] == "root" else parts[2:]))
        return score
    if found.anchor == "~" and parts:
        rest = "/".join(parts)
        if rest.startswith((".ssh/authorized_keys", ".ssh/rc", ".ssh/environment")):
            return 0.85
        if rest.startswith((".ssh/id_", ".gnupg/", ".aws/credentials", ".kube/config", ".netrc")):
            return 0.6
    return 0.0
