"""The audit trail over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from lockgate.access.audit import as_json
from lockgate.access.token import is_token
from lockgate.records import new_id
from lockgate.storage.administrators import Administrators
from lockgate.storage.audit import Book
from tests.admin.desks import RING, Office
from tests.storage.records import START, audit_entry
from tests.storage.test_audit import HOSTILE, entries
from tests.storage.verifying import record


async def test_entries_are_listed_filtered_and_shown(anywhere: Office) -> None:
    every = [audit_entry(subject=f"token {number}", at=START) for number in range(5)]
    refused = audit_entry(act="access.unknown", who="unknown", outcome="denied", count=9, last_at=START + timedelta(1))
    odd = audit_entry(subject=HOSTILE, before='{"a":1}')
    record(anywhere.url, [*every, refused, odd])
    async with anywhere.client(anywhere.hire("vera", "viewer")) as client:

        async def ids(**query: Any) -> list[str]:
            answer = await client.get("/api/audit", params=query)
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        assert await ids() == [one.id for one in (odd, refused, *reversed(every))]
        first = (await client.get("/api/audit", params={"limit": 3})).json()
        assert await ids(limit=3, before=first["next"]) == [every[3].id, every[2].id, every[1].id]
        assert await ids(act="access", outcome="denied", who="unknown", where="local") == [refused.id]
        assert await ids(text=HOSTILE) == await ids(subject=HOSTILE) == [odd.id]
        assert await ids(until=(START + timedelta(hours=1)).isoformat()) == [one.id for one in reversed(every)]
        assert (await client.get(f"/api/audit/{odd.id}")).json() == as_json(odd) | {
            "at": odd.at.isoformat().replace("+00:00", "Z")
        }
        assert (await client.get(f"/api/audit/{new_id()}")).status_code == 404
        for wrong in ("limit=0", "outcome=x", "since=soon", f"before={quote(HOSTILE)}", f"text={'x' * 301}"):
            assert (await client.get(f"/api/audit?{wrong}")).status_code == 422


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_changes_it(here: Office, method: str) -> None:
    async with here.client(here.hire("ada", "admin")) as client:
        assert (await client.request(method, "/api/audit")).status_code == 405


async def test_who_shows_no_key_reads_nothing(here: Office) -> None:
    async with here.client() as client:
        assert (await client.get("/api/audit")).status_code == 401


async def test_administrators_that_the_command_line_makes_are_noted(anywhere: Office) -> None:
    with Administrators(anywhere.url, RING, Book("cli:ada")) as people:
        people.create("olga", "admin", password="$argon2id$hash")
        people.update("olga", password="$argon2id$other")
        secret, made = people.add_key("olga", name="deploy")
        people.remove_key("olga", made.id)
        people.create("vera", "viewer")
        people.remove("vera")
    found = await entries(anywhere.url)
    acts = (".create", ".update", "_key.create", "_key.remove", ".create", ".remove")
    assert [one.act for one in reversed(found)] == [f"administrator{act}" for act in acts]
    assert found[4].after == '{"name":"olga","password":"(not kept)"}'
    assert is_token(secret, "lga_")
    assert not any(one in repr(found) for one in (secret[:12], "argon2id"))
