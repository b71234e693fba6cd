"""`protected_paths`: files that are not to be read, and files that are not to be changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lockgate.config import Section, data_folder
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.accesses import Access, accesses
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.option_types import Folder
from lockgate.policies.shell.model import HERE, SOME, UNSET
from lockgate.policies.shell.paths import Place

SECRETS = (
    "~/.ssh",
    "~/.aws",
    "~/.azure",
    "~/.config/gcloud",
    "~/.config/gh/hosts.yml",
    "~/.gnupg",
    "~/.kube/config",
    "~/.docker/config.json",
    "~/.netrc",
    "~/.pgpass",
    "~/.npmrc",
    "~/.pypirc",
    "~/.git-credentials",
    "~/.password-store",
    "~/.claude/.credentials.json",
    "~/.codex/auth.json",
    "~/Library/Keychains",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/proc/*/environ",
    ".env",
    ".env.local",
    ".env.production",
)
SETTINGS = (
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/boot",
    "/lib",
    "/lib64",
    "/sys",
    "/proc/sys",
    "~/.bashrc",
    "~/.bash_profile",
    "~/.profile",
    "~/.zshrc",
    "~/.zprofile",
    "~/.zshenv",
    "~/.config/fish/config.fish",
    "~/.config/autostart",
    "~/.config/systemd",
    "~/Library/LaunchAgents",
    "~/.gitconfig",
    ".git/hooks",
    ".git/config",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".claude/hooks",
    "~/.claude.json",
    "~/.claude/settings.json",
    "~/.codex/config.toml",
    "~/.gemini/settings.json",
    ".gemini/settings.json",
    "~/.qwen/settings.json",
    "~/.config/opencode",
    "~/.copilot",
    "lockgate.yaml",
)
OPEN = ("~/.ssh/*.pub", "~/.ssh/known_hosts", "/usr/local/src", "/etc/ssl/certs")


class Options(Section):
    """Which files are protected. A path without a folder in front is meant anywhere; `*` is any name, `**` any folders.

    `~` is every user's home. A folder stands for everything in it.
    """

    read: list[str] = Field(default_factory=lambda: list(SECRETS))
    """Files that are not to be read, nor changed."""
    write: list[str] = Field(default_factory=lambda: list(SETTINGS))
    """Files that may be read and are not to be changed."""
    also_read: list[str] = Field(default_factory=list[str])
    """More files that are not to be read, nor changed, beside those of `read`."""
    also_write: list[str] = Field(default_factory=list[str])
    """More files that are not to be changed, beside those of `write`."""
    allow: list[str] = Field(default_factory=lambda: list(OPEN))
    """Files that are open all the same."""
    workspace: Folder = ""
    """The absolute path of the project. Without it, the folder that a command starts in counts as the project."""
    outside: Literal["allow", "read", "deny"] = "allow"
    """What may be done with files outside of the project: everything, reading, nothing. Temporary folders stay open."""
    own: bool = True
    """Protects Lockgate's own folder, with its authority's key and its log."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A pattern of paths, taken apart."""

    pattern: str
    anchor: str
    parts: tuple[str, ...]

    def holds(self, found: Place, *, whole: bool) -> bool:
        """Whether the place is, or is in, what is guarded; or, taken as a whole, holds it."""
        return self.fits(tuple(_readings(found, _lower(found), self.anchor)), whole=whole)

    def may(self, names: frozenset[str] | None, *, whole: bool) -> bool:
        """Whether a place of these names can be meant at all; None where some of them are patterns."""
        if names is None or not self.parts or _globs(self.parts[0]) or (whole and self.anchor):
            return True
        return self.parts[0] in names

    def fits(self, readings: Iterable[tuple[str, ...]], *, whole: bool) -> bool:
        """The same for what a place's parts are below the anchor."""
        for parts in readings:
            starts = range(len(parts) + 1) if not self.anchor else (0,)
            if any(_fits(self.parts, parts[start:]) for start in starts):
                return True
            if whole and self.anchor and len(parts) < len(self.parts) and _begins(self.parts, parts):
                return True
        return False


def _lower(found: Place) -> tuple[str, ...]:
    return tuple([part.lower() for part in found.parts])


