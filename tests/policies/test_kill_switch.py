"""Which exchanges a kill means."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from lockgate.exchange import Exchange, Ports
from lockgate.policies import kill_switch
from lockgate.policies.kill_switch import KillSwitch, described, refusal
from lockgate.policies.ledger import all_keys
from lockgate.records import Kill, KillScope, SessionRow
from lockgate.wire.anthropic import FORMAT

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BODY = b'{"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}'


def exchange(id: str = "s-1", marker: str = "m-1", parent: str = "", **more: Any) -> Exchange:
    row = SessionRow(id=id, started_at=NOW, marker=marker, parent_id=parent)
    known = {"host": "api.anthropic.com", "agent": "claude-code", "project": "red", "token": "t-1", **more}
    return Exchange(
        provider="anthropic", format="anthropic", endpoint="/v1/messages", request=FORMAT.read_request(BODY),
        ports=cast(Ports, None), session_id=id, session=row, **known,
    )  # fmt: skip


def switch(*kills: Kill, at: datetime = NOW) -> KillSwitch:
    made = KillSwitch(lambda: at)
    made.replace(kills)
    return made


@pytest.mark.parametrize(("scope", "target", "is_meant"), [
    ("session", "s-1", True), ("session", "m-1", True), ("session", "s", False),
    ("agent", "claude-code", True), ("agent", "CLAUDE-*", True), ("agent", "codex", False),
    ("model", "claude-opus-5", True), ("model", "claude-*", True), ("model", "opus", False), ("model", "gpt-*", False),
    ("host", "api.anthropic.com", True), ("host", "*.anthropic.com", True), ("host", "anthropic.com", False),
    ("project", "red", True), ("project", "re*", False), ("token", "t-1", True), ("token", "t-2", False),
    ("all", "", True),
])  # fmt: skip
def test_each_scope_means_what_it_names(scope: KillScope, target: str, is_meant: bool) -> None:
    kill = Kill(scope=scope, target=target)
    assert switch(kill).stops(exchange()) == (kill if is_meant else None)
    assert switch().stops(exchange()) is None


def test_what_is_not_known_is_meant_by_no_name() -> None:
    kills = [Kill(scope=scope, target=target) for scope in ("project", "token", "session") for target in ("", "x")]
    unknown = exchange(id="", marker="", project="", token="", agent="")
    assert switch(*kills, Kill(scope="agent", target="*")).stops(unknown) is None


def test_a_model_that_rules_chose_counts_and_so_does_the_one_asked_for() -> None:
    both = switch(Kill(scope="model", target="claude-opus-5")), switch(Kill(scope="model", target="gpt-9"))
    assert [bool(each.stops(exchange(), "gpt-9")) for each in both] == [True, True]
    assert both[1].stops(exchange()) is None


def test_a_kill_passes() -> None:
    kill = Kill(scope="all", until=NOW + timedelta(seconds=1))
    assert switch(kill).stops(exchange()) is kill
    assert switch(kill, at=NOW + timedelta(seconds=1)).stops(exchange()) is None
    assert switch(dataclasses.replace(kill, lifted_at=NOW)).stops(exchange()) is None


def test_the_longer_of_two_kills_counts() -> None:
    short = Kill(scope="session", target="s-1", until=NOW - timedelta(seconds=1))
    forever = Kill(scope="session", target="s-1")
    assert switch(short, forever).stops(exchange()) is forever
    assert switch(forever, short).stops(exchange()) is forever


def test_what_comes_of_a_session_is_stopped_with_it() -> None:
    stopped = switch(Kill(scope="session", target="s-1"))
    assert stopped.stops(exchange("s-2", "m-2")) is None
    assert stopped.stops(exchange("s-2", "m-2", parent="s-1"))
    assert stopped.stops(exchange("s-3", "m-3", parent="s-2")), "a sub-agent's own sub-agent"
    assert stopped.stops(exchange("s-4", "m-2")), "the name was learnt"
    stopped.replace([Kill(scope="session", target="other")])
    assert stopped.stops(exchange("s-3", "m-3", parent="s-2")) is None


def test_the_first_words_of_a_session_name_it_only_where_a_rule_said_so() -> None:
    by_hand, by_rule = Kill(scope="session", target="s-1"), Kill(scope="session", names=tuple(all_keys(exchange())))
    again = exchange("s-9", "")
    assert switch(by_hand).stops(exchange())
    assert switch(by_hand).stops(again) is None
    assert switch(by_rule).stops(again) is by_rule
    assert switch(by_rule).stops(exchange("s-9", "m-9")) is None, "another session of an agent that names them"


def test_the_exchange_in_which_a_rule_ends_its_session_goes_on() -> None:
    stopped, ending = switch(Kill(scope="all")), exchange()
    stopped.spare(ending.id)
    assert stopped.stops(ending) is None
    assert stopped.stops(exchange())


def test_names_that_are_learnt_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_switch, "LEARNT", 2)
    monkeypatch.setattr(kill_switch, "SPARED", 1)
    stopped = switch(Kill(scope="session", target="s-1"))
    for number in range(5):
        assert stopped.stops(exchange(f"c-{number}", "", parent="s-1"))
    assert stopped.stops(exchange("c-4", ""))
    assert stopped.stops(exchange("c-0", "")) is None
    one, other = exchange("s-1"), exchange("s-1")
    stopped.spare(one.id)
    stopped.spare(other.id)
    assert (stopped.stops(one) is not None, stopped.stops(other)) == (True, None)


def test_the_client_is_told_who_why_and_until_when() -> None:
    kill = Kill(scope="agent", target="codex", set_by="ana", reason="Gone mad.\x1b", until=NOW)
    said = str(refusal(kill))
    assert said.startswith("Blocked by the Lockgate rule kill_switch: an operator of Lockgate stopped this agent until")
    assert "2026-11-21 12:00 UTC" in said
    assert "The reason given: Gone mad" in said
    assert "\x1b" not in said
    assert "ana" not in said
    assert "reason" not in str(refusal(Kill(scope="all")))
    assert described(kill).startswith(f"kill {kill.id}: agent codex, by ana, until 2026-11-21 12:00:00 UTC: Gone mad.")
