"""Exchanges as clients and models have them, put into a log, and what a database then holds."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import psycopg

from lockgate.records import Record, Relation
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.answers import ExchangeDetail
from lockgate.storage.log import SqlLog
from lockgate.storage.queries import Queries
from tests.storage.records import comm, exchange_row

TABLES = ("message", "thread", "blob")
ENDPOINTS = {
    "anthropic": "POST /v1/messages",
    "openai-chat": "POST /v1/chat/completions",
    "openai-responses": "POST /v1/responses",
}
IMAGE = base64.b64encode(bytes(range(256)) * 20).decode()


def dumps(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def says(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def exchange(request: Any, reply: Any = None, *, format: str = "anthropic", **changes: Any) -> list[Record]:
    """An exchange of one request, and one reply if there was one; either as a document or as bytes."""
    row = exchange_row(endpoint=ENDPOINTS[format], **changes)
    asked = comm(row.id, endpoint=row.endpoint, content=request if isinstance(request, bytes) else dumps(request))
    if reply is None:
        return [row, asked]
    content = reply if isinstance(reply, bytes) else dumps(reply)
    answered = comm(row.id, type="RESPONSE", endpoint=row.endpoint, content=content, status=200)
    joined = Relation(from_comm_id=asked.id, to_comm_id=answered.id, type="request_response")
    return [row, asked, answered, joined]


async def remember(url: str, *exchanges: Sequence[Record]) -> None:
    """A proxy of its own writes these."""
    schema.upgrade(url)
    log = SqlLog(url)
    log.start()
    for records in exchanges:
        log.put(records)
    assert await log.close(60) == []


async def detail_of(url: str, id: str) -> ExchangeDetail:
    async with Queries(url) as queries:
        detail = await queries.exchange(id)
    assert detail is not None
    return detail


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Somebody else at the database, who is bound by no foreign key; gives the rows of the last statement."""
    address = parse(url)
    if address.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(address.path)) as connection:
            for statement in statements[:-1]:
                connection.execute(statement)
            rows = connection.execute(statements[-1]).fetchall()
            connection.commit()
            return rows
    with psycopg.connect(url) as server:
        server.execute("SET session_replication_role = replica")
        for statement in statements[:-1]:
            server.execute(statement.encode())
        cursor = server.execute(statements[-1].encode())
        return cursor.fetchall() if cursor.description else []


def rows_in(url: str) -> tuple[int, ...]:
    """How many messages, nodes and files there are."""
    return tuple(execute(url, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES)
