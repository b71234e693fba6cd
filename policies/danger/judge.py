"""A whole shell command judged: what its rules find, and what could not be read and looks bad."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lockgate.policies.danger.kept import kept
from lockgate.policies.danger.rules import PACKS, Finding, Rule, Setting, judged, line
from lockgate.policies.patterns import finds
from lockgate.policies.remembered import remembered
from lockgate.policies.shell.model import Command, Script
from lockgate.policies.shell.read import read

UNREADABLE = Rule(
    pack="unreadable",
    name="cannot-be-read",
    why="This cannot be read as a shell command, and it holds words that are dangerous where they are run.",
    judge=lambda command, setting: 0.0,
    programs=frozenset(),
)
UNREADABLE_SCORE = 0.6
_DANGEROUS_WORDS = (
    r"(?:^|[\s;&|(`'\"/{,])(?:rm\s+(?:-\S+\s+)*-\w*[rR]|rm,-\w*r|mkfs(?:\.\w+)?\s|dd\s+\S*(?:if|of)=|shred\s|wipefs|chmod\s+-R|"
    r"shutdown|reboot\b|mkfifo|nc\s+-\w*e|iptables\s+-F|:\(\)\s*\{|DROP\s+(?:TABLE|DATABASE)|sudo\s+rm|killall|"
    r"curl\s[^|\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z)?sh|wget\s[^|\n]{0,200}\|\s*(?:sudo\s+)?(?:ba|z)?sh|/dev/tcp/|"
    r"base64\s+(?:-d|--decode)[^\n]{0,60}\|\s*(?:ba|z)?sh)"
)
"""What makes a text suspicious that cannot be read: RE2, looked for anywhere in it."""
_LENGTH = 2_000_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in a command, worst first, and what was read of it."""

    findings: Sequence[Finding]
    script: Script

    @property
    def score(self) -> float:
        return self.findings[0].score if self.findings else 0.0


@cache
def load_packs() -> None:
    """Imports the packs, which register their rules."""
    for pack in (*PACKS, "attacks", "windows", "mac", "escapes", "tracks"):
        importlib.import_module(f"lockgate.policies.danger.{pack}")


def judge(
    text: str,
    *,
    packs: Sequence[str] = PACKS,
    setting: Setting | None = None,
    cwd: str = "",
    files: Mapping[str, str | None] | None = None,
) -> Judgement:
    """Reads a shell command and judges everything that it would run; `files` is what is known of files, by place."""
    packs, setting = tuple(packs), setting or Setting()
    return _judge(text, packs, setting, cwd, files) if files else _judged(text, packs, setting, cwd)


@remembered(2_000_000)
def _judged(text: str, packs: Sequence[str], setting: Setting, cwd: str) -> Judgement:
    return _judge(text, packs, setting, cwd, None)


def _judge(
    text: str, packs: Sequence[str], setting: Setting, cwd: str, files: Mapping[str, str | None] | None
) -> Judgement:
    load_packs()
    script = read(text, cwd, files=files)
    found = [finding for command in script.commands for finding in judged(command, setting, packs)]
    found = [finding for finding in found if not (_made_here(finding, script) or _unseen(finding, script))]
    found += _unreadable(script)
    return Judgement(tuple(sorted(found, key=lambda finding: -finding.score)), script)


def _made_here(finding: Finding, script: Script) -> bool:
    """Whether containers and volumes are taken away that the same command has started before."""
    if finding.rule.name != "removes-containers" or not re.search(
        r"(?:^|\s)down\b|^volume\s+rm\b", line(finding.command)
    ):
        return False
    at = next((at for at, command in enumerate(script.commands) if command is finding.command), 0)
    before = [command for command in script.commands[:at] if command.name == finding.command.name]
    volumes = [word for command in before if command.args[:2] == ("volume", "create") for word in command.args[2:]]
    return any(re.search(r"(?:^|\s)up(?:\s|$)", line(c)) for c in before) or any(
        v in finding.command.args for v in volumes
    )


def _unseen(finding: Finding, script: Script) -> bool:
    """Whether a secret is shown to nobody, but to a command that keeps it: `echo $TOKEN | gh auth login --with-token`."""
    return finding.rule.name in _SHOWS and kept(finding.command, script)


_SHOWS = frozenset({"shows-secrets", "reads-secrets", "reads-cloud-secrets", "reads-cluster-secrets"})


def _unreadable(script: Script) -> list[Finding]:
    """What could not be read is no harm by itself; with dangerous words in it, it looks like a way round the rules."""
    for unclear in script.unclear:
        part = "grammar" in unclear.reason and len(unclear.text) < 2_000
        if finds(_DANGEROUS_WORDS, unclear.text if part else script.text[:_LENGTH]):
            command = Command(words=(), source=f"{unclear.reason}: {unclear.text[:300]}")
            return [Finding(rule=UNREADABLE, score=UNREADABLE_SCORE, command=command)]
    return []
