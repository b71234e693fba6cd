"""Exchanges as a conversation to read: what was new in each request, the reply that the client got, what was decided.

Values only. What a model or a tool wrote stands in fences that it cannot close.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.errors import WireError
from lockgate.records import Comm, ExchangeRow
from lockgate.storage.answers import ExchangeDetail, Joined, Marks
from lockgate.storage.readable import labels_of, plain, time_of
from lockgate.storage.said import Said, texts_of

TITLES = {"user": "User", "tool": "Tool result", "assistant": "Assistant", "thinking": "Thinking"}
_BACKTICKS = re.compile("`{3,}")
_HEADING = re.compile(r"^(#{1,6} )", re.MULTILINE)


class Conversation:
    """Tells one exchange after the other; a session's heading stands once."""

    def __init__(self) -> None:
        self._session: str | None = None

    def told(self, detail: ExchangeDetail, marks: Marks) -> str:
        return "\n".join(self._lines(detail, marks)) + "\n"

    def _lines(self, detail: ExchangeDetail, marks: Marks) -> Iterator[str]:
        row = detail.exchange
        if row.session_id != self._session:
            self._session = row.session_id
            yield f"# {_inline(row.session_id) if row.session_id else 'No session'}\n"
        yield f"## {time_of(row.started_at)} {_inline(row.model or row.endpoint)}\n"
        yield f"{_about(row, marks)}\n"
        for note in marks.notes:
            yield f"> {_quoted(note.text)}\n"
        for comm in (*detail.chain("REQUEST")[:1], *detail.chain("RESPONSE")[-1:]):
            yield from _said(comm, detail.joined.get(comm.id))
        for one in detail.decisions:
            if one.action != "forwarded":
                shadow = " (shadow)" if one.mode == "shadow" else ""
                yield f"> **{one.action} by {_inline(one.rule)}**{shadow} {_inline(one.reason)}\n"


def _about(row: ExchangeRow, marks: Marks) -> str:
    parts = (row.agent, row.outcome, row.error, labels_of(marks), row.id)
    return " · ".join(_inline(part) for part in parts if part)


def _said(comm: Comm, how: Joined | None) -> Iterator[str]:
    if how and how.damage:
        yield f"**Damaged in the log** {_inline(how.damage)}\n"
        return
    try:
        texts = texts_of(comm)
    except WireError:
        yield "**Body that cannot be read**\n"
        yield _fenced((comm.content or b"").decode("utf-8", "replace"))
        return
    for said in texts:
        yield from _one(said)


def _one(said: Said) -> Iterator[str]:
    text = plain(said.text)
    match said.role:
        case "call":
            name, _, arguments = text.partition("\n")
            yield f"**Call of {_inline(name)}**\n"
            yield _fenced(arguments)
        case "tool":
            yield f"**{TITLES['tool']}**\n"
            yield _fenced(text)
        case "thinking":
            yield f"**{TITLES['thinking']}**\n"
            yield f"> {_quoted(text)}\n"
        case role:
            yield f"**{TITLES.get(role, role)}**\n"
            yield f"{_HEADING.sub(r'\\\1', text)}\n"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def _quoted(text: str) -> str:
    return plain(text).replace("\n", "\n> ")


def _inline(text: str) -> str:
    """One line in which nothing is markup."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", plain(text).replace("\n", " "))
