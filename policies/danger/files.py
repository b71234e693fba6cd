"""Files that would be lost, overwritten or opened to everybody."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, has, line, operands, places, read_by, rule, value, written
from lockgate.policies.danger.worth import deletion, overwriting
from lockgate.policies.shell.finders import found_by
from lockgate.policies.shell.model import HERE, SOME, SOME_END, UNSET, Command, known, some

_DELETE = "rm del-cli unlink shred srm rimraf trash-empty del rd rmdir remove-item ri erase gio"


_EMPTY_ROOT = re.compile(f"{UNSET}[^{UNSET}/]*/+")
"""A variable that nothing sets, and a slash: the root, where it is empty."""


def _looked_up(c: Command, paths: list[str]) -> list[str]:
    """Where the paths come from that `find` and the like look up."""
    unknown = any(path.startswith(SOME) for path in paths)
    return [path for path in found_by(c) if not path.startswith(SOME)] if unknown and c.feeds else []


def _listed(c: Command) -> list[str]:
    """What PowerShell's listing before it in the pipe finds."""
    lists = next((f for f in reversed(c.feeds) if f.name in ("get-childitem", "gci", "dir", "ls", "get-item")), None)
    if lists is None:
        return []
    narrow = re.search(r"(?i)-(?:filter|include|file\b.*-name)|\*\.\w", " ".join(lists.args))
    narrow = narrow or any(f.name in ("where-object", "where", "?", "select-object") for f in c.feeds)
    roots = [value(lists, "-Path", "-LiteralPath")] if value(lists, "-Path", "-LiteralPath") else operands(lists)
    return [f"{root.rstrip('/')}/{some('found') if narrow else '*'}" for root in roots[:1] or ["."]]


def _recursive(c: Command) -> bool:
    if c.name in ("rimraf", "rd", "srm", "del-cli"):
        return True
    if c.name in ("remove-item", "ri"):
        return any(a.lower().startswith(("-r", "-fo")) for one in (c, *c.feeds) for a in one.args)
    if c.name in ("del", "rmdir"):
        return any(arg.lower() == "/s" for arg in c.args)
    return has(c, "-r", "-R", "--recursive", "-d")


@rule(
    "files", "deletes-files", "This deletes files that cannot be brought back, outside of what is built anew.", _DELETE
)
def _(c: Command, s: Setting) -> float:
    if c.name == "gio" and c.args[:1] != ("trash",):
        return 0.0
    if c.name == "trash-empty" or (c.name == "gio" and has(c, "--empty")):
        return 0.5
    paths = operands(
        c,
        "-Path -LiteralPath -ErrorAction -EA -Include -Exclude -Filter"
        if c.name in ("remove-item", "ri")
        else "-n -s --size --iterations",
    )
    if c.name in ("remove-item", "ri"):
        paths += [path for path in (value(c, "-Path", "-LiteralPath"),) if path]
        paths = [path.replace("\\", "/").strip(",") for path in paths] or _listed(c)
    if c.name in ("del", "rd", "rmdir"):
        paths = [path for path in paths if not re.fullmatch(r"/[a-zA-Z]", path)]
    recursive = _recursive(c) or any(via.startswith("find") for via in c.via)
    if c.name == "rmdir" and not recursive:
        return 0.0
    if has(c, "--no-preserve-root"):
        return 1.0
    paths += _looked_up(c, paths)
    worst = max((deletion(found, recursive=recursive) for found in places(c, paths, s)), default=0.0)
    if recursive and any(_EMPTY_ROOT.fullmatch(path) for path in paths):
        worst = 0.9
    return max(worst, 0.65 if c.name in ("shred", "srm") and worst < 0.5 and any("*" in p for p in paths) else 0.0)


@rule("files", "moves-system-files", "This moves away files that the system or its user needs.", "mv move-item")
def _(c: Command, s: Setting) -> float:
    paths = operands(c, "-t --target-directory -S")
    given = paths if has(c, "-t", "--target-directory") else paths[:-1]
    found = [one for one in places(c, given, s) if one.anchor != "~" or len(one.parts) < 2]
    worst = max((deletion(one, recursive=True) for one in found), default=0.0)
    if paths and paths[-1] == "/dev/null":
        return max(0.7, worst)
    target = max((overwriting(found) for found in places(c, paths[-1:], s)), default=0.0)
    return max(worst if worst >= 0.75 else 0.0, target)


_FOLDERS = re.compile(r"/(?:etc|bin|sbin|lib\w*|boot|usr(?:/(?:s?bin|lib\w*|local))?)")


