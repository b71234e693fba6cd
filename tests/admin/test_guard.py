"""What passes before any route sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockgate.admin import guard
from tests.admin.desks import PASSWORD, Office, office


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8081", 401), ("localhost", 401), ("[::1]:8081", 401), ("10.1.2.3", 401), ("LOCALHOST:1", 401),
        ("admin.example.com", 401), ("admin.example.com:444", 401), ("evil.example", 421), ("", 421),
        ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421), ("evil.example:127", 421), ("[", 421),
    ],
)  # fmt: skip
async def test_the_host_is_one_that_is_known(sqlite_url: str, tmp_path: Path, host: str, status: int):
    async with office(sqlite_url, tmp_path, hosts=["admin.example.com"]) as opened, opened.client(host=host) as client:
        assert (await client.get("/api/projects")).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"origin": "http://127.0.0.1:8081"}, 401),
        ({"origin": "http://127.0.0.1:8081", "sec-fetch-site": "same-origin"}, 401),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://evil.example/127.0.0.1:8081"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_pages_of_other_origins_change_nothing(here: Office, headers: dict[str, str], status: int):
    async with here.client(**headers) as client:
        given = {"name": "ada", "password": PASSWORD}
        answer = await client.post("/api/session", json=given)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == ("cross_origin" if status == 403 else "unauthorized")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("PUT", "/api/projects", 405, "method_not_allowed"),
        ("GET", "/api/projects/", 404, "not_found"),
        ("GET", "/api/projects/not-an-id", 422, "unfit"),
        ("GET", "/api/projects/019368a0-0000-7000-8000-000000000000", 404, "not_found"),
        ("POST", "/api/projects", 422, "unfit"),
    ],
)
async def test_every_error_has_the_same_shape(here: Office, method: str, path: str, status: int, code: str):
    async with here.client(here.hire("ada", "admin")) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "fields"}
    assert {name: answer.headers[name] for name in guard.HEADERS} == guard.HEADERS


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"name": ' + b"1" * 5000 + b"}", b"[" * 20_000, b'"\\ud800"'])
async def test_a_body_that_is_no_json(here: Office, content: bytes):
    async with here.client(here.hire("ada", "admin"), **{"content-type": "application/json"}) as client:
        answer = await client.post("/api/projects", content=content)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] in ("malformed", "unfit")


async def test_a_form_is_no_json(here: Office):
    async with here.client(here.hire("ada", "admin")) as client:
        sent: dict[str, Any] = {"content": b'{"name": "shop"}', "headers": {"content-type": "text/plain"}}
        assert (await client.post("/api/projects", **sent)).status_code == 422


async def test_what_nobody_expected_is_told_without_words_of_its_own(
    here: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("sk-secret")

    monkeypatch.setattr(here.desk.log, "costs", broken)
    async with here.client(here.hire("ada", "admin")) as client:
        answer = await client.get("/api/usage")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "failed")
    assert "RuntimeError in" in caplog.text
    assert "sk-secret" not in caplog.text + answer.text


async def test_a_database_that_is_away_is_told(here: Office, caplog: pytest.LogCaptureFixture):
    here.hire("ada", "admin")
    here.lose_database()
    async with here.client("lga_" + "a" * 38) as client:
        assert (await client.get("/api/projects")).status_code == 401
        answer = await client.post("/api/session", json={"name": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "sqlite" not in answer.text
