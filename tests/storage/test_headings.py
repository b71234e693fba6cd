"""Headers once: what a list costs that was there before, and how it comes back."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.headings import whole
from lockgate.storage.queries import Queries
from lockgate.storage.writer import Writer
from tests.storage.records import comm, exchange_row
from tests.storage.test_schema import execute

FIRST = tuple((f"name-{number}", f"value {number}") for number in range(10))


def changed(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, values.get(name.replace("-", "_"), value)) for name, value in FIRST)


LISTS: list[list[Any]] = [
    [FIRST, FIRST],
    [FIRST, changed(name_3="x", name_9="\x00\ud800")],
    [FIRST, tuple((name, "all others") for name, _ in FIRST), FIRST],
    [FIRST, FIRST[1:], (*FIRST, FIRST[0])],
    [FIRST[:3], FIRST[:3], ()],
    [(("\ud800", "\x00"), *FIRST)] * 2,
]
HEADINGS = [1, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(("lists", "headings"), list(zip(LISTS, HEADINGS, strict=True)))
async def test_headers_come_back_and_stand_once(database_url: str, lists: list[Any], headings: int) -> None:
    schema.upgrade(database_url)
    written = [(exchange_row(), headers) for headers in lists]
    records = [[row, comm(row.id, headers=headers)] for row, headers in written]
    with Writer(parse(database_url)) as writer:
        for batch in records:
            writer.write(batch)
    async with Queries(database_url) as queries:
        for (row, headers), batch in zip(written, records, strict=True):
            detail = await queries.exchange(row.id)
            assert detail
            assert detail.comms == (batch[1],)
            assert detail.comms[0].headers == headers
        assert len(await queries._rows(_all_headings())) == headings


def _all_headings() -> Any:
    from sqlalchemy import select

    from lockgate.storage.content_models import HeadingModel

    return select(HeadingModel.hash)


async def test_what_others_deleted_is_written_again(database_url: str) -> None:
    schema.upgrade(database_url)
    first, second = exchange_row(), exchange_row()
    with Writer(parse(database_url)) as writer:
        writer.write([first, comm(first.id, headers=FIRST)])
        execute(database_url, "DELETE FROM comm", "DELETE FROM heading")
        writer.write([second, comm(second.id, headers=FIRST)])
    async with Queries(database_url) as queries:
        detail = await queries.exchange(second.id)
    assert detail
    assert detail.comms[0].headers == FIRST


def test_a_list_without_a_heading_is_whole() -> None:
    assert whole(None, [["a", "b"]]) == (("a", "b"),)
