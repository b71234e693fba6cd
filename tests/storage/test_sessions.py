"""Sessions read: a tree with what each took, whatever the rows say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from lockgate.events import Usage
from lockgate.records import SessionRow, new_id
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.answers import Filter
from lockgate.storage.engine import writer_engine
from lockgate.storage.migrations import run
from lockgate.storage.queries import Queries
from lockgate.storage.writer import Writer
from tests.storage.records import START, comm, exchange_row


def session_row(title: str, **fields: Any) -> SessionRow:
    return SessionRow(**{"id": new_id(), "started_at": START, "title": title, "agent": "codex", **fields})


@pytest.fixture
def write(database_url: str) -> Any:
    schema.upgrade(database_url)

    def written(*records: Any) -> None:
        with Writer(parse(database_url)) as writer:
            writer.write(records)

    return written


async def test_a_tree_and_what_it_took(database_url: str, write: Any):
    first = session_row("first", marker="m-1", project="p")
    fork = session_row("fork", parent_id=first.id, relation="forked_from", marker="m-2")
    short = session_row("short", parent_id=fork.id, relation="compacted_from")
    helper = session_row("helper", parent_id=first.id, relation="subagent_of")
    other = session_row("other", agent="aider", started_at=START + timedelta(days=1))
    took = {"usage": Usage(input_tokens=5, output_tokens=2), "blocked": 1, "counted_by": "provider"}
    write(first, fork, short, helper, other)
    write(
        *(exchange_row(session_id=first.id, attested="attested", **took) for _ in range(2)),
        exchange_row(session_id=first.id, attested="altered", **took),
        exchange_row(session_id=first.id, purpose="side", attested="attested", **took),
        exchange_row(session_id=fork.id, attested="attested", **(took | {"usage": None, "counted_by": "none"})),
    )
    async with Queries(database_url) as log:
        found = await log.sessions()
        assert [(one.row, one.depth) for one in found] == [
            (other, 0), (first, 0), (fork, 1), (short, 2), (helper, 1),
        ]  # fmt: skip
        one = found[1]
        assert (one.exchanges, one.side, one.blocked, one.attested) == (4, 1, 4, ("altered", "attested"))
        assert (one.usage.input_tokens, one.usage.output_tokens, one.last_at) == (20, 8, START)
        assert [found[at].exchanges for at in (0, 2, 3)] == [0, 1, 0]
        assert [each.row for each in await log.sessions(limit=1, before=other.id)][:1] == [first]
        assert [each.row for each in await log.sessions(agent="aider")] == [other]
        assert [each.row for each in await log.sessions(project="p")][:1] == [first]
        assert [each.row for each in await log.sessions(since=START + timedelta(hours=1))] == [other]
        assert [each.row for each in await log.sessions(until=START + timedelta(hours=1))][:1] == [first]
        for name in (fork.id, fork.id[-8:], "m-2"):
            assert [each.row for each in await log.session(name)] == [fork, short]
        assert await log.session("none") == []


async def test_lists_take_a_session_by_its_id_its_end_or_its_marker(database_url: str, write: Any):
    one, two, three = session_row("a", marker="m"), session_row("b", marker="m"), session_row("c")
    rows = [exchange_row(session_id=id, attested="foreign") for id in (one.id, two.id, three.id, "older-marker")]
    write(one, two, three, *rows)
    async with Queries(database_url) as log:

        async def listed(**where: Any) -> list[str]:
            return [row.id for row in await log.exchanges(where=Filter(**where))]

        assert await listed(session_id="m") == [rows[1].id, rows[0].id]
        assert await listed(session_id=one.id) == [rows[0].id]
        assert await listed(session_id=three.id[-8:].upper()) == [rows[2].id]
        assert await listed(session_id="older-marker") == [rows[3].id]
        assert await listed(session_id="%") == []
        assert await listed(attested="foreign", session_id="m") == [rows[1].id, rows[0].id]
        assert await listed(attested="altered") == []


async def test_a_conversation_is_told_page_by_page(database_url: str, write: Any):
    one = session_row("a")
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"What about %d?"}]}'
    rows = [exchange_row(session_id=one.id) for _ in range(3)] + [exchange_row(session_id=one.id, purpose="side")]
    endpoint = "POST /v1/messages"
    write(one, *rows, *(comm(row.id, endpoint=endpoint, content=body % at) for at, row in enumerate(rows)))
    async with Queries(database_url) as log:
        page = await log.conversation(one.id, limit=2)
        assert [told.texts for told in page] == [(("user", "What about 0?"),), (("user", "What about 1?"),)]
        [last] = await log.conversation(one.id, limit=2, after=page[-1].exchange.id)
        assert last.exchange.id == rows[2].id


async def test_circles_and_missing_parents_do_no_harm(database_url: str, write: Any):
    lost = session_row("lost", parent_id="gone", relation="forked_from")
    one, two = session_row("one"), session_row("two")
    own = session_row("own")
    write(lost, SessionRow(**_fields(one, parent_id=two.id)), SessionRow(**_fields(two, parent_id=one.id)))
    write(SessionRow(**_fields(own, parent_id=own.id)))
    async with Queries(database_url) as log:
        assert [each.row.title for each in await log.sessions()] == ["lost"]
        assert [each.row.title for each in await log.session(one.id)] == ["one", "two"]
        assert [each.row.title for each in await log.session(own.id)] == ["own"]


def _fields(row: SessionRow, **changes: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__} | changes


async def test_an_older_log_keeps_its_markers_as_sessions(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run.command, "upgrade", _only_to("0003", run.command.upgrade))
    schema.upgrade(database_url)
    columns = (
        "id, started_at, kind, provider, host, endpoint, model, agent, session_id, project, token, trigger, client"
    )
    columns += ", policy_set, streamed, outcome, stop_reason, tool_calls, blocked, rules, error"
    engine = writer_engine(parse(database_url))
    with engine.begin() as connection:
        for number in range(2):
            row = exchange_row(id=f"00000000-0000-7000-8000-00000000000{number}")
            id = row.id if database_url.startswith("postgres") else row.id.replace("-", "")
            connection.execute(
                text(
                    f"INSERT INTO exchange ({columns}) VALUES (:id, '2026-11-21 09:30:00.000000', 'model', 'anthropic',"
                    " 'h', 'e', 'm', 'claude-code', 'marker', 'p', 't', '', 'c', 'v', true, 'passed', '', 0, 0, '[]',"
                    " '')"
                ),
                {"id": id},
            )
    engine.dispose()
    monkeypatch.undo()
    assert schema.upgrade(database_url) == "0003"
    async with Queries(database_url) as log:
        [one] = await log.session("marker")
        assert (one.row.id, one.row.marker, one.row.agent, one.exchanges) == ("marker", "marker", "claude-code", 2)
        assert one.row.opening == b""
        assert len(await log.exchanges(where=Filter(session_id="marker"))) == 2


def _only_to(revision: str, upgrade: Any) -> Any:
    return lambda config, _: upgrade(config, revision)
