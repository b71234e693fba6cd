"""Recorded sessions through a real proxy: every history is what it was, and what came of what is found again."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from lockgate.records import ExchangeRow
from lockgate.storage.answers import Filter, Session
from lockgate.storage.queries import Queries
from lockgate.storage.schema import upgrade
from tests.recorded.recordings import Exchange, Recording
from tests.recorded.replaying import replayer
from tests.upstream.proxied import Tls

type Tree = list[tuple[str, str, str, str]]
"""For each session its relation, the run and role that began it, and the run that began its parent."""

TREES: dict[str, Tree] = {
    "Claude Code": [
        ("", "first", "main", ""),
        ("subagent_of", "first", "agent:survey", "first"),
        ("subagent_of", "first", "agent:review", "first"),
        ("forked_from", "fork", "main", "first"),
        ("subagent_of", "background", "agent:watch", "first"),
        ("compacted_from", "fourth", "main", "first"),
        ("compacted_from", "fifth", "main", "fourth"),
        ("forked_from", "rewind", "main", "fifth"),
        ("", "interactive", "main", ""),
    ],
    "Codex": [
        ("", "first", "main", ""),
        ("forked_from", "fork", "main", "first"),
        ("subagent_of", "agents", "agent:survey", "first"),
        ("subagent_of", "agents", "agent:review", "first"),
        ("compacted_from", "full", "main", "first"),
        ("compacted_from", "fourth", "main", "full"),
        ("forked_from", "rewind", "main", "fourth"),
        ("", "summary", "main", ""),
        ("compacted_from", "summary", "main", "summary"),
        ("", "scripts", "main", ""),
    ],
}
TITLES = ("Adding tea twice to the cart counts it once.", "Your task: ", "What is in this folder?", "Is the ")


def conversations(recording: Recording) -> list[Exchange]:
    return [one for one in recording.exchanges if one.number in recording.roles]


async def told(url: str) -> tuple[list[ExchangeRow], list[Session]]:
    async with Queries(url) as log:
        rows = await log.exchanges(limit=1000, where=Filter(kind="model"))
        return rows[::-1], await log.sessions(limit=100)


async def check(url: str, recording: Recording) -> None:
    rows, sessions = await told(url)
    exchanges = conversations(recording)
    by_id = {one.row.id: one for one in sessions}
    beginnings: dict[str, Exchange] = {}
    for row, exchange in zip(rows, exchanges, strict=True):
        role = recording.roles[exchange.number]
        assert row.purpose == {"title": "side", "compaction": "compaction"}.get(role, ""), exchange.number
        if row.session_id in by_id and not row.purpose:
            beginnings.setdefault(row.session_id, exchange)
        assert row.attested == expected(by_id, row), (exchange.number, row.attested)
    tree = [
        (
            by_id[id].row.relation, began.run, recording.roles[began.number],
            beginnings[by_id[id].row.parent_id].run if by_id[id].row.parent_id else "",
        )
        for id, began in beginnings.items()
    ]  # fmt: skip
    assert tree == TREES[recording.client]
    assert set(beginnings) == set(by_id)
    assert all(one.row.title.startswith(TITLES) for one in sessions), [one.row.title for one in sessions]
    assert sum(one.exchanges for one in sessions) == len(rows)


def expected(by_id: dict[str, Session], row: ExchangeRow) -> str:
    """Nothing was tampered with: what was shortened, and what came of it, is compacted, all else attested."""
    relations: set[str] = set()
    id = row.session_id
    while one := by_id.get(id):
        relations.add(one.row.relation)
        id = one.row.parent_id if one.row.relation != "subagent_of" else ""
    return "compacted" if "compacted_from" in relations else "attested"


async def test_every_history_is_attested_and_the_tree_is_that_of_the_runs(
    tmp_path: Path, tls: Tls, recording: Recording, sqlite_url: str
) -> None:
    async with replayer(tmp_path / "home", tls, sqlite_url) as proxy:
        await proxy.replay(conversations(recording))
    await check(sqlite_url, recording)
    main = [one for one in (await told(sqlite_url))[0] if one.attested == "attested"]
    assert len(main) >= 40
    async with Queries(sqlite_url) as log:
        rows, sessions = await told(sqlite_url)
        detail = await log.exchange(rows[-1].id)
        assert detail
        assert [one.type for one in detail.relations if one.type == "continues"] == ["continues"]
        talk = await log.conversation(sessions[-1].row.id, limit=3)
        assert [role for role, _ in talk[0].texts][:1] == ["user"]


async def test_the_same_comes_out_where_each_run_has_a_proxy_of_its_own(
    tmp_path: Path, tls: Tls, recording: Recording, database_url: str
) -> None:
    upgrade(database_url)
    for run, exchanges in groupby(conversations(recording), lambda one: one.run):
        async with replayer(tmp_path / run, tls, database_url) as proxy:
            await proxy.replay(exchanges)
    await check(database_url, recording)
