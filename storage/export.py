"""Exchanges as text that other programs read: what stands before, between and behind them, and one of them told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Literal

from lockgate.storage.answers import NO_MARKS, ExchangeDetail, Filter, Marks

if TYPE_CHECKING:
    from lockgate.storage.queries import Queries

type TextFormat = Literal["jsonl", "markdown", "har"]

PAGE = 100


def shape(format: TextFormat) -> tuple[str, str, str, Callable[[ExchangeDetail, Marks], str]]:
    """What comes first, between two exchanges, and last; and how one exchange is told."""
    if format == "har":
        from lockgate.storage import har

        return har.HEAD, ",\n", har.FOOT, lambda detail, _: json.dumps(har.entry(detail))
    if format == "markdown":
        from lockgate.storage.markdown import Conversation

        return "", "\n", "", Conversation().told
    from lockgate.storage.shapes import detail_json

    return "", "", "", lambda detail, marks: json.dumps(detail_json(detail, marks)) + "\n"


def told(format: TextFormat, detail: ExchangeDetail, marks: Marks) -> str:
    """One exchange, as a whole file."""
    head, _, foot, tell = shape(format)
    return f"{head}{tell(detail, marks)}{foot}"


async def details(log: Queries, where: Filter) -> AsyncIterator[tuple[ExchangeDetail, Marks]]:
    """Page by page, so that what is written meanwhile is neither missed nor told twice."""
    from lockgate.storage.queries import FIRST

    after = FIRST
    while rows := await log.exchanges(limit=PAGE, after=after, where=where):
        marks = await log.marks(rows)
        for row in rows:
            if (detail := await log.exchange(row.id)) is not None:
                yield detail, marks.get(row.id, NO_MARKS)
        after = rows[-1].id
