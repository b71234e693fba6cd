"""The set-up link: once, for a while, and for the first administrator only."""

from __future__ import annotations

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
