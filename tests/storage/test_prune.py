"""Retention: what goes, what stays, and that nothing that is needed goes with it."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from lockgate.bench.sessions import session
from lockgate.records import Comm, ExchangeRow, Record, Relation, now
from lockgate.storage import orphans, prune, schema
from lockgate.storage.address import parse
from lockgate.storage.alone import collecting
from lockgate.storage.backup import opened, restore
from lockgate.storage.engine import writer_engine
from lockgate.storage.log import SqlLog
from lockgate.storage.notes import Notes
from lockgate.storage.pace import Pace
from lockgate.storage.prune import Plan, Pruned, Pruner
from lockgate.storage.queries import Queries
from lockgate.storage.verify import verify
from lockgate.storage.writer import Writer
from tests.storage.records import comm, exchange_row, whole_exchange
from tests.storage.talks import IMAGE, detail_of, exchange, execute, remember, rows_in, says, user

DAY = timedelta(days=1)
EVERY = ("exchange", "comm", "comm_relationship", "decision", "said", "tool_use", "message", "thread", "blob")


def aged(records: Sequence[Record], days: float) -> list[Record]:
    """The same so many days ago."""
    then = now() - days * DAY
    return [replace(one, started_at=then) if isinstance(one, ExchangeRow) else one for one in records]


def asked(*messages: Any) -> dict[str, Any]:
    return {"model": "claude-x", "max_tokens": 100, "messages": list(messages)}


def answer(text: str) -> dict[str, Any]:
    block = {"type": "text", "text": text}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [block]}


def noise(seed: int) -> str:
    """What does not compress."""
    return random.Random(seed).randbytes(12_000).hex()


def pruned(url: str, **plan: Any) -> Pruned:
    with opened(parse(url)) as engine:
        return Pruner(engine, Plan(**plan), Pace(rest=0.0)).run()


def count_in(url: str, *names: str) -> dict[str, int]:
    found = {name: execute(url, f"SELECT count(*) FROM {name}")[0][0] for name in names}
    return {name: count for name, count in found.items() if count}


async def ids_of(url: str) -> list[str]:
    async with Queries(url) as queries:
        return [row.id for row in await queries.exchanges(limit=1000)]


def judged(row: ExchangeRow, asked: Comm, days: float) -> list[Record]:
    """A judge's exchange about another one."""
    own = exchange_row(trigger="judge", session_id="", started_at=now() - days * DAY)
    question = comm(own.id, trigger="judge", session_id="")
    about = Relation(from_comm_id=asked.id, to_comm_id=question.id, type="judged_by")
    return [own, question, about]


async def test_what_is_older_goes_with_all_that_only_it_held(database_url: str) -> None:
    image = [{"type": "image", "source": {"type": "base64", "data": IMAGE}}]
    old = aged(exchange(asked(user(image), user("Old words.")), answer("Old answer.")), 40)
    new = aged(exchange(asked(user("New words.")), answer("New answer.")), 1)
    await remember(database_url, old, aged(whole_exchange(), 35), new)
    before = count_in(database_url, *EVERY)
    done = pruned(database_url, until=now() - 30 * DAY)
    assert await ids_of(database_url) == [new[0].id]
    assert (await detail_of(database_url, new[0].id)).comms == tuple(new[1:3])
    assert done.exchanges == 2
    assert done.first
    assert done.last
    assert done.last - done.first > 4 * DAY
    after = count_in(database_url, *EVERY)
    assert after == {"exchange": 1, "comm": 2, "comm_relationship": 1, "said": 2, "message": 2, "thread": 2}
    assert {name: before[name] - after.get(name, 0) for name in before} == {
        name: count for name, count in done.sizes.rows.items() if name in EVERY
    }
    assert done.sizes.bytes["blob"] > 300  # PostgreSQL compresses it
    async with Queries(database_url) as queries:
        assert [await queries.search("old"), len(await queries.search("new"))] == [[], 2]
    assert pruned(database_url, until=now() - 30 * DAY).exchanges == 0


async def test_a_conversation_that_goes_on_keeps_what_it_repeats(database_url: str) -> None:
    turns = [exchange(*turn) for turn in session(30)]
    exchanges = [aged(records, 50 - number) for number, records in enumerate(turns)]
    await remember(database_url, *exchanges)
    before = rows_in(database_url)
    assert pruned(database_url, until=now() - 25.5 * DAY).exchanges == 25
    assert rows_in(database_url) == before
    last = exchanges[-1]
    assert (await detail_of(database_url, last[0].id)).comms == tuple(last[1:3])
    assert pruned(database_url, until=now()).exchanges == 5
    assert count_in(database_url, *EVERY, "message_blob") == {}


