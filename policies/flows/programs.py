"""Programs that a session wrote with a file tool, and what they do when a later call runs them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable
from lockgate.policies.flows.deeds import Acts, acts_of
from lockgate.policies.flows.places import Doing
from lockgate.policies.patterns import finds
from lockgate.policies.shell.paths import Place
from lockgate.wire.document import dumps

MAX_PROGRAMS = 30


class Programs:
    """The latest programs of a session, by place."""

    def __init__(self, kept: OrderedDict[Place, Acts] | None = None) -> None:
        self._kept = OrderedDict[Place, Acts]() if kept is None else kept

    def keep(self, acts: Acts) -> None:
        """Remember what the call wrote."""
        for where, code in acts.codes:
            try:
                read = acts_of(_run(code))
            except Unreadable:
                continue
            self._kept[where] = replace(read, does=read.does | told_by(code))
        while len(self._kept) > MAX_PROGRAMS:
            self._kept.popitem(last=False)

    def known(self, acts: Acts) -> Acts:
        """The call with what the programs do that it runs."""
        for where, code in self._kept.items():
            if any(_runs(ran, where) for ran in acts.runs):
                acts = replace(
                    acts, does=acts.does | code.does, reads=(*acts.reads, *code.reads), writes=(*acts.writes, *code.writes),
                    reaches=(*acts.reaches, *code.reaches), findings=(*acts.findings, *code.findings),
                )  # fmt: skip
        return acts

    def fork(self) -> Programs:
        return Programs(self._kept.copy())


def told_by(code: str) -> frozenset[Doing]:
    """What a program's words say, where its language is not read: that it speaks to the net, and of keys."""
    found: list[tuple[Doing, str]] = [("sends", _SPEAKS), ("reads-secret", _KEYS)]
    return frozenset(doing for doing, pattern in found if finds(pattern, code))


_SPEAKS = (
    r"requests\.(?:post|put|patch)|urlopen\([^)\n]*data|socket\.(?:create_connection|socket)\b|smtplib|ftplib|paramiko|http\.client|"
    r"aiohttp|httpx\.(?:post|put)|axios|https?\.request\(|method:\s*['\"]P(?:OST|UT)|Net::HTTP|HttpClient|reqwest|http\.Post|TcpStream|"
    r"(?:Command::new|exec\.Command|Runtime.{0,40}exec)\(\"(?:curl|wget|nc|scp|ssh)\b"
)
_KEYS = (
    r"\.ssh/(?:id_|\*)|\.aws/credentials|\.netrc|\.npmrc|\.pypirc|\.kube/config|\.docker/config|\bid_(?:rsa|ed25519)\b|dict\(os\.environ|"
    r"os\.environ\.copy|JSON\.stringify\(process\.env|/proc/self/environ|Login Data|\.gnupg|master\.key|solana/id\.json|std::env::vars|os\.Environ\("
)


def _runs(ran: Place, where: Place) -> bool:
    hooks = ran.parts[-2:] == (".git", "hooks")
    return ran == where or ran.parts[-1:] == where.parts[-1:] != () or (hooks and ".git" in where.parts)


def _run(code: str) -> ToolCall:
    return ToolCall(block=0, id="", name="Bash", arguments=dumps({"command": code}).decode())
