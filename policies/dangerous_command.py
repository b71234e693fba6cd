"""`dangerous_command`: shell commands that would do harm, understood rather than matched."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import Field

from lockgate.config import Section
from lockgate.errors import ConfigError
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Monitor
from lockgate.policies.commands import command_of, folder_of
from lockgate.policies.danger.judge import UNREADABLE, Judgement, judge, load_packs
from lockgate.policies.danger.rules import RULES, Finding, Rule, Setting
from lockgate.policies.equivalents import equivalent
from lockgate.policies.option_types import Folder
from lockgate.policies.patterns import Re2, finds
from lockgate.policies.written import Files, Written

type Pack = Literal[
    "files",
    "git",
    "disks",
    "processes",
    "network",
    "packages",
    "cloud",
    "database",
    "containers",
    "privilege",
    "exfiltration",
]


LONG_CHARACTERS = 2_000


class Denied(Section):
    """A command of the operator's own that is not to run."""

    pattern: Re2
    """RE2, found in one command's words with its quotes, variables and wrappers resolved."""
    sentence: str = "This command is not to run here."
    """What the client is told."""
    score: float = Field(default=1.0, ge=0, le=1)
    """How bad it is."""


class Options(Section):
    """Which harm is looked for, and from where on it is stopped."""

    packs: list[Pack] = Field(default_factory=lambda: list(get_args(Pack.__value__)), min_length=1)
    """The kinds of harm that are looked for; all of them by default."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Blocks from this score on: 0 is harmless, 1 is surely harmful. Above 1 nothing would be."""
    workspace: Folder = ""
    """The absolute path of the project. Without it, the folder that a command starts in counts as the project."""
    allow: list[Re2] = Field(default_factory=list[Re2])
    """RE2 patterns: what is found in such a command's resolved words is let pass."""
    allow_rules: list[str] = Field(default_factory=list[str])
    """Names of rules that are left out, as `lockgate policy explain` tells them: deletes-files, files/deletes-files."""
    deny: list[Denied] = Field(default_factory=list[Denied])
    """Commands that are stopped besides."""


class DangerousCommand(Monitor):
    """Stops shell commands that would do harm: each is parsed, followed into what it runs, and judged by rules.

    It follows `sh -c`, `eval`, `xargs`, `find -exec`, `sudo`, `ssh`, pipes, heredocs, variables, aliases, encodings,
    PowerShell and one-liners of other languages, and knows data from commands: `grep 'rm -rf'` is data. Code, SQL and
    deletions of other tools are judged as the commands that would do the same, and so is what they write where programs
    start by themselves. What a session's calls have written, by a tool or a command, is judged when a later call runs
    it: scripts, recipes of `make`, scripts of a package. Each rule has a score; the worst one counts. `lockgate policy
    explain 'COMMAND'` tells what was found, where, and why it is harmful.

    Example:
        threshold: 0.5
        workspace: /srv/project
        allow: ['^git push --force origin my-branch$']
    """

    Options = Options

    @classmethod
    def provision(cls, options: Options) -> Any:
        load_packs()
        _check_names(options.allow_rules)
        return Shared(options)

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        """The score of the worst thing that the call's command would do. Raises Unreadable."""
        found = await self._findings(call, x)
        return (found[0].score, reason(found[0])) if found else (0.0, "")

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        found = await self._findings(call, x)
        if not found:
            return (call,)
        self.score, self.reason = found[0].score, reason(found[0])
        if self.score >= self.options.threshold:
            raise Blocked(sentence(found, self.options.threshold), reason=self.reason, score=self.score)
        return (call,)

    async def _findings(self, call: ToolCall, x: Exchange) -> Sequence[Finding]:
        shared: Shared = self.shared
        command, files = command_of(call), await shared.written.of(x)
        command = equivalent(call) if command is None else command
        if command is None:
            files.note(call)
            return ()
        if len(command) > LONG_CHARACTERS:  # it may take a while: other streams go on meanwhile
            return await asyncio.to_thread(shared.findings, call, command, files)
        return shared.findings(call, command, files)


class Shared:
    """What all exchanges of one rule share: what sessions have written."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.written = Written()

    def findings(self, call: ToolCall, command: str, files: Files) -> Sequence[Finding]:
        """What is found in the call's command; what it writes is remembered."""
        known, cwd = files.named_in(command), folder_of(call)
        found = judged(command, self._options, cwd, known)
        files.note(
            call, {path: text for path, text in found.script.files.items() if path not in known or known[path] != text}
        )
        return found.findings


def judged(command: str, options: Options, cwd: str = "", files: Mapping[str, str | None] | None = None) -> Judgement:
    """A command judged as the options say: what they allow is left out, what they deny is added."""
    setting = Setting(workspace=options.workspace)
    found = judge(command, packs=options.packs, setting=setting, cwd=cwd, files=files)
    kept = [finding for finding in found.findings if not _allowed(finding, options)]
    own = [
        Finding(rule=_own(denied), score=denied.score, command=one)
        for denied in options.deny
        for one in found.script.commands
        if finds(denied.pattern, str(one))
    ]
    return Judgement(tuple(sorted((*kept, *own), key=lambda finding: -finding.score)), found.script)


def _check_names(names: Sequence[str]) -> None:
    """Raises ConfigError for a rule that there is not, which would leave out nothing."""
    rules = (*RULES.values(), UNREADABLE)
    known = {name: None for rule in rules for name in (rule.name, f"{rule.pack}/{rule.name}")}
    if unknown := next((name for name in names if name not in known), None):
        close = difflib.get_close_matches(unknown, known, 1)
        meant = f"did you mean '{close[0]}'?" if close else "`lockgate policy explain` tells those that find something"
        raise ConfigError(f"option 'allow_rules': there is no rule '{unknown}'; {meant}")


def _allowed(finding: Finding, options: Options) -> bool:
    if {finding.rule.name, f"{finding.rule.pack}/{finding.rule.name}"} & set(options.allow_rules):
        return True
    return bool(finding.command.words) and any(finds(pattern, str(finding.command)) for pattern in options.allow)


def _own(denied: Denied) -> Rule:
    return Rule(
        pack="own", name="denied", why=denied.sentence, judge=lambda command, setting: 0.0, programs=frozenset()
    )


def sentence(found: Sequence[Finding], threshold: float) -> str:
    """What the client is told: why, each reason once, and what to do instead."""
    reasons = list(dict.fromkeys(one.rule.why for one in found if one.score >= threshold))[:3]
    return f"{' '.join(reasons)} {_INSTEAD}"


_INSTEAD = "If it is really meant, ask the person you work for to run it, or choose a narrower command."


def reason(finding: Finding) -> str:
    """For the log: the rule and the command."""
    via = f" (by {', '.join(finding.command.via)})" if finding.command.via else ""
    shown = str(finding.command) or finding.command.source
    return f"{finding.rule.pack}/{finding.rule.name}: {shown[:300]}{via}"
