"""What a tool call does, in words that rules about sequences are made of. Values only; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lockgate.events import ToolCall
from lockgate.policies.accesses import Access, accesses, of_command
from lockgate.policies.arguments import strings_of
from lockgate.policies.command_egress import hosts_of
from lockgate.policies.commands import Unreadable, command_of, document_of, folder_of
from lockgate.policies.danger.hosts import Reach
from lockgate.policies.danger.judge import judge
from lockgate.policies.danger.rules import Finding
from lockgate.policies.equivalents import program
from lockgate.policies.flows import command_deeds, command_runs, tool_deeds
from lockgate.policies.flows.places import Doing, deeds_of_access, is_secret
from lockgate.policies.remembered import remembered
from lockgate.policies.shell.model import Command
from lockgate.policies.shell.paths import Place
from lockgate.policies.writes import writes_of

__all__ = ["Acts", "Doing", "acts_of"]

MAX_FINDINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What one call does."""

    tool: str
    told: str
    """The call in a few words, for the reviewer."""
    does: frozenset[Doing] = frozenset()
    reads: Sequence[Place] = ()
    writes: Sequence[Place] = ()
    runs: Sequence[Place] = ()
    """Files that it runs."""
    goes: Place | None = None
    """The folder that it leaves the shell in, where it goes to another."""
    commands: Sequence[Command] = ()
    findings: Sequence[Finding] = ()
    reaches: Sequence[Reach] = ()
    texts: Sequence[str] = ()
    """Every string of its arguments."""
    files: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """What is known of files after its command, by their place."""


def acts_of(call: ToolCall, workspace: str = "") -> Acts:
    """Raises Unreadable."""
    return _read(call.name, call.arguments, call.custom, workspace)


@remembered(4_000_000)
def _read(name: str, arguments: str, custom: bool, workspace: str) -> Acts:
    return _acts(ToolCall(block=0, id="", name=name, arguments=arguments, custom=custom), workspace)


def _acts(call: ToolCall, workspace: str) -> Acts:
    document = document_of(call)
    command, folder = command_of(call) or program(call.name, document), folder_of(call)
    found = list(accesses(call, workspace))
    does: set[Doing] = set()
    if command is not None and command_of(call) is None:
        if tool_deeds.reads_people(command):
            does.add("dumps-data")
        found += [access for one in judge(command, cwd=folder).script.commands for access in of_command(one, workspace)]
    said = _said(call, command) if any(access.way == "write" for access in found) else ()
    by = {call.name} if command is None else _SAYING
    does |= {doing for access in found for doing in deeds_of_access(access, said if access.by in by else ())}
    commands, findings, reaches, runs, files = (), (), list[Reach](), list[Place](), dict[str, str | None]()
    goes: Place | None = None
    if command is not None:
        judgement = judge(command, cwd=folder)
        commands, findings = judgement.script.commands, judgement.findings[:MAX_FINDINGS]
        files = judgement.script.files
        reaches = [reach for reach, _ in hosts_of(command, folder)]
        does |= command_deeds.deeds(commands, findings, reaches)
        does = _of_what(does, commands, found)
        ran = [(one, tuple(command_runs.files_run(one, workspace))) for one in commands]
        runs = [file for _, files_run in ran for file in files_run]
        found += [access for one in commands for access in command_deeds.made(one, workspace)]
        does.update(command_runs.running(one for one, files_run in ran if files_run))
        goes = command_deeds.left_in(commands, workspace)
    else:
        reaches = list(tool_deeds.reaches(call.name, document))
        does |= tool_deeds.deeds(call.name, document, reaches)
    return Acts(
        tool=call.name, told=_told(call, command), does=frozenset(does), reads=_places(found, "read"),
        writes=_places(found, "write"), runs=tuple(dict.fromkeys(runs)), goes=goes, commands=commands, findings=tuple(findings),
        reaches=tuple(reaches), texts=tuple(_texts(document, command)),
        files=files,
    )  # fmt: skip


def _of_what(does: set[Doing], commands: Sequence[Command], found: Sequence[Access]) -> set[Doing]:
    """What commands do, given what they read and send."""
    more = set[Doing]()
    if "sends" in does and command_deeds.sends_unseen(commands):
        more.add("sends-unseen")
    secrets = [access for access in found if is_secret(access.place)]
    if "reads-secret" in does and not secrets and command_deeds.reads_store(commands):
        more.add("reads-key")
    naming = command_deeds.naming(commands)
    if naming and all(access.by in naming for access in secrets if access.way == "read"):
        return (does | more) - {"reads-secret", "reads-key"}
    return does | more


def _said(call: ToolCall, command: str | None) -> Sequence[str]:
    """What the call writes, where all of it stands in the call."""
    if command is None:
        return tuple(write.text for write in writes_of(call))
    writers = [
        one for one in judge(command, cwd=folder_of(call)).script.commands
        if one.name in _SAYING and any(redirect.kind in ("write", "append") for redirect in one.redirects)
    ]  # fmt: skip
    return tuple(
        (one.stdin or "" if not one.args else "?")
        if one.name == "cat"
        else " ".join(a for a in one.args if a not in _ECHOES)
        for one in writers
    )


_SAYING = frozenset({"echo", "printf", "cat"})
"""Programs that write what stands in the call."""
_ECHOES = ("-e", "-n", "%s", "%s\\n")


def _texts(document: Mapping[str, object], command: str | None) -> Iterator[str]:
    yield from strings_of(document)
    if command is not None:
        yield command


def _places(found: Sequence[Access], way: Literal["read", "write"]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(access.place for access in found if access.way == way))


def _told(call: ToolCall, command: str | None) -> str:
    text = command if command is not None else call.arguments
    return f"{call.name}({' '.join(text.split())[:160]})"


def unread(call: ToolCall, error: Unreadable) -> Acts:
    """A call of the past that cannot be read: only its name is known."""
    return Acts(tool=call.name, told=f"{call.name} ({error})")
