from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from lockgate.errors import Error
from lockgate.events import Usage
from lockgate.records import Record, Relation
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.answers import Cost, Excerpt, Filter, Hit
from lockgate.storage.engine import writer_engine
from lockgate.storage.models import SaidModel
from lockgate.storage.notes import Notes
from lockgate.storage.places import unindex
from lockgate.storage.queries import FIRST, Queries
from lockgate.storage.words import PIECE_CHARACTERS
from tests.storage.logs import remember
from tests.storage.records import START, comm, decision, exchange_row
from tests.storage.test_schema import execute

ENDPOINT = "POST /v1/messages"


@pytest.fixture
async def queries(database_url: str) -> AsyncIterator[Queries]:
    schema.upgrade(database_url)
    async with Queries(database_url) as queries:
        yield queries


def reply(*content: Any) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    whole = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": list(content)}
    return json.dumps({**whole, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t", "name": name, "input": arguments}


def exchange(asked: str, *content: Any, **changes: Any) -> list[Record]:
    """What was asked, and what the model answered."""
    row = exchange_row(**{"endpoint": ENDPOINT, **changes})
    document = {"model": "m", "messages": [{"role": "user", "content": asked}]}
    request = comm(row.id, endpoint=ENDPOINT, content=json.dumps(document).encode())
    return [row, request, comm(row.id, type="RESPONSE", endpoint=ENDPOINT, content=reply(*content))]


def places(hits: Sequence[Hit]) -> list[tuple[str, str]]:
    return [(hit.role, hit.excerpt.before + f"[{hit.excerpt.hit}]" + hit.excerpt.after) for hit in hits]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("marker", [("user", "Touch the [marker] in /tmp/a_b.txt, Grüße")]),
        ("MARKER touch", [("user", "Touch the [marker] in /tmp/a_b.txt, Grüße")]),
        ("grüße", [("user", "Touch the marker in /tmp/a_b.txt, [Grüße]")]),
        ("/tmp/a_b", [("user", "Touch the marker in /[tmp/a_b].txt, Grüße")]),
        ('"the marker"', [("user", "Touch [the marker] in /tmp/a_b.txt, Grüße")]),
        ('"marker the"', []),
        ("mark", []),
        ("mark*", [("user", "Touch the [mark]er in /tmp/a_b.txt, Grüße")]),
        ("123abc", [("call", "Bash command: rm -rf [123abc] 3.14")]),
        ("3.14 rf", [("call", "Bash command: rm -rf 123abc [3.14]")]),
        ("bash", [("call", "[Bash] command: rm -rf 123abc 3.14")]),
        ("marker course", []),
        ("it's", [("assistant", "Of course: [it's] done")]),
        ("日本", []),
    ],
)
async def test_what_was_said_is_found(
    queries: Queries, database_url: str, search: str, found: list[tuple[str, str]]
) -> None:
    """Both databases find the same."""
    content = (text("Of course: it's done"), call("Bash", command="rm -rf 123abc 3.14"))
    await remember(database_url, exchange("Touch the marker in /tmp/a_b.txt, Grüße", *content))
    hits = await queries.search(search)
    assert [(role, place.replace("\n", " ")) for role, place in places(hits)] == found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ('"tick tock299"', 1),
        ('"tock299 tick the end"', 1),
        ('"tick the"', 1),
        ('"tick the e*"', 1),
        ('"ick tock299"', 0),
        ('"tick tock30 tock"', 0),
        ('"the tick"', 0),
        ('"tock299 tock298"', 0),
        ('"tick tock299" "the end"', 1),
        ('"tick tock299" "end the"', 0),
    ],
)
async def test_a_phrase_is_found_exactly(queries: Queries, database_url: str, search: str, found: int) -> None:
    """However often its words come."""
    often = " ".join(f"tick_tock{number}" for number in range(300)) + ": Tick the end"
    await remember(database_url, exchange(often, text("the tock tick")))
    assert len(await queries.search(search)) == found