def _readings(found: Place, parts: tuple[str, ...], anchor: str) -> Iterable[tuple[str, ...]]:
    """The place's parts below the anchor; homes are one place whatever their names."""
    if not anchor or anchor == found.anchor:
        yield parts
    if found.outside:  # how far up the workspace is, nobody knows
        ups = sum(part == ".." for part in parts)
        if anchor == "~" or (anchor == "/" and ups > 1):
            yield parts[ups:]
    if anchor == "~" and found.anchor == "/":
        if parts[:1] in (("home",), ("users",)) and len(parts) > 1:
            yield parts[2:]
        elif parts[:1] == ("root",):
            yield parts[1:]
    if anchor == "~" and found.anchor == "/" and parts[:1] in (("home",), ("users",)) and len(parts) == 1:
        yield ()


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the first parts are what the pattern says; what is below is covered."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_fits(pattern[1:], parts[at:]) for at in range(len(parts) + 1))
    return bool(parts) and _same(pattern[0], parts[0]) and _fits(pattern[1:], parts[1:])


def _begins(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return all(_same(wanted, part) for wanted, part in zip(pattern, parts, strict=False))


def _same(wanted: str, part: str) -> bool:
    if wanted == part or (_globs(wanted) and fnmatchcase(part, wanted)):
        return True
    if part.startswith("*.") and not _globs(part[1:]) and not wanted.startswith("."):
        return False  # all files of a kind, which says nothing of this one
    globbed = _globs(part) and part not in ("*", "**") and not part.startswith((SOME, UNSET))
    return globbed and fnmatchcase(wanted, part)


def _globs(part: str) -> bool:
    return "*" in part or "?" in part or "[" in part


class Shared:
    """The patterns of one rule, taken apart once."""

    def __init__(self, options: Options) -> None:
        own = [_own_folder()] if options.own else []
        self.read = [*map(guarded, (*options.read, *options.also_read)), *own]
        self.read_or_written = [*self.read, *map(guarded, (*options.write, *options.also_write))]
        self.allow = list(map(guarded, options.allow))


def guarded(pattern: str) -> Guarded:
    """A pattern taken apart: from the root, from a home, or from anywhere."""
    anchor = pattern[0] if pattern.startswith(("/", "~")) else ""
    return Guarded(
        pattern,
        anchor,
        tuple(part for part in pattern.lower().removeprefix(anchor).split("/") if part not in ("", ".")),
    )


def _own_folder() -> Guarded:
    folder, home = data_folder(), Path.home()
    return guarded(f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder))


class ProtectedPaths(Policy):
    """Keeps calls from reading secrets, and from changing the system's, the user's and the agent's own settings.

    It looks at paths in the arguments of file tools, in patches and in shell commands, after variables, `..`, `~` and
    links made by the same command have been followed.

    Example:
        workspace: /srv/project
        outside: read
        also_read: ["secrets/**"]
        also_write: ["migrations"]
    """

    Options = Options

    @classmethod
    def provision(cls, options: Options) -> Any:
        return Shared(options)

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        for access in accesses(call, self.options.workspace):
            if told := self._refused(access):
                reason = f"{access.by} would {access.way} {access.place}: {told}"
                raise Blocked(_sentence(access), reason=reason)
        return (call,)

    def _refused(self, access: Access) -> str:
        """The pattern or setting that the access breaks; "" where it breaks none."""
        options, shared = self.options, self.shared
        parts = _lower(access.place)
        names = None if any(map(_globs, parts)) else frozenset(parts)
        kept = shared.read if access.way == "read" else shared.read_or_written
        meant = [one for one in kept if one.may(names, whole=access.whole)]
        if not meant and options.outside == "allow":
            return ""
        readings = {anchor: tuple(_readings(access.place, parts, anchor)) for anchor in ("", "/", "~")}
        if any(one.fits(readings[one.anchor], whole=False) for one in shared.allow) or _is_device(access.place):
            return ""
        for one in meant:
            if one.fits(readings[one.anchor], whole=access.whole):
                return one.pattern
        if (
            options.outside != "allow"
            and _outside(access.place)
            and (options.outside == "deny" or access.way == "write")
        ):
            return f"outside: {options.outside}"
        return ""


def _is_device(found: Place) -> bool:
    return found.anchor == "/" and found.parts[:1] == ("dev",) and len(found.parts) > 1


def _outside(found: Place) -> bool:
    temporary = found.anchor == "/" and found.parts[:1] == ("tmp",)
    return (found.anchor != HERE and found.anchor not in (SOME, UNSET) and not temporary) or found.outside


def _sentence(access: Access) -> str:
    done = "read" if access.way == "read" else "changed"
    return f"{access.place} is protected and is not to be {done} here. If it is needed, ask the person you work for."