@rule("files", "overwrites-system-files", "This writes into files that the whole system depends on.")
def _(c: Command, s: Setting) -> float:
    targets = written(c, s)
    name = c.name
    if name in ("tee", "truncate", "sponge"):
        targets += places(c, operands(c, "-s --size -r --reference"), s)
    elif name in ("cp", "install", "ln", "rsync", "scp", "ditto", "copy", "copy-item", "xcopy"):
        targets += places(
            c, operands(c, "-t -m -o -g -S -e")[-1:] if len(operands(c, "-t -m -o -g -S -e")) > 1 else [], s
        )
    elif name in ("sed", "gsed", "perl") and has(c, "-i", "--in-place"):
        targets += places(c, operands(c, "-e -f")[(0 if has(c, "-e", "-f") else 1) :], s)
    elif name == "dd":
        targets += places(c, [arg[3:] for arg in c.args if arg.startswith("of=")], s)
    elif name in ("curl", "wget"):
        targets += places(c, [path for path in (value(c, "-o", "-O", "--output", "--output-document"),) if path], s)
    if (
        name in ("ed", "ex")
        and operands(c)
        and re.search(r"(?m)^(?:w|x|wq)\b|[|,$%\w]*\|x\b", f"{line(c)}\n{c.stdin or ''}")
    ):
        targets += places(c, operands(c, "-c -sc -p")[-1:], s)
    if name in ("cp", "rsync") and any(_FOLDERS.fullmatch(found.text) for found in targets):
        many = has(c, "-r", "-R", "-a", "--recursive", "--archive") and operands(c)[0].endswith(("*", "/", "."))
        return 0.65 if many else 0.0
    if name in ("cp", "rsync") and any(not found.parts and found.anchor == "/" for found in targets):
        return 0.75 if has(c, "-r", "-R", "-a", "--recursive", "--archive") else 0.0
    if name == "wget" and (folder := value(c, "-P", "--directory-prefix")):
        targets += places(c, [f"{folder}/x"], s)
    if name == "ln" and any(path.startswith(("/tmp/", "/dev/shm/", "/var/tmp/")) for path in operands(c)[:-1]):
        return 0.7 if any(re.match(r"/(?:usr/)?(?:local/)?s?bin(?:/|$)", found.text) for found in targets) else 0.0
    return max((overwriting(found) for found in targets), default=0.0)


@rule("files", "empties-files", "This empties files, and what they held is gone.")
def _(c: Command, s: Setting) -> float:
    empties = not c.words or c.words == (":",) or c.name in ("true", "truncate")
    empties = empties or (c.name in ("sed", "gsed") and has(c, "-i") and operands(c, "-e -f")[:1] in (["d"], ["1,$d"]))
    empties = empties or (c.name in ("echo", "printf") and not any(arg.strip() for arg in c.args if arg != "-n"))
    each = any(via.startswith("find") for via in c.via)
    kept = [r for r in c.redirects if r.kind == "write" and not r.target.startswith("/dev/")]
    targets = places(c, [r.target for r in kept], s)
    if c.name in ("truncate",) and value(c, "-s", "--size") in ("0", ""):
        targets += places(c, operands(c, "-s --size"), s)
    if c.name == "truncate" and any(
        re.search(r"\.(?:db|sqlite3?|sql|dump|bak|mdb)$", path) for path in operands(c, "-s --size")
    ):
        return 0.55
    if each and (ends := [r.target for r in kept if r.target.endswith(SOME_END)]):  # one file after the other
        return max((deletion(found, recursive=True) for found in places(c, ends, s)), default=0.0)
    reads_null = any(found.text == "/dev/null" for found in read_by(c, s)) or (
        c.name in ("cat", "cp", "ditto") and "/dev/null" in c.args
    )
    if not (empties or reads_null):
        return 0.0
    if c.name in ("cp", "ditto", "sed", "gsed"):
        targets += places(c, operands(c)[1:], s)
    scores = [deletion(found, recursive=each) for found in targets]
    return max((score for score in scores if score >= 0.5), default=0.0)


@rule(
    "files",
    "opens-permissions",
    "This lets everybody read or change files that are not theirs.",
    "chmod icacls setfacl",
)
def _(c: Command, s: Setting) -> float:
    if c.name == "setfacl":
        return 0.65 if re.search(r"(?:^|[\s,:])(?:o(?:ther)?:|u(?:ser)?:nobody):?\w*w", line(c)) else 0.0
    if c.name == "icacls":
        return 0.65 if re.search(r"everyone:\S*f", line(c), re.IGNORECASE) else 0.0
    words = [arg for arg in c.args if not re.fullmatch(r"-[Rvfc]+|--\w[\w-]*", arg)]
    if len(words) < 2:
        return 0.0
    mode, recursive = words[0], has(c, "-R", "--recursive")
    words = [
        word
        for word in words
        if not re.match(r"/dev/(?:tty(?:USB|ACM|S|AMA)|hidraw|bus/usb|i2c|spidev|gpio|kvm|video)", word)
    ]
    found = places(c, words[1:], s)
    worth = max((deletion(one, recursive=recursive) for one in found), default=0.0)
    open_to_all = re.fullmatch(r"[0-7]?[0-7]*[2367]", mode) or re.search(
        r"(?:^|,)[ugo]*[ao][ugo]*[+=]\w*w|^\+\w*w\w*$", mode
    )
    if re.fullmatch(r"0?[0-7]{0,2}[4-7]", mode) and any(re.search(r"^/etc/g?shadow-?$", one.text) for one in found):
        return 0.8
    closed = mode in ("000", "0000", "a-rwx", "0", "ugo-rwx", "-rwx", "a=")
    if closed:
        return 0.8 if worth >= 0.5 or recursive else 0.3
    if not open_to_all:
        return 0.75 if recursive and worth >= 0.85 and found[0].anchor == "/" else 0.0
    return max(0.6 if recursive else 0.35, worth if worth >= 0.5 else 0.0)


