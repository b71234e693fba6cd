from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.events import Usage
from lockgate.records import ExchangeRow, Record
from lockgate.storage import meter, schema
from lockgate.storage.address import parse
from lockgate.storage.meter import Meter
from lockgate.storage.queries import Queries
from lockgate.storage.writer import Writer
from tests.storage.records import comm, exchange_row

ENDPOINT = "POST /v1/chat/completions"
REQUEST = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello world"}]}
REPLY = {
    **{"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-5"},
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello world again"}}
    ],
}


def uncounted(**changes: Any) -> ExchangeRow:
    values = {"usage": None, "host": "api.openai.com", "model": "gpt-5", "endpoint": ENDPOINT, "outcome": "passed"}
    return exchange_row(**(values | changes))


def request_of(row: ExchangeRow, content: Any = REQUEST, **changes: Any) -> Record:
    return comm(row.id, endpoint=ENDPOINT, content=json.dumps(content).encode(), **changes)


def reply_of(row: ExchangeRow, content: Any = REPLY) -> Record:
    return request_of(row, content, type="RESPONSE")


def only_row(records: list[Record]) -> ExchangeRow:
    (row,) = (record for record in records if isinstance(record, ExchangeRow))
    return row


def test_the_providers_count_stands_and_costs() -> None:
    row = exchange_row(model="claude-haiku-4-5", counted_by="none")
    metered = only_row(Meter().completed([row]))
    assert (metered.usage, metered.counted_by) == (row.usage, "provider")
    assert metered.cost_nano_usd == 10_000 + 20 * 5_000 + 30 * 100 + 40 * 1_250


def test_what_the_provider_does_not_count_is_counted() -> None:
    """Over two batches, as exchanges that last come."""
    row, counting = uncounted(), Meter()
    begun = uncounted(id=row.id, outcome="open")
    assert only_row(counting.completed([begun, request_of(row)])).usage is None
    metered = only_row(counting.completed([row, reply_of(row)]))
    assert metered.usage is not None
    assert (metered.usage.input_tokens, metered.usage.output_tokens, metered.counted_by) == (2, 3, "tiktoken")
    assert metered.cost_nano_usd == 2 * 1_250 + 3 * 10_000


@pytest.mark.parametrize(
    "changes",
    [{"outcome": "refused"}, {"outcome": "error"}, {"outcome": "open"}, {"kind": "other"}, {"trigger": "judge"}],
)
def test_what_took_no_tokens_is_not_counted(changes: Any) -> None:
    row = uncounted(**changes)
    metered = only_row(Meter().completed([row, request_of(row), reply_of(row)]))
    assert (metered.usage, metered.counted_by, metered.cost_nano_usd) == (None, "none", None)


def test_what_cannot_be_read_is_not_counted() -> None:
    row = uncounted()
    assert only_row(Meter().completed([row, request_of(row, [1])])) == row


def test_a_reply_that_never_came_counts_the_request() -> None:
    row = uncounted(outcome="gone")
    metered = only_row(Meter().completed([row, request_of(row)]))
    assert metered.usage is not None
    assert (metered.usage.input_tokens, metered.usage.output_tokens) == (2, 0)


def test_counting_twice_is_the_same_until_it_is_written() -> None:
    row, counting = uncounted(), Meter()
    batch = [row, request_of(row), reply_of(row)]
    assert counting.completed(batch) == counting.completed(batch)
    counting.forget(batch)
    assert only_row(counting.completed([row])).usage is None


def test_open_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "OPEN_BYTES", 200)
    rows, counting = [uncounted() for _ in range(5)], Meter()
    for row in rows:
        counting.completed([request_of(row)])
    counts = [only_row(counting.completed([row])).counted_by for row in rows]
    assert counts == ["none"] * 3 + ["tiktoken"] * 2
    assert counting._open_bytes <= 200


def test_ones_own_prices_count(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(
        "prices: [{models: [claude-x], input: 1, output: 1, cache_read: 1, cache_write: 1, date: 2026-01-01}]"
    )
    assert only_row(Meter(file).completed([exchange_row()])).cost_nano_usd == 100_000
    assert only_row(Meter().completed([exchange_row()])).cost_nano_usd is None


async def test_a_count_stays_when_its_exchange_is_written_again(database_url: str) -> None:
    """As a spill that is read twice does it, by a writer that never saw the request."""
    schema.upgrade(database_url)
    row = uncounted()
    for batch in ([row, request_of(row), reply_of(row)], [row]):
        with Writer(parse(database_url)) as writer:
            writer.write(batch)
    async with Queries(database_url) as queries:
        (found,) = await queries.exchanges()
    assert (found.usage, found.counted_by) == (Usage(input_tokens=2, output_tokens=3), "tiktoken")
    assert found.cost_nano_usd == 2 * 1_250 + 3 * 10_000
