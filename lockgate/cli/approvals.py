"""Approvals as people read and edit them: lines, a table, and the arguments as text. Nothing here reads a database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from lockgate.cli.shown import COLOURS, SHORT_ID, one_line, time_of
from lockgate.errors import WireError
from lockgate.policies.notice import harmless
from lockgate.policies.readable import Part, readable
from lockgate.records import Approval, now
from lockgate.wire.document import loads

CALL_CHARACTERS = 120
"""So much of a call stands in a list."""
COLUMNS = ("id", "waits", "left", "rule", "agent", "score", "state", "call")


def table(approvals: Sequence[Approval]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        made.add_column(name, no_wrap=name != "call", overflow="fold" if name == "call" else "ellipsis")
    for one in approvals:
        score = "" if one.score is None else f"{one.score:.2f}"
        waits = (time_of(one.asked_at), _left(one)) if one.state == "pending" else (time_of(one.asked_at), "")
        cells = (one.id[-SHORT_ID:], *waits, one.rule, one.agent, score, _state(one), summary(one))
        made.add_row(*(Text(one_line(cell)) for cell in cells))
    return made


def line(approval: Approval) -> str:
    """One that begins to wait."""
    cells = (approval.id[-SHORT_ID:], time_of(approval.asked_at), _left(approval), approval.rule, summary(approval))
    return "  ".join(map(one_line, cells))


def summary(approval: Approval) -> str:
    """The beginning of the call, on one line."""
    parts = readable(approval.tool, approval.arguments, custom=approval.custom)
    text = one_line(f"{approval.tool}: {parts[0].text if parts else ''}")
    return text if len(text) <= CALL_CHARACTERS else f"{text[:CALL_CHARACTERS]}…"


def lines(approval: Approval) -> Iterator[str | Text]:
    """All that a person should know before they decide; the call last, and whole."""
    for name, value in _facts(approval):
        yield f"{name:<10} {one_line(harmless(value))}"
    if approval.context:
        yield ""
        yield Text("what was said last", style="bold")
        for role, text in approval.context:
            yield from _indented(f"{role}: {harmless(text)}")
    yield ""
    yield Text(f"the call of {harmless(approval.tool)}", style="bold")
    for part in readable(approval.tool, approval.arguments, custom=approval.custom):
        yield from _part(part)
    if approval.edited is not None:
        yield ""
        yield Text("what went on instead", style="bold")
        for part in readable(approval.tool, approval.edited, custom=approval.custom):
            yield from _part(part)


def decided(approval: Approval) -> str:
    note = " The agent may read the note." if approval.note and approval.note_shown else ""
    return f"{approval.id} is {approval.state}, by {one_line(approval.decided_by)}.{note}"


def editable(approval: Approval) -> str:
    """The arguments, as one edits them."""
    if approval.custom:
        return approval.arguments
    try:
        return json.dumps(loads(approval.arguments.encode()), indent=2, ensure_ascii=False) + "\n"
    except WireError:
        return approval.arguments


def _facts(approval: Approval) -> Iterator[tuple[str, str]]:
    score = "" if approval.score is None else f"{approval.score:g}"
    by = f" by {approval.decided_by}" if approval.decided_by else ""
    at = f" at {time_of(approval.decided_at)}" if approval.decided_at else ""
    named = {
        "id": approval.id,
        "asked": time_of(approval.asked_at),
        "deadline": f"{time_of(approval.deadline)}{_more(approval)}",
        "state": f"{_state(approval)}{by}{at}",
        "note": approval.note,
        "rule": approval.rule,
        "score": score,
        "why": approval.reason,
        "agent": approval.agent,
        "model": approval.model,
        "project": approval.project,
        "session": approval.session_id,
        "exchange": approval.exchange_id,
        "digest": approval.digest,
    }
    yield from ((name, value) for name, value in named.items() if value)


def _more(approval: Approval) -> str:
    default = "denied" if approval.by_default == "deny" else "approved"
    left = f" ({_left(approval)} left)" if approval.state == "pending" else ""
    return f"{left}; then it is {default}"


def _state(approval: Approval) -> str:
    if approval.state == "pending":
        return "waiting; its client left" if approval.left_at else "waiting"
    return approval.state


def _left(approval: Approval) -> str:
    seconds = max(0, int((approval.deadline - now()).total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _part(part: Part) -> Iterator[str | Text]:
    if part.kind == "diff":
        yield f"  {part.name}:"
        yield from (Text(f"    {each}", style=COLOURS.get(each[:1], "")) for each in part.text.split("\n"))
        return
    first, *rest = part.text.split("\n")
    yield f"  $ {first}" if part.kind == "command" else f"  {part.name}: {first}"
    yield from (f"    {each}" for each in rest)


def _indented(text: str) -> Iterator[str]:
    first, *rest = text.split("\n")
    yield f"  {first}"
    yield from (f"    {each}" for each in rest)
