"""What operators stop in the console is stopped on every proxy, until it is lifted or has passed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admin.desks import Office


async def test_a_stop_is_made_listed_and_lifted(here: Office) -> None:
    async with here.client(here.hire("oda", "operator")) as client:
        given = {"scope": "agent", "target": "claude-*", "reason": "<b>wait</b>", "seconds": 3600}
        made = await client.post("/api/kills", json=given)
        listed = (await client.get("/api/kills")).json()["items"]
        page = await client.get("/stops", headers={"accept": "text/html"})
        lifted = await client.post(f"/api/kills/{made.json()['id']}/lift")
        again = await client.post(f"/api/kills/{made.json()['id']}/lift")
        now = (await client.get("/api/kills")).json()["items"]
        past = (await client.get("/api/kills", params={"past": True})).json()["items"]
    assert (made.status_code, made.json()["set_by"], made.json()["in_force"]) == (201, "oda", True)
    assert listed == [made.json()]
    assert "&lt;b&gt;wait" in page.text
    assert (lifted.status_code, lifted.json()["lifted_by"], again.status_code) == (200, "oda", 404)
    assert (now, [each["in_force"] for each in past]) == ([], [False])
    acts = [(each["act"], each["outcome"]) for each in here.trail.entries]
    assert acts == [("kill.create", "success"), ("kill.lift", "success"), ("kill.lift", "error")]


@pytest.mark.parametrize(
    "given", [{"scope": "all", "target": "x"}, {"scope": "agent"}, {"scope": "agent", "target": " "},
              {"scope": "sky", "target": "x"}, {"scope": "session", "target": "nobody-knows"}],
)  # fmt: skip
async def test_what_cannot_be_stopped_is_said(here: Office, given: dict[str, Any]) -> None:
    async with here.client(here.hire("oda", "operator")) as client:
        assert (await client.post("/api/kills", json=given)).status_code == 422
        assert (await client.get("/api/kills")).json()["items"] == []


async def test_viewers_stop_nothing(here: Office) -> None:
    async with here.client(here.hire("vera", "viewer")) as client:
        assert (await client.post("/api/kills", json={"scope": "all"})).status_code == 403
