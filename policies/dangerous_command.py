"""`dangerous_command`: shell commands that would do harm, understood rather than matched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic import Field

from lockgate.config import Section
from lockgate.events import Event, ToolCall
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Monitor
from lockgate.policies.commands import command_of, folder_of
from lockgate.policies.danger.judge import Judgement, judge, load_packs
from lockgate.policies.danger.rules import Finding, Rule, Setting
from lockgate.policies.patterns import Re2, finds

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
    workspace: str = ""
    """The absolute path of the project. Without it, the folder that a command starts in counts as the project."""
    allow: list[Re2] = Field(default_factory=list[Re2])
    """RE2 patterns: what is found in such a command's resolved words is let pass."""
    allow_rules: list[str] = Field(default_factory=list[str])
    """Names of rules that are left out, as `lockgate policy explain` tells them."""
    deny: list[Denied] = Field(default_factory=list[Denied])
    """Commands that are stopped besides."""


class DangerousCommand(Monitor):
    """Stops shell commands that would do harm: each is parsed, followed into what it runs, and judged by rules.

    It follows `sh -c`, `eval`, `xargs`, `find -exec`, `sudo`, `ssh`, pipes, heredocs, variables, aliases, encodings and
    one-liners of other languages, and knows data from commands: `grep 'rm -rf'` is data. Each rule has a score; the
    worst one counts. `lockgate policy explain 'COMMAND'` tells what was found, where, and why it is harmful.

    Example:
        threshold: 0.5
        workspace: /srv/project
        allow: ['^git push --force origin my-branch$']
    """

    Options = Options

    @classmethod
    def provision(cls, options: Options) -> Any:
        load_packs()

        @lru_cache(maxsize=256)
        def remembered(command: str, cwd: str) -> Judgement:
            return judged(command, options, cwd)

        return remembered

    async def score_call(self, call: ToolCall, x: Exchange) -> tuple[float, str]:
        """The score of the worst thing that the call's command would do. Raises Unreadable."""
        found = await self._findings(call)
        return (found[0].score, reason(found[0])) if found else (0.0, "")

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        found = await self._findings(call)
        if not found:
            return (call,)
        self.score, self.reason = found[0].score, reason(found[0])
        if self.score >= self.options.threshold:
            raise Blocked(sentence(found, self.options.threshold), reason=self.reason, score=self.score)
        return (call,)

    async def _findings(self, call: ToolCall) -> Sequence[Finding]:
        command = command_of(call)
        if command is None:
            return ()
        if len(command) > LONG_CHARACTERS:  # it may take a second: other streams go on meanwhile
            return (await asyncio.to_thread(self.shared, command, folder_of(call))).findings
        return self.shared(command, folder_of(call)).findings


def judged(command: str, options: Options, cwd: str = "") -> Judgement:
    """A command judged as the options say: what they allow is left out, what they deny is added."""
    found = judge(command, packs=options.packs, setting=Setting(workspace=options.workspace), cwd=cwd)
    kept = [finding for finding in found.findings if not _allowed(finding, options)]
    own = [
        Finding(rule=_own(denied), score=denied.score, command=one)
        for denied in options.deny
        for one in found.script.commands
        if finds(denied.pattern, str(one))
    ]
    return Judgement(tuple(sorted((*kept, *own), key=lambda finding: -finding.score)), found.script)


def _allowed(finding: Finding, options: Options) -> bool:
    if finding.rule.name in options.allow_rules:
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
