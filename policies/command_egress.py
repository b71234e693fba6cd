"""`command_egress`: the hosts that shell commands may reach, and those that data may be sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.commands import command_of, folder_of
from lockgate.policies.danger.hosts import Reach, local, reaches, unknown_host
from lockgate.policies.danger.rules import line
from lockgate.policies.option_types import HostPattern
from lockgate.policies.remembered import remembered
from lockgate.policies.shell.model import Command, shown
from lockgate.policies.shell.read import read

_PYPI, _PYPI_FILES, _NPM, _DEBIAN = (
    ".".join(name)
    for name in (
        ("pypi", "org"),
        ("files", "python" + "hosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
    )
)
REGISTRIES = {
    "pip": (_PYPI, "install download"),
    "pip3": (_PYPI, "install download"),
    "uv": (_PYPI, "add sync lock pip tool"),
    "uvx": (_PYPI, ""),
    "pipx": (_PYPI, "install run"),
    "poetry": (_PYPI, "add install update"),
    "npm": (_NPM, "install i ci add update exec publish"),
    "npx": (_NPM, ""),
    "pnpm": (_NPM, "install i add update dlx"),
    "yarn": ("registry.yarnpkg.com", "install add upgrade"),
    "bun": (_NPM, "install add x"),
    "cargo": ("crates.io", "add install fetch update build publish"),
    "gem": ("rubygems.org", "install update push"),
    "bundle": ("rubygems.org", "install update"),
    "go": ("proxy.golang.org", "get install mod"),
    "docker": ("registry-1.docker.io", "pull push run"),
    "brew": ("formulae.brew.sh", "install upgrade"),
    "gh": ("api.github.com", "api repo pr issue release run gist secret workflow"),
    "twine": (f"upload.{_PYPI}", "upload"),
}
"""Programs that reach a host which their words do not name, and the verbs with which they do."""
SENDING = ("publish", "push", "upload", "gist", "release create")


class Options(Section):
    """Where commands may go. Hosts may hold `*`: *.example.com is every host below example.com."""

    allow: list[HostPattern] = Field(
        default_factory=lambda: (
            [
                "github.com",
                "*.github.com",
                "*.githubusercontent.com",
                "gitlab.com",
                _PYPI,
                _PYPI_FILES,
                _NPM,
                "registry.yarnpkg.com",
                "crates.io",
                "*.crates.io",
                "rubygems.org",
                "proxy.golang.org",
                "registry-1.docker.io",
                _DEBIAN,
                "*.ubuntu.com",
            ]
        )
    )
    """Hosts that commands may reach."""
    also: list[HostPattern] = Field(default_factory=list[HostPattern])
    """More of them, beside those of `allow`."""
    uploads: list[HostPattern] = Field(default_factory=list[HostPattern])
    """Hosts that commands may also send data to, with uploads, pushes to a URL, publishing or data in a name."""
    local: bool = True
    """Whether this machine and its own network are open, for uploads too."""
    unknown: bool = False
    """Whether a host may be reached that is not known before the command runs, such as one in a variable."""


class CommandEgress(Policy):
    """Lets shell commands reach only named hosts: by curl, git, ssh, package tools, name look-ups, /dev/tcp and so on.

    What sends data away needs the host in `uploads`. A git remote's name is no host: who adds a remote names one.

    Example:
        also: [api.example.com]
        uploads: [artifacts.example.com]
    """

    Options = Options

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        command = command_of(call)
        for reach, by in () if command is None else hosts_of(command, folder_of(call)):
            if why := self._refused(reach):
                raise Blocked(
                    f"{why} If it is needed, ask the person you work for.", reason=f"{by}: {shown(reach.host)}"
                )
        return (call,)

    def _refused(self, reach: Reach) -> str:
        options: Options = self.options
        if unknown_host(reach.host):
            return "" if options.unknown else "This command's host is not known before it runs."
        if options.local and local(reach.host):
            return ""
        if reach.sends and not _named(reach.host, options.uploads):
            return f"Nothing is to be sent to {reach.host} from here."
        if not _named(reach.host, (*options.allow, *options.also, *options.uploads)):
            return f"The host {reach.host} is not to be reached from here."
        return ""


@remembered(1_000_000)
def hosts_of(command: str, cwd: str = "") -> Sequence[tuple[Reach, str]]:
    """Every host that a shell command would reach, and the part of it that does."""
    return tuple(
        (reach, str(one)[:300]) for one in read(command, cwd).commands for reach in reaches(one) or _registry(one)
    )


def _registry(command: Command) -> Iterator[Reach]:
    host, verbs = REGISTRIES.get(command.name, ("", ""))
    words = line(command).split() if host else []
    if words and (not verbs or words[0] in verbs.split()):
        yield Reach(host, any(line(command).startswith(sending) for sending in SENDING))


def _named(host: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(host, name.lower()) for name in names)
