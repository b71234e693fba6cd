"""Where a call's result comes from, as a label that later calls can be judged by. Values only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from lockgate.policies.flows.deeds import Acts
from lockgate.policies.shell.model import HERE, SOME, UNSET

type Label = Literal["web", "mcp", "download", "outside", "secret", "data", "unknown", "untrusted"]
"""`web`: fetched from beyond this machine and its network. `mcp`: of a tool of a server. `download`: put there by a
command that fetches. `outside`: of a file outside the workspace. `secret`, `data`: what is not to leave. `unknown`: of a
call that nobody remembers. `untrusted`: what `taint` is told to mark besides."""


def labels_of(acts: Acts) -> Iterator[Label]:
    """The labels of a call's result."""
    if "fetches" in acts.does:
        yield "web"
    if acts.tool.startswith("mcp__") or "." in acts.tool:
        yield "mcp"
    if acts.does & {"downloads", "clones"}:
        yield "download"
    if any(
        found.outside or (found.anchor not in (HERE, SOME, UNSET) and found.parts[:1] != ("tmp",))
        for found in acts.reads
    ):
        yield "outside"
    if "reads-secret" in acts.does:
        yield "secret"
    if "dumps-data" in acts.does:
        yield "data"
    if not acts.tool:
        yield "unknown"
