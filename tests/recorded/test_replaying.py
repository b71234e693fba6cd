"""Recorded sessions in the log: given back as they were sent, at a price for what is new; and through a real proxy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from lockgate.addons.identify import marks_of
from lockgate.bench.storing import database_bytes
from lockgate.records import new_id
from lockgate.storage.address import parse
from lockgate.storage.answers import ExchangeDetail, Filter
from lockgate.storage.queries import Queries
from lockgate.storage.schema import upgrade
from lockgate.storage.writer import Writer
from tests.recorded.recordings import Exchange, Recording
from tests.recorded.replaying import records, replayer, said
from tests.storage.talks import rows_in
from tests.upstream.proxied import Tls

MESSAGES_PER_TURN = 14
"""The most that is new in a turn: the echo of a reply, results, what the client adds, and the next reply."""

type Record = Callable[[str, object], None]


def written(url: str, recording: Recording) -> tuple[dict[str, Exchange], dict[int, int]]:
    """Writes all exchanges; gives them by the ids that they got, and how many messages each was the first to bring."""
    ids: dict[str, Exchange] = {}
    new: dict[int, int] = {}
    with Writer(parse(url)) as writer:
        before, _, _ = rows_in(url)
        for exchange in recording.exchanges:
            id = new_id()
            ids[id] = exchange
            writer.write(records(exchange, id=id))
            after, _, _ = rows_in(url)
            new[exchange.number], before = after - before, after
    return ids, new


def check(detail: ExchangeDetail, exchange: Exchange) -> bool:
    """The request is what was sent; tells whether the log says that its bytes are."""
    [asked] = detail.chain("REQUEST")
    assert asked.content is not None
    assert json.loads(asked.content) == exchange.request
    how = detail.joined[asked.id]
    assert not how.damage
    same = hashlib.sha256(asked.content).digest() == hashlib.sha256(exchange.request_body).digest()
    assert how.as_sent == same
    return same


async def test_the_log_gives_back_what_was_sent(
    database_url: str, recording: Recording, record_property: Record
) -> None:
    upgrade(database_url)
    ids, _ = written(database_url, recording)
    same = 0
    async with Queries(database_url) as log:
        for id, exchange in ids.items():
            detail = await log.exchange(id)
            assert detail is not None
            if exchange.number not in recording.roles:
                assert all(comm.content is None for comm in detail.comms)
                continue
            same += check(detail, exchange)
            [answered] = detail.chain("RESPONSE")
            assert json.loads(answered.content or b"") == json.loads(said(exchange))
    record_property("requests", len(recording.roles))
    record_property("requests_with_the_same_bytes", same)


def test_a_turn_costs_what_is_new_in_it(database_url: str, recording: Recording, record_property: Record) -> None:
    upgrade(database_url)
    empty = database_bytes(parse(database_url))
    _, new = written(database_url, recording)
    starts = {
        min(one.number for one in recording.of("main", run.name)) for run in recording.runs if run.kind == "start"
    }
    compacted = [one.number for one in recording.of("compaction")]
    starts |= {min(n for n, role in recording.roles.items() if n > number and role == "main") for number in compacted}
    costs = [new[one.number] for one in recording.of("main") if one.number not in starts]
    assert max(costs) <= MESSAGES_PER_TURN
    record_property("new_messages_per_turn", costs)
    taken = database_bytes(parse(database_url)) - empty
    _tell_sizes(taken, recording, record_property)


def _tell_sizes(taken: int, recording: Recording, record_property: Record) -> None:
    conversations = [one for one in recording.exchanges if one.number in recording.roles]
    raw = sum(len(one.request_body) + len(one.response_body) for one in conversations)
    by_session: dict[str, int] = {}
    for one in conversations:  # the last request of a session, before it is compacted, is its transcript
        session = marks_of(dict(one.request_headers), {}).session
        by_session[session] = max(by_session.get(session, 0), len(one.request_body))
    record_property("bytes_of_bodies", raw)
    record_property("bytes_of_the_longest_transcripts", sum(by_session.values()))
    record_property("bytes_in_the_database", taken)
    assert taken < raw


async def test_a_real_proxy_passes_it_on_and_remembers_it(
    tmp_path: Path, tls: Tls, recording: Recording, sqlite_url: str
) -> None:
    sent = [one for one in recording.exchanges if one.status != 426]
    async with replayer(tmp_path / "home", tls, sqlite_url) as proxy:
        returned = await proxy.replay(sent)
    assert [(one.status, one.body) for one in returned] == [(one.status, one.response_body) for one in sent]
    conversations = [one for one in sent if one.number in recording.roles]
    async with Queries(sqlite_url) as log:
        rows = await log.exchanges(limit=1000, where=Filter(kind="model"))
        assert len(rows) == len(conversations)
        for row, exchange in zip(reversed(rows), conversations, strict=True):
            detail = await log.exchange(row.id)
            assert detail is not None
            check(detail, exchange)