async def test_the_best_fit_comes_first_with_its_exchange(queries: Queries, database_url: str) -> None:
    best = exchange("needle", text("needle needle"))
    others = [exchange(f"hay {'and so on ' * 50} needle", text("hay")) for _ in range(3)]
    await remember(database_url, [*(one for other in others for one in other), *best])
    hits = await queries.search("needle", limit=3)
    assert [hit.exchange for hit in hits[:2]] == [best[0], best[0]]
    assert {hit.comm_id for hit in hits[:2]} == {best[1].id, best[2].id}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(hits) == 3


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        (Filter(), [0, 1]),
        (Filter(kind="model"), [0, 1]),
        (Filter(model="gpt"), [1]),
        (Filter(tool="Bash"), [1]),
        (Filter(since=START + timedelta(minutes=1)), [1]),
        (Filter(until=START + timedelta(minutes=1)), [0]),
        (Filter(since=START + timedelta(days=1)), []),
        (Filter(label="none"), []),
    ],
)
async def test_a_search_is_filtered(queries: Queries, database_url: str, where: Filter, numbers: list[int]) -> None:
    later = {"model": "gpt", "started_at": START + timedelta(hours=1)}
    rows = [exchange("needle", text("x")), exchange("needle", call("Bash"), **later)]
    await remember(database_url, [*rows[0], *rows[1]])
    hits = await queries.search("needle", where=where)
    assert sorted(next(n for n in (0, 1) if rows[n][0] == hit.exchange) for hit in hits) == numbers


async def test_more_of_what_is_looked_for_ranks_higher_and_more_of_all_else_lower(
    queries: Queries, database_url: str
) -> None:
    texts = ["needle pin", "needle and needle and pin", "needle pin " + "hay " * 300]
    for said in texts:
        await remember(database_url, exchange(said, text("x")))
    assert [place.replace("…", "")[:10] for _, place in places(await queries.search("needle pin"))] == [
        "[needle] a", "[needle] p", "[needle] p"
    ]  # fmt: skip
    hits = await queries.search('"needle pin"')
    assert [len(hit.excerpt.after) for hit in hits] == [0, 81]
    assert hits[0].score > hits[1].score > 0


async def test_a_search_without_words_is_refused(queries: Queries) -> None:
    with pytest.raises(Error, match="has no word in it"):
        await queries.search("!?")


async def test_only_what_is_new_is_found_once(queries: Queries, database_url: str) -> None:
    """A later request repeats the conversation, a changed reply repeats most of the one that came."""
    row = exchange_row(endpoint=ENDPOINT)
    said = [("user", "first needle"), ("assistant", "first pin"), ("user", "then")]
    document = {"model": "m", "messages": [{"role": role, "content": words} for role, words in said]}
    request = comm(row.id, endpoint=ENDPOINT, content=json.dumps(document).encode())
    changed = comm(row.id, endpoint=ENDPOINT, source="lockgate", content=request.content)
    came, final = (
        comm(row.id, type="RESPONSE", endpoint=ENDPOINT, content=reply(text("kept pin"), one))
        for one in (call("Bash", command="pin"), text("no pin"))
    )
    judge = comm(row.id, endpoint=ENDPOINT, content=request.content, trigger="judge")
    modified = Relation(from_comm_id=came.id, to_comm_id=final.id, type="modified_to")
    await remember(database_url, [*exchange("first needle", text("first pin"))])
    await remember(database_url, [row, request, changed, judge, came, final, modified])
    assert len(await queries.search("needle")) == 1
    assert len(await queries.search("then")) == 1
    hits = await queries.search("pin")
    assert sorted(place for _, place in places(hits)) == [
        "Bash\ncommand: [pin]", "first [pin]", "kept [pin]", "no [pin]"
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"{", b'"\xff"', b'{"messages": 1}', b"", None])
async def test_what_no_codec_reads_is_kept(queries: Queries, database_url: str, content: bytes | None) -> None:
    row = exchange_row(endpoint=ENDPOINT)
    kept = comm(row.id, endpoint=ENDPOINT, content=content)
    await remember(database_url, [row, kept, comm(row.id, type="RESPONSE", endpoint=ENDPOINT, content=content)])
    detail = await queries.exchange(row.id)
    assert detail is not None
    assert [one.content for one in detail.comms] == [content, content]


