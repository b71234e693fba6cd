"""A request as a command: runnable, without a credential, and without a word that the shell reads."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from lockgate.errors import Error
from lockgate.storage import schema
from lockgate.storage.answers import ExchangeDetail
from lockgate.storage.curl import curl
from lockgate.storage.queries import Queries
from tests.storage.logs import remember
from tests.storage.records import exchange_row, whole_exchange


async def test_a_command_holds_no_credential_and_nothing_that_a_shell_reads(sqlite_url: str):
    records = whole_exchange(endpoint="POST /v1/messages")
    body = json.dumps({"text": "'; rm -rf ~; $(id) `id` \x1b[31m \u202e !! \\"}).encode()
    headers = (("X-Api-Key", "sk-1"), ("x-goog-api-key", "sk-2"), ("cookie", "sk-3"), ("authorization", "sk-4"),
               ("accept", "$(id) 'x'"), ("x-odd", "a\u202eb"))  # fmt: skip
    found: Any = records[1]
    records[1] = replace(found, content=body, headers=headers, arguments={"key": ["sk-5"], "beta": ["true"]})
    schema.upgrade(sqlite_url)
    await remember(sqlite_url, records)
    async with Queries(sqlite_url) as log:
        detail = await log.exchange(records[0].id)  # pyright: ignore[reportAttributeAccessIssue]
    assert detail
    text = curl(detail)
    assert "sk-" not in text
    assert text.isascii()
    assert "\x1b" not in text
    words = shlex.split(text.replace("\\\n", " "))
    assert json.loads(words[words.index("--data-raw") + 1]) == json.loads(body)
    assert [word for word in words if "API_KEY" in word] == ["x-api-key: $API_KEY"]


def test_without_a_request_there_is_no_command():
    with pytest.raises(Error, match="was not recorded"):
        curl(ExchangeDetail(exchange=exchange_row(), comms=(), relations=(), decisions=()))
