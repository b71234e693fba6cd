"""Where a path leads, as far as can be told without a disk. Values only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lockgate.policies.remembered import remembered
from lockgate.policies.shell.model import HERE, SOME, SOME_END, UNSET, UNSET_END, shown

_DRIVE = re.compile(r"([A-Za-z]):[\\/]?")
_SLASHES = re.compile(r"/+")
_LINKS = 8
_SAME = (("/private/tmp", "/tmp"), ("/private/etc", "/etc"), ("/private/var", "/var"), ("/proc/self/root", ""))


@dataclass(frozen=True, slots=True)
class Place:
    """A path without `.` and `..`. `anchor` is "/", "~", HERE for the workspace, UNSET or SOME for an unknown start."""

    anchor: str
    parts: Sequence[str]

    @property
    def text(self) -> str:
        rest = "/".join(self.parts)
        if self.anchor == "/":
            return "/" + rest
        if self.anchor in (UNSET, SOME):
            return rest
        return f"{self.anchor}/{rest}" if rest else self.anchor

    @property
    def outside(self) -> bool:
        """Whether it leaves the workspace by `..`."""
        return self.anchor == HERE and self.parts[:1] == ("..",)

    def within(self, other: Place) -> bool:
        """Whether it is that place, or below it."""
        return self.anchor == other.anchor and tuple(self.parts[: len(other.parts)]) == tuple(other.parts)

    def __str__(self) -> str:
        return shown(self.text)


def place(path: str, cwd: str = HERE, links: Mapping[str, str] | None = None, workspace: str = "") -> Place:
    """Where the path leads from a folder. With a workspace, absolute paths into it are relative to it."""
    found = _place(path, cwd)
    for _ in range(_LINKS if links else 0):
        found, before = _followed(found, links or {}), found
        if found == before:
            break
    return _relative(found, _place(workspace, HERE)) if workspace else found


def _followed(found: Place, links: Mapping[str, str]) -> Place:
    for end in range(len(found.parts), 0, -1):
        if (target := links.get(Place(found.anchor, found.parts[:end]).text)) is not None:
            return _place("/".join((target, *found.parts[end:])), HERE)
    return found


def _relative(found: Place, workspace: Place) -> Place:
    if found.outside:  # the workspace's parents are known
        ups = sum(part == ".." for part in found.parts)
        return Place(workspace.anchor, (*workspace.parts[: max(0, len(workspace.parts) - ups)], *found.parts[ups:]))
    return Place(HERE, found.parts[len(workspace.parts) :]) if found.within(workspace) else found


@remembered(500_000)
def _place(path: str, cwd: str) -> Place:
    if drive := _DRIVE.match(path):
        path = f"/{drive[1].lower()}:/{path[drive.end() :]}".replace("\\", "/")
    path = path.removeprefix("file://")
    if path.startswith(("/", "~", HERE, UNSET, SOME)):
        anchor, rest = _anchored(path)
        return Place(*_normal(anchor, rest))
    base = _place(cwd, HERE) if cwd != HERE else Place(HERE, ())
    return Place(*_normal(base.anchor, [*base.parts, *_split(path)]))


def _anchored(path: str) -> tuple[str, list[str]]:
    if path.startswith("/"):
        for long, short in _SAME:
            if path == long or path.startswith(long + "/"):
                path = short + path[len(long) :]
        return "/", _split(path)
    head, *rest = _split(path) or [path]
    if head == "~":
        return "~", rest
    if head.startswith("~"):
        return "/", (["root"] if head == "~root" else ["home", head[1:]]) + rest
    if head.startswith(HERE):
        return HERE, ([head[1:]] if head[1:] else []) + rest
    return head[0], [head, *rest]


def _split(path: str) -> list[str]:
    """The parts of a path; slashes inside of marks are none."""
    if SOME not in path and UNSET not in path:
        return [part for part in _SLASHES.split(path) if part]
    parts, depth, part = list[str](), 0, ""
    for letter in path:
        depth += (letter in (SOME, UNSET)) - (letter in (SOME_END, UNSET_END))
        if letter == "/" and not depth:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [part for part in (*parts, part) if part]


def _normal(anchor: str, parts: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    out: list[str] = []
    for part in parts:
        if part in (".", ""):
            continue
        if part != "..":
            out.append(part)
        elif out and out[-1] != "..":
            out.pop()
        elif anchor == "~":
            anchor, out = "/", ["home"]
        elif anchor != "/":
            out.append("..")
    return anchor, tuple(out)