async def test_odd_and_long_texts_are_found(queries: Queries, database_url: str) -> None:
    """NUL, lone surrogates, a word of a megabyte, and many different words: PostgreSQL bounds its vectors."""
    long = " ".join(f"w{number}" for number in range(200_000))
    odd = "a\x00needle\ud800 " + "x" * 1_000_000
    await remember(database_url, exchange(f"{odd} {long}", text("pin \x1a0000")))
    assert len(long) > 50 * PIECE_CHARACTERS
    assert [hit.role for hit in await queries.search("w123456")] == ["user"]
    assert [hit.role for hit in await queries.search("pin")] == ["assistant"]
    assert [hit.role for hit in await queries.search('"a needle"')] == ["user"]
    (hit,) = await queries.search("w77")
    assert hit.excerpt.hit == "w77"


async def test_what_is_written_twice_is_found_once(queries: Queries, database_url: str) -> None:
    records = exchange("needle", call("Bash"))
    for _ in range(2):
        await remember(database_url, records)
    assert len(await queries.search("needle")) == 1
    assert len(await queries.exchanges(where=Filter(tool="Bash"))) == 1


async def test_what_is_deleted_is_not_found(queries: Queries, database_url: str) -> None:
    gone, kept = exchange("needle", call("Bash")), exchange("needle", call("Bash"))
    await remember(database_url, [*gone, *kept])
    id = gone[0].id.replace("-", "") if database_url.startswith("sqlite") else gone[0].id
    execute(database_url, *_pragmas(database_url), f"DELETE FROM exchange WHERE id = '{id}'")
    assert [hit.exchange for hit in await queries.search("needle")] == [kept[0]]
    assert await queries.exchanges(where=Filter(tool="Bash")) == [kept[0]]


async def test_a_changed_reply_that_is_written_again_alone_is_found_once(queries: Queries, database_url: str) -> None:
    row = exchange_row(endpoint=ENDPOINT)
    came, final = (
        comm(row.id, type="RESPONSE", endpoint=ENDPOINT, content=reply(text("kept pin"), text(words)))
        for words in ("one", "other")
    )
    modified = Relation(from_comm_id=came.id, to_comm_id=final.id, type="modified_to")
    for records in ([row, came, final, modified], [final, modified], [came], [row]):
        await remember(database_url, records)
    for word in ("kept", "one", "other"):
        assert len(await queries.search(word)) == 1


async def test_what_is_taken_out_of_the_index_leaves_no_word_there(queries: Queries, database_url: str) -> None:
    gone, kept = exchange("needle straw", text("pin"), call("Bash", command="pin")), exchange("needle", text("pin"))
    await remember(database_url, [*gone, *kept])
    engine = writer_engine(parse(database_url))
    with engine.begin() as connection:
        unindex(connection, [gone[0].id])
        connection.execute(delete(SaidModel).where(SaidModel.exchange_id == gone[0].id))
    engine.dispose()
    assert [hit.exchange for hit in await queries.search("needle")] == [kept[0]]
    assert await queries.search("straw") == []
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(parse(database_url).path)) as connection:
            connection.execute("CREATE VIRTUAL TABLE temp.word USING fts5vocab('main', 'said_fts', 'row')")
            assert connection.execute("SELECT term, cnt FROM word ORDER BY 1").fetchall() == [("needle", 1), ("pin", 1)]


async def test_what_others_changed_is_found_and_not_shown(queries: Queries, database_url: str) -> None:
    await remember(database_url, exchange("needle", text("pin")))
    execute(database_url, "UPDATE message SET content = (SELECT content FROM message WHERE role = 'assistant')")
    (hit,) = await queries.search("needle")
    assert (hit.role, hit.excerpt) == ("", Excerpt(before="", hit="", after=""))


def _pragmas(url: str) -> tuple[str, ...]:
    return ("PRAGMA foreign_keys = ON",) if url.startswith("sqlite") else ()


