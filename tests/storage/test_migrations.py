"""A log of an older Lockgate, brought up to date, says and finds what it did."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib

from alembic import command

from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.engine import writer_engine
from lockgate.storage.migrations.run import alembic_config
from lockgate.storage.packing import unpack
from lockgate.storage.queries import Queries
from tests.storage.logs import detail_of, remember
from tests.storage.records import comm, exchange_row
from tests.storage.test_schema import execute
from tests.storage.test_search import exchange, text

OFTEN = " ".join(f"tick tock{number}" for number in range(300)) + " tick the end"
"""A vector of PostgreSQL keeps 255 places of a word."""


def downgrade(url: str, to: str) -> None:
    engine = writer_engine(parse(url))
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), to)
    engine.dispose()


async def test_what_0006_indexed_is_found(database_url: str) -> None:
    schema.upgrade(database_url)
    earlier = exchange("Touch the Marker in /tmp/a_b.txt", text("Grüße: it's done"))
    await remember(database_url, [*earlier, *exchange(OFTEN, text("!"))])
    downgrade(database_url, "0006")
    assert schema.upgrade(database_url) == "0006"
    await remember(database_url, exchange("the marker again", text("x")))
    async with Queries(database_url) as log:
        found = {search: len(await log.search(search)) for search in (
            "marker", '"the marker"', '"marker the"', "tmp/a_b", "grüß*", "it's", '"tick tock299"', '"tock299 the"',
        )}  # fmt: skip
    assert found == {
        **{"marker": 2, '"the marker"': 2, '"marker the"': 0, "tmp/a_b": 1, "grüß*": 1, "it's": 1},
        **{'"tick tock299"': int(database_url.startswith("sqlite")), '"tock299 the"': 0},
    }


async def test_what_0006_packed_is_read(sqlite_url: str) -> None:
    """Without the dictionary of today."""
    schema.upgrade(sqlite_url)
    row = exchange_row(endpoint="POST /v1/messages")
    content = b'{"messages":[{"role":"user","content":"' + b"word " * 100 + b'"}],"model":"m"}'
    await remember(sqlite_url, [row, comm(row.id, endpoint="POST /v1/messages", content=content)])
    with contextlib.closing(sqlite3.connect(parse(sqlite_url).path)) as connection:
        ((stored,),) = connection.execute("SELECT content FROM message").fetchall()
    execute(sqlite_url, f"UPDATE message SET content = x'{zlib.compress(unpack(stored)).hex()}'")
    detail = await detail_of(sqlite_url, row.id)
    assert [one.content for one in detail.comms] == [content]
