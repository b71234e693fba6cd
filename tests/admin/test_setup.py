"""The set-up link: once, for a while, and for the first administrator only."""

from __future__ import annotations

from html import unescape

import pytest

from lockgate.access.keyring import Keyring
from lockgate.access.token import SETUP_PREFIX, make_token
from lockgate.admin.setup import Setup
from tests.admin.desks import PASSWORD, Office


def test_a_link_is_good_once_and_for_a_while():
    now = [0.0]
    setup = Setup(Keyring([b"r" * 32]), seconds=60, clock=lambda: now[0])
    assert not setup.take(make_token(SETUP_PREFIX))
    secret = setup.begin()
    assert secret not in repr(vars(setup))
    assert not setup.take(make_token(SETUP_PREFIX))
    assert [setup.take(secret), setup.take(secret)] == [True, False]
    setup.give_back(secret)
    assert setup.fits(secret)
    now[0] = 61
    assert not setup.take(secret)
    other = setup.begin()
    assert [setup.fits(secret), setup.fits(other)] == [False, True]


async def test_the_first_administrator_is_made_once(anywhere: Office):
    secret = anywhere.desk.setup.begin()
    given = {"token": secret, "name": "ada", "password": PASSWORD}
    async with anywhere.client() as client:
        wrong = await client.post("/api/setup", json=given | {"token": make_token(SETUP_PREFIX)})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "link_used")
        short = await client.post("/api/setup", json=given | {"password": "short"})
        assert short.status_code == 422
        assert "short" not in short.text.replace("too short", "")
        made = await client.post("/api/setup", json=given)
        assert (made.status_code, made.json()["role"]) == (201, "admin")
        assert (await client.get("/api/session")).json()["name"] == "ada"
        assert (await client.post("/api/setup", json=given | {"name": "eve"})).status_code == 403
    assert secret not in repr(anywhere.trail.entries)
    assert anywhere.trail.acts[-2] == ("ada", "setup", "success")


async def test_a_link_is_of_no_use_where_there_is_somebody(here: Office):
    here.hire("ada", "admin")
    given = {"token": here.desk.setup.begin(), "name": "eve", "password": PASSWORD}
    async with here.client() as client:
        assert (await client.post("/api/setup", json=given)).status_code == 409


async def test_the_page_of_the_link(here: Office):
    secret = here.desk.setup.begin()
    async with here.client(origin="http://127.0.0.1:8081") as client:
        page = await client.get("/setup", params={"token": secret})
        assert (page.status_code, "<form" in page.text) == (200, True)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        given = {"token": secret, "name": '"><script>', "password": PASSWORD}
        refused = await client.post("/setup", data=given)
        assert (refused.status_code, "<script>" in refused.text) == (422, False)
        assert "<script>" in unescape(refused.text)
        assert PASSWORD not in refused.text
        made = await client.post("/setup", data=given | {"name": "ada"})
        assert made.status_code == 201
        assert (await client.get("/setup", params={"token": secret})).status_code == 403
        assert (await client.post("/setup", data=given)).status_code == 403
    assert [outcome for _, _, outcome in here.trail.acts] == ["error", "success", "denied", "denied"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a=1&" * 100, b"token=%00&name=%ff"])
async def test_a_form_that_is_none(here: Office, body: bytes):
    async with here.client() as client:
        assert (await client.post("/setup", content=body)).status_code in (403, 422)