BASH, BOTH = (call("Bash", command="ls"),), (call("Bash"), call("Bash"), call("Read"))


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        (Filter(tool="Bash"), [0, 1]),
        (Filter(tool="Read"), [1]),
        (Filter(tool="Edit"), []),
        (Filter(rule="no-touch"), [0, 1]),
        (Filter(action="blocked"), [0, 2]),
        (Filter(rule="no-touch", action="blocked"), [0]),
        (Filter(rule="mask", action="forwarded"), []),
        (Filter(tool="Bash", rule="no-touch", action="replaced"), [1]),
        (Filter(tool="Bash", session_id="s-2"), [1]),
        (Filter(project="q"), [2]),
        (Filter(status=429), [2]),
        (Filter(min_tokens=101), [1]),
        (Filter(min_tokens=100), [0, 1]),
        (Filter(min_cost_nano_usd=163_000), [0, 1]),
        (Filter(min_cost_nano_usd=1_000_000), [1]),
        (Filter(label="keep"), [0, 1]),
        (Filter(label="keep", tool="Read"), [1]),
        (Filter(label="other"), []),
        (Filter(since=START, until=START + timedelta(minutes=90)), [0, 1]),
        (Filter(kind="model", tool="Bash", since=START + timedelta(minutes=1)), [1]),
    ],
)
async def test_a_list_is_filtered(queries: Queries, database_url: str, where: Filter, numbers: list[int]) -> None:
    priced = {"model": "claude-haiku-4-5"}
    rows = [
        exchange("a", *BASH, **priced),
        exchange(
            *("b", *BOTH), **priced, session_id="s-2", usage=Usage(input_tokens=2000),
            started_at=START + timedelta(hours=1),
        ),
        exchange("c", text("x"), project="q", status=429, usage=None, started_at=START + timedelta(hours=2)),
    ]  # fmt: skip
    ids = [records[0].id for records in rows]
    decisions = [
        *(decision(ids[0]) for _ in range(3)),
        decision(ids[1], action="forwarded"),
        *(decision(ids[1], action="replaced") for _ in range(2)),
        decision(ids[2], rule="mask"),
    ]
    await remember(database_url, [*(one for records in rows for one in records), *decisions])
    with Notes(database_url) as notes:
        notes.label("exchange", ids[0], add=["keep"])
        notes.label("session", "s-2", add=["keep"])
    found = [row.id for row in await queries.exchanges(where=where)]
    assert [ids.index(id) for id in reversed(found)] == numbers
    assert [row.id for row in await queries.exchanges(where=where, after=FIRST)] == found[::-1]
    if found:
        assert [row.id for row in await queries.exchanges(where=where, limit=1)] == found[:1]
        assert [row.id for row in await queries.exchanges(where=where, before=found[0])] == found[1:]


async def test_costs_are_added_up(queries: Queries, database_url: str) -> None:
    usage = Usage(input_tokens=1_000, output_tokens=100, cache_read_tokens=10_000, cache_write_tokens=1)
    rows = [
        exchange_row(model="claude-haiku-4-5", usage=usage),
        exchange_row(model="claude-haiku-4-5", usage=usage, started_at=START + timedelta(days=1)),
        exchange_row(model="mystery", usage=usage, counted_by="tiktoken"),
        exchange_row(model="mystery", usage=None),
    ]
    await remember(database_url, rows)
    nano = 1_000_000 + 500_000 + 1_000_000 + 1_250
    double = Usage(**{name: 2 * getattr(usage, name) for name in usage.__slots__})
    assert await queries.costs("model") == [
        Cost(key="claude-haiku-4-5", exchanges=2, usage=double, nano_usd=2 * nano, unpriced=0, estimated=0),
        Cost(key="mystery", exchanges=2, usage=usage, nano_usd=0, unpriced=1, estimated=1),
    ]
    days = await queries.costs("day", where=Filter(model="claude-haiku-4-5"))
    assert [(one.key, one.nano_usd) for one in days] == [("2026-11-21", nano), ("2026-11-22", nano)]
    for by in ("session", "project", "agent", "provider"):
        (one,) = await queries.costs(by)
        assert (one.exchanges, one.nano_usd) == (4, 2 * nano)


def test_an_excerpt_is_an_answer() -> None:
    assert Excerpt(before="", hit="a", after="").hit == "a"