@rule("files", "takes-ownership", "This changes who owns files of the system.", "chown chgrp takeown")
def _(c: Command, s: Setting) -> float:
    if c.name == "takeown":
        return (
            0.7
            if re.search(r"(?i)/r\b", line(c)) and re.search(r"(?i)windows|program files|\bc:[\\/]*(?:\s|$)", line(c))
            else 0.0
        )
    words = operands(c, "--from --reference")
    recursive = has(c, "-R", "--recursive")
    worth = max((deletion(one, recursive=True) for one in places(c, words[1:], s)), default=0.0)
    own = all(one.anchor in ("~", HERE) for one in places(c, words[1:], s))
    if not recursive:
        return 0.75 if any(overwriting(one) >= 0.7 for one in places(c, words[1:], s)) else 0.0
    taken = bool(words) and words[0].split(":")[0] in ("root", "0", "nobody")
    sites = all(re.match(r"/(?:var/www|srv|opt)/[^/*]+(?:/|$)", one.text) for one in places(c, words[1:], s))
    return worth if worth >= 0.75 and (taken or not own) and not (sites and not taken) else 0.0


_BUILT = re.compile(r"dist|build|out|public|_site|site|target|export|\.next|html")


@rule(
    "files",
    "mirrors-with-deletion",
    "This deletes everything at its target that the source does not have.",
    "rsync rclone robocopy",
)
def _(c: Command, s: Setting) -> float:
    if has(c, "-n", "--dry-run") or not (any(a.startswith(("--delete", "--del")) for a in c.args) or "/MIR" in c.args):
        return 0.0
    paths = operands(c, "-e --rsh --exclude --include --filter --files-from")
    worth = max(
        (deletion(one, recursive=True) for one in places(c, [p for p in paths[-1:] if ":" not in p], s)), default=0.0
    )
    empty = bool(paths) and re.search(r"empty|/dev/null|mktemp", paths[0]) is not None
    built = [one for one in places(c, paths[:1], s) if one.parts and _BUILT.fullmatch(one.parts[-1])]
    if built and worth < 0.8:
        return 0.4
    return max(worth if worth >= 0.6 else 0.0, 0.75 if empty else 0.0)


@rule("files", "deletes-files", "This deletes what it packs.", "tar zip 7z rar")
def _(c: Command, s: Setting) -> float:
    if not (has(c, "--remove-files", "-sdel", "-df") or (c.name == "zip" and has(c, "-m"))):
        return 0.0
    found = places(c, operands(c, "-f --file -C --exclude --directory"), s)
    worst = max((deletion(one, recursive=True) for one in found), default=0.0)
    return worst if worst >= 0.6 else 0.0


@rule("files", "unpacks-over-the-system", "This unpacks an archive over the system's own files.", "tar unzip cpio")
def _(c: Command, s: Setting) -> float:
    target = value(c, "-C", "--directory", "-d")
    if not target or (c.name == "tar" and not any(re.match(r"-?[a-zA-Z]*x|--extract", a) for a in c.args[:4])):
        return 0.0
    return max((0.65 for one in places(c, [target], s) if not one.parts and one.anchor == "/"), default=0.0)


@rule(
    "files", "encrypts-files", "This encrypts files in place, as extortion does.", "openssl gpg gpg2 7z zip ccrypt age"
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    many = (
        any(via.startswith(("find", "xargs", "parallel")) for via in c.via)
        or not known(" ".join(c.args))
        or "*" in text
    )
    encrypts = {
        "openssl": bool(re.search(r"^(?:enc|aes\S*|rsautl|cms|smime)\b", text)) and " -d" not in text,
        "gpg": has(c, "-c", "--symmetric", "-e", "--encrypt"),
        "gpg2": has(c, "-c", "--symmetric", "-e", "--encrypt"),
        "7z": "-sdel" in text and "-p" in text,
        "zip": has(c, "-m") and has(c, "-e", "-P"),
        "ccrypt": "-e" in text or not has(c, "-d"),
        "age": has(c, "-p", "-r") and not has(c, "-d"),
    }
    if not encrypts.get(c.name):
        return 0.0
    anywhere = any(via.startswith("find") for via in c.via)
    return 0.75 if anywhere or (many and c.name in ("ccrypt", "7z", "zip")) else 0.6 if many and "-out" in text else 0.0
