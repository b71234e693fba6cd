"""`lockgate log tail` and `lockgate top`: what ends is told once, and nothing plays tricks on a terminal."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from io import StringIO

import pytest

from lockgate.cli import tail, top
from lockgate.records import ExchangeRow, now
from lockgate.storage import schema
from lockgate.storage.answers import Filter
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import exchange_row


async def some(rows: AsyncGenerator[ExchangeRow], count: int) -> list[str]:
    return [(await anext(rows)).id for _ in range(count)]


async def test_each_exchange_is_told_once_when_it_ends(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LOOK_SECONDS", 0.01)
    schema.upgrade(database_url)
    earlier, before, running = exchange_row(), exchange_row(), exchange_row(outcome="open")
    await remember(database_url, [earlier, before, running])
    async with Queries(database_url) as log, aclosing(tail.ended(log, Filter(), last=2)) as rows:
        assert await some(rows, 1) == [before.id]
        other = exchange_row(outcome="passed")
        await remember(database_url, [other, exchange_row(id=running.id, outcome="blocked")])
        assert await some(rows, 2) == [running.id, other.id]
        await remember(database_url, [last := exchange_row()])
        assert await some(rows, 1) == [last.id]


async def test_a_filter_holds(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LOOK_SECONDS", 0.01)
    schema.upgrade(database_url)
    first, second = exchange_row(model="a"), exchange_row(model="a")
    await remember(database_url, [first, exchange_row(model="b")])
    async with Queries(database_url) as log, aclosing(tail.ended(log, Filter(model="a"), last=5)) as rows:
        assert await some(rows, 1) == [first.id]
        await remember(database_url, [exchange_row(model="b"), second])
        assert await some(rows, 1) == [second.id]


def test_a_line_spells_out_what_would_steer_a_terminal() -> None:
    line = tail.line(exchange_row(model="\x1b[2Jgpt", error="one\ntwo", rules=("no-touch",)))
    assert "\x1b" not in line.plain
    assert "\\u001b[2Jgpt" in line.plain
    assert "one two" in line.plain
    assert "by no-touch" in line.plain


async def test_top_shows_what_runs_and_what_it_cost(sqlite_url: str) -> None:
    from rich.console import Console

    schema.upgrade(sqlite_url)
    began = now() - timedelta(seconds=75)
    rows = [
        exchange_row(outcome="open", started_at=began, agent="codex\x1b]0;x\x07"),
        exchange_row(outcome="blocked", blocked=1, started_at=began, model="claude-haiku-4-5"),
    ]
    await remember(sqlite_url, rows)
    async with Queries(sqlite_url) as log, ApprovalDesk(sqlite_url) as desk:
        sight = await top.look(log, desk)
    assert [one.id for one in sight.streams] == [rows[0].id]
    screen = Console(width=160, file=StringIO(), record=True)
    screen.print(top.drawn(sight))
    text = screen.export_text()
    assert "1 under way" in text
    assert "last hour: 2 exchanges, 2 blocked" in text
    assert "75 s" in text
    assert "codex\\u001b]0;x\\u0007" in text
    assert "claude-haiku-4-5" in text
