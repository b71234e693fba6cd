"""Commands that take what they are given and do not show it: they count it, hash it, or log in with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lockgate.policies.danger.rules import has, line
from lockgate.policies.patterns import finds
from lockgate.policies.shell.model import Command, Script

_HASHES = "md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum shasum cksum"
_LOGS_IN = r"\blogin\b.*\s--(?:password-stdin|with-token|pass-stdin)(?:\s|$)|^login\s+-u\b.*\s--password-stdin(?:\s|$)"
_SETS = r"^(?:secret\s+(?:set|put)|secrets?\s+versions\s+add|auth\s+login|env\s+add|config\s+set)\b"
_NAMES = r"^(?:-\w+\s+)*(?:\.[\w.]*\s*\|\s*)?(?:keys(?:_unsorted)?(?:\[\])?|length)(?:\s*\|\s*(?:length|\.\[\]|join\([^)]*\)))*$"
"""Only the names in an object, or how many there are."""
_SHORT = r"^(?:-c\s*(?:1-)?[1-8]|-c\s*-[1-8]|--(?:bytes|characters)=(?:1-)?[1-8])$"
_KEEPS: Mapping[str, Callable[[Command], bool]] = {
    "wc": lambda c: True,
    **dict.fromkeys(_HASHES.split(), lambda c: True),
    "grep": lambda c: has(c, "-c", "-q"),
    "jq": lambda c: finds(_NAMES, line(c)),
    "head": lambda c: finds(_SHORT, line(c)),
    "cut": lambda c: finds(_SHORT + r"|^-d\s*=\s+-f\s*1$", line(c)),
    **dict.fromkeys(
        ["docker", "podman", "nerdctl", "buildah", "skopeo", "crane", "oras", "helm"],
        lambda c: finds(_LOGS_IN, line(c)),
    ),
    **dict.fromkeys(
        ["gh", "glab", "wrangler", "vercel", "gcloud", "fly", "flyctl"], lambda c: finds(f"{_SETS}|{_LOGS_IN}", line(c))
    ),
}


def kept(command: Command, script: Script) -> bool:
    """Whether whatever reads the command's output keeps it."""
    readers = [one for one in script.commands if any(feed is command for feed in one.feeds)]
    fed = {id(feed) for one in readers for feed in one.feeds}
    last = [one for one in readers if id(one) not in fed]
    shown = any(one.name == "tee" for one in readers)
    return bool(last) and not shown and all(one.name in _KEEPS and _KEEPS[one.name](one) for one in last)
