"""Which files a patch changes: unified diffs, git's, and the form of Codex's `apply_patch`. Texts in, paths out."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OWN = re.compile(r"\*\*\* (?:(?:Add|Update|Delete) File|Move to): ?([^\r\n]+)")
_DIFF = re.compile(r"(?m)^(?:---|\+\+\+) ([^\t\r\n]+)")
_GIT = re.compile(r"(?m)^diff --git (\S+) (\S+)$")
_RENAME = re.compile(r"(?m)^(?:rename|copy) (?:from|to) ([^\r\n]+)$")
_FILES = re.compile(r"(?m)^(?=\*\*\* (?:Add|Update|Delete) File:|diff --git |--- [^\n]*\n\+\+\+ )")
_SCRIPTED = re.compile(r"\*\*\* (?:(?:Add|Update|Delete) File|Move to): ?((?:[^\\\r\n\"'`]|\\[^nr])+)")


def is_patch(text: str) -> bool:
    """Whether the text is, or holds, a patch."""
    return "*** " in text or ("--- " in text and "+++ " in text) or "diff --git " in text or "rename from " in text


def paths_in(patch: str) -> Iterator[str]:
    """Every path that the patch reads or writes, each once, in order."""
    yield from dict.fromkeys(_paths(patch))


def parts_of(patch: str) -> list[str]:
    """The patch, file by file."""
    return [part for part in _FILES.split(patch) if part]


def paths_in_script(script: str) -> Iterator[str]:
    """The same for a patch that stands in a script's text literals, with their line ends escaped."""
    yield from dict.fromkeys(found[1].strip() for found in _SCRIPTED.finditer(script))


def _paths(patch: str) -> Iterator[str]:
    yield from (found[1].strip() for found in _OWN.finditer(patch))
    if "+++ " in patch or "diff --git " in patch or "rename " in patch:
        yield from (_plain(found[1]) for found in _DIFF.finditer(patch) if found[1].strip() != "/dev/null")
        for found in _GIT.finditer(patch):
            yield from (_plain(found[1]), _plain(found[2]))
        yield from (found[1].strip() for found in _RENAME.finditer(patch))


def _plain(path: str) -> str:
    """Without the `a/` and `b/` that diffs put in front, and without quotes."""
    path = path.strip().strip('"')
    return path[2:] if path.startswith(("a/", "b/")) else path