async def test_a_fork_that_stays_keeps_only_its_own_way_back(database_url: str) -> None:
    trunk = [user("One."), says("Two.")]
    old = aged(exchange({"messages": [*trunk, user("Old."), says("branch")]}), 40)
    new = aged(exchange({"messages": [*trunk, user("New.")]}), 1)
    await remember(database_url, old, new)
    assert rows_in(database_url) == (5, 5, 0)
    pruned(database_url, until=now() - 30 * DAY)
    assert rows_in(database_url) == (3, 3, 0)
    assert (await detail_of(database_url, new[0].id)).comms == (new[1],)


async def test_a_file_stays_while_one_message_holds_it(database_url: str) -> None:
    block = {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    old = aged(exchange({"messages": [user([block])]}), 40)
    new = aged(exchange({"messages": [user([{"type": "text", "text": "again"}, block])]}), 1)
    await remember(database_url, old, new)
    pruned(database_url, until=now() - 30 * DAY)
    assert rows_in(database_url) == (1, 1, 1)
    assert (await detail_of(database_url, new[0].id)).comms == (new[1],)


async def test_labels_keep_exchanges_and_sessions(database_url: str) -> None:
    exchanges = [aged(exchange({"messages": [user("A.")]}, session_id=f"s-{n}"), 40) for n in range(4)]
    await remember(database_url, *exchanges)
    ids = [str(records[0].id) for records in exchanges]
    with Notes(database_url) as notes:
        notes.label("exchange", ids[0], add=["incident"])
        notes.label("session", "s-1", add=["incident/7"])
        notes.label("exchange", ids[2], add=["seen"])
        notes.note("session", "s-3", "goes with its session")
    for table in ("label", "note"):
        execute(database_url, f"UPDATE {table} SET created_at = '{now() - DAY:%Y-%m-%d %H:%M:%S}'")
    done = pruned(database_url, until=now(), keep_labels=["incident*"])
    assert sorted(await ids_of(database_url)) == sorted(ids[:2])
    assert done.kept == {"incident": 1, "incident/7": 1}
    assert count_in(database_url, "label", "note") == {"label": 2}
    assert pruned(database_url, until=now(), keep_labels=["*"]).exchanges == 0
    assert pruned(database_url, until=now(), keep_labels=[]).exchanges == 2
    assert count_in(database_url, *EVERY, "label") == {}


async def test_what_is_under_way_or_has_just_ended_stays(database_url: str) -> None:
    rows = {
        "just ended": exchange_row(started_at=now()),
        "under way": exchange_row(outcome="open", started_at=now() - 0.5 * DAY, usage=None),
        "left open": exchange_row(outcome="open", started_at=now() - 2 * DAY, usage=None),
        "over": exchange_row(started_at=now() - 0.5 * DAY),
    }
    await remember(database_url, list(rows.values()))
    pruned(database_url, until=now() + DAY, max_bytes=1)
    assert set(await ids_of(database_url)) == {rows["just ended"].id, rows["under way"].id}


async def test_a_judges_exchange_goes_and_stays_with_the_one_it_is_about(database_url: str) -> None:
    one, two = (aged(exchange({"messages": [user("A.")]}, session_id=f"s-{n}"), 40) for n in range(2))
    assert isinstance(one[0], ExchangeRow)
    assert isinstance(two[0], ExchangeRow)
    assert isinstance(one[1], Comm)
    assert isinstance(two[1], Comm)
    ones, twos = judged(one[0], one[1], 39), judged(two[0], two[1], 39)
    alone = exchange_row(trigger="judge", session_id="", started_at=now() - 40 * DAY)
    await remember(database_url, one, two, ones, twos, [alone])
    with Notes(database_url) as notes:
        notes.label("exchange", two[0].id, add=["incident"])
    pruned(database_url, until=now() - 39.5 * DAY)  # the judge's are younger, and what is about `two` is kept
    assert set(await ids_of(database_url)) == {two[0].id, twos[0].id}


async def test_the_oldest_go_until_the_log_is_small_enough(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "CHOSEN_BY_SIZE", 4)
    exchanges = [aged(exchange({"messages": [user(noise(n))]}), 40 - n / 2) for n in range(40)]
    await remember(database_url, *exchanges)
    with opened(parse(database_url)) as engine, engine.connect() as connection:
        size = prune.stored_bytes(connection)
    done = pruned(database_url, max_bytes=size * 2 // 3)
    left = await ids_of(database_url)
    assert 10 < len(left) < 36
    assert left == [records[0].id for records in reversed(exchanges)][: len(left)]
    assert done.bytes_before == size
    assert done.bytes_after <= size * 2 // 3
    assert done.exchanges == 40 - len(left)


async def test_an_sqlite_file_gets_smaller(sqlite_url: str) -> None:
    path = parse(sqlite_url).path
    await remember(sqlite_url, *(aged(exchange({"messages": [user(noise(n))]}), 40) for n in range(30)))
    execute(sqlite_url, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    done = pruned(sqlite_url, until=now())
    execute(sqlite_url, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert (done.exchanges, done.reusable_bytes) == (30, 0)
    assert path.stat().st_size < before / 2


async def test_what_a_run_that_was_killed_left_is_found(database_url: str) -> None:
    old = exchange({"messages": [user("One."), says("Two."), user("Three.")]})
    new = aged(exchange({"messages": [user("One."), says("Zwei.")]}), 1)
    await remember(database_url, old, new)
    execute(database_url, "DELETE FROM said", "DELETE FROM comm WHERE id = '" + old[1].id.replace("-", "") + "'")
    execute(database_url, "INSERT INTO blob VALUES (CAST('x' AS BLOB), CAST('y' AS BLOB))") if "sqlite" in (
        database_url
    ) else execute(database_url, "INSERT INTO blob VALUES ('x', 'y')")
    assert rows_in(database_url) == (4, 4, 1)
    pruned(database_url)
    assert rows_in(database_url) == (2, 2, 0)


async def test_a_circle_that_others_made_ends(database_url: str) -> None:
    await remember(database_url, aged(exchange({"messages": [user("One."), says("Two."), user("Three.")]}), 40))
    execute(database_url, "UPDATE thread SET parent = (SELECT hash FROM thread WHERE depth = 2) WHERE depth = 0")
    assert pruned(database_url, until=now()).exchanges == 1
    assert count_in(database_url, "exchange", "comm") == {}


async def test_an_archive_is_safe_before_anything_goes_and_brings_it_back(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, image = tmp_path / "kept", {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    exchanges = [aged(exchange(*turn), 60 - n) for n, turn in enumerate(session(12))]
    odd = json.dumps(asked(user([image]), user("\ud800 \x00"))).encode()
    exchanges[3] = aged(exchange(odd, answer("Fine.")), 57)
    exchanges.append(aged(whole_exchange(), 41))
    await remember(database_url, *exchanges)
    with Notes(database_url) as notes:
        notes.note("exchange", exchanges[0][0].id, "the first")
    before = [await detail_of(database_url, records[0].id) for records in exchanges]
    monkeypatch.setattr(prune, "CHOSEN", 5)
    done = pruned(database_url, until=now() - 40 * DAY, archive=folder)
    assert done.exchanges == 13
    assert [path.stat().st_mode & 0o777 for path in done.archives] == [0o600] * 3
    assert count_in(database_url, *EVERY) == {}
    for path in done.archives:
        assert restore(database_url, path)[0].lockgate == "archive"
    assert [await detail_of(database_url, records[0].id) for records in exchanges] == before
    async with Queries(database_url) as queries:
        (row,) = [row for row in await queries.exchanges(limit=50) if row.id == exchanges[0][0].id]
        assert [note.text for note in (await queries.marks([row]))[row.id].notes] == ["the first"]
        assert await queries.search("fine")
    assert restore(database_url, done.archives[0])[1] == 0


async def test_an_archive_that_cannot_be_written_keeps_everything(database_url: str, tmp_path: Path) -> None:
    await remember(database_url, aged(whole_exchange(), 40))
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="file cannot be made"):
        pruned(database_url, until=now(), archive=tmp_path / "file")
    assert len(await ids_of(database_url)) == 1


async def write_again(url: str) -> tuple[list[Record], list[list[Record]]]:
    """What could not be written, and what was."""
    log = SqlLog(url)
    log.start()
    written: list[list[Record]] = []
    block = {"type": "image", "source": {"type": "base64", "data": IMAGE}}
    for number in range(60):
        messages = [user([block]), says("One."), user("Two."), says("Three.")][: number % 5 + 1]
        records = exchange({"system": "Be brief.", "messages": messages}, says(f"Answer {number % 3}."))
        written.append(records)
        log.put(records)
        await asyncio.sleep(0.02)
    return await log.close(100), written


async def test_pruning_under_load_takes_nothing_that_a_writer_needs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two proxies repeat the same few conversations, over and over, while what they wrote just goes again."""
    monkeypatch.setattr(prune.Choice, "until", lambda self, moment: now() + DAY)
    monkeypatch.setattr(orphans, "CHUNK", 7)
    monkeypatch.setattr(prune, "BATCH_EXCHANGES", 5)
    schema.upgrade(database_url)
    over, failures, counts = threading.Event(), list[BaseException](), list[int]()

    def prune_on() -> None:
        try:
            while not over.is_set():
                counts.append(pruned(database_url, until=now()).exchanges)
        except BaseException as error:
            failures.append(error)

    pruners = [threading.Thread(target=prune_on) for _ in range(2)]
    for thread in pruners:
        thread.start()
    outcomes = await asyncio.gather(*(asyncio.to_thread(asyncio.run, write_again(database_url)) for _ in range(2)))
    over.set()
    for thread in pruners:
        await asyncio.to_thread(thread.join)
    assert failures == []
    assert [lost for lost, _ in outcomes] == [[], []]
    assert sum(counts) > 0
    left = set(await ids_of(database_url))
    for records in (records for _, written in outcomes for records in written):
        if records[0].id in left:
            assert (await detail_of(database_url, records[0].id)).comms == tuple(records[1:3])
    monkeypatch.undo()
    monkeypatch.setattr(prune.Choice, "until", lambda self, moment: now() + DAY)
    pruned(database_url, until=now())
    assert count_in(database_url, *EVERY, "message_blob") == {}


def test_a_stop_ends_it_between_two_pieces(sqlite_url: str) -> None:
    schema.upgrade(sqlite_url)
    stop = threading.Event()
    stop.set()
    asyncio.run(remember(sqlite_url, aged(whole_exchange(), 40)))
    with opened(parse(sqlite_url)) as engine:
        assert Pruner(engine, Plan(until=now()), Pace(stop=stop)).run().exchanges == 0


def test_one_run_takes_no_more_than_it_is_told(sqlite_url: str) -> None:
    asyncio.run(remember(sqlite_url, *(aged(whole_exchange(), 40) for _ in range(7))))
    assert pruned(sqlite_url, until=now(), most=3).exchanges == 3


async def test_a_writers_second_try_is_disturbed_by_no_collector(database_url: str) -> None:
    """The first failed because a collector was quicker; another one must not be again."""
    schema.upgrade(database_url)
    tried = list[str]()
    with Writer(parse(database_url)) as writer:
        writer.write(exchange({"messages": [user("One.")]}))
        execute(database_url, "DELETE FROM comm", "DELETE FROM thread", "DELETE FROM message")
        write = writer._threads.write

        def write_slowly(connection: Connection, comms: Iterable[Comm]) -> dict[str, Any]:
            tried.append(collector_gets_in(database_url))
            return write(connection, comms)

        writer._threads.write = write_slowly
        writer.write(exchange({"messages": [user("One."), says("Two.")]}))
    assert tried == ["in", "kept out"]


def collector_gets_in(url: str) -> str:
    engine = writer_engine(parse(url), busy_seconds=0.01)
    if url.startswith("postgresql"):
        event.listen(engine, "connect", lambda driver, _: driver.execute("SET lock_timeout = '10ms'"))
    try:
        with collecting(engine):
            return "in"
    except OperationalError:
        return "kept out"
    finally:
        engine.dispose()


async def test_what_retention_removed_and_an_archive_gave_back_verifies(database_url: str, tmp_path: Path) -> None:
    exchanges = [aged(exchange({"messages": [user(noise(n))]}), 40 - n) for n in range(6)]
    await remember(database_url, *exchanges)
    done = pruned(database_url, until=now() - 36.5 * DAY, archive=tmp_path)
    assert (done.exchanges, verify(database_url).found) == (4, 0)
    restore(database_url, done.archives[0])
    assert len(await ids_of(database_url)) == 6
    assert [one.sentence for one in verify(database_url).findings] == []
    execute(database_url, "UPDATE exchange SET model = 'another' WHERE model <> ''")
    assert verify(database_url).found == 6
