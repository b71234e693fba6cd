"""Answers are compressed for who takes that, and tell nothing by their length; streams are not."""

from __future__ import annotations

import re

import pytest

from lockgate.admin.answering import takes_gzip
from lockgate.admin.identity import CSRF_HEADER
from tests.admin.desks import PASSWORD, Office
from tests.storage.logs import remember
from tests.storage.records import exchange_row

TOKEN = re.compile('name="csrf-token" content="([0-9a-f]+)"')


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True), ("br, GZIP;q=0.5", True), ("gzip; q=1.0", True), ("gzip;q=0.001", True), ("", False),
        ("br", False), ("gzip;q=0", False), ("br;q=1, gzip; q=0.000", False), ("x-gzip", False),
    ],
)  # fmt: skip
def test_what_a_client_takes(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


@pytest.mark.parametrize("path", ["/", "/exchanges", "/api/exchanges", "/nowhere", "/static/lockgate.css"])
async def test_pages_and_lists_are_compressed_for_who_takes_it(here: Office, path: str) -> None:
    await remember(here.url, [exchange_row() for _ in range(5)])
    async with here.client(here.hire("vera", "viewer"), accept="text/html") as client:
        packed = await client.get(path, headers={"accept-encoding": "gzip"})
        plain = await client.get(path, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < len(plain.content) == int(plain.headers["content-length"])
    assert TOKEN.sub("", packed.text) == TOKEN.sub("", plain.text)


async def test_the_same_list_has_one_tag_compressed_or_not(here: Office) -> None:
    await remember(here.url, [exchange_row() for _ in range(5)])
    async with here.client(here.hire("vera", "viewer")) as client:
        packed = await client.get("/api/exchanges", headers={"accept-encoding": "gzip"})
        given = {"accept-encoding": "identity", "if-none-match": packed.headers["etag"]}
        assert (await client.get("/api/exchanges", headers=given)).status_code == 304


async def test_a_page_never_says_its_token_twice_in_the_same_way(here: Office) -> None:
    here.hire("ada", "admin", password=PASSWORD)
    async with here.client(accept="text/html") as client:
        await client.post("/api/session", json={"name": "ada", "password": PASSWORD})
        tokens = [found[1] for _ in range(3) if (found := TOKEN.search((await client.get("/exchanges?q=x")).text))]
        halves = {token[at : at + 64] for token in tokens for at in (0, 64)}
        assert len(halves) == 6
        for number, token in enumerate(tokens):
            made = await client.post("/api/projects", json={"name": f"p{number}"}, headers={CSRF_HEADER: token})
            assert made.status_code == 201


async def test_a_stream_is_never_compressed(here: Office) -> None:
    async with here.client(here.hire("vera", "viewer")) as client:
        await here.desk.activity.close()  # so that it ends
        answer = await client.get("/api/activity/stream", headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
