"""What is stopped, in both databases."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from lockgate.access.keyring import Keyring
from lockgate.errors import Error, Missing, StorageError
from lockgate.records import Kill, SessionRow, now
from lockgate.storage import kills as kills_module
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.early_kills import has_any
from lockgate.storage.kills import Kills
from lockgate.storage.signals import KILLS, Signals
from tests.storage.logs import remember
from tests.storage.records import exchange_row
from tests.upstream.waiting import soon

ODD = "\x00 \ud800 'DROP TABLE kill; --"


@pytest.fixture
def url(database_url: str) -> str:
    schema.upgrade(database_url)
    return database_url


def test_a_kill_comes_back_as_it_was_set(url: str) -> None:
    first = Kill(scope="session", target=ODD, names=("s-1", ODD), set_by=ODD, reason=ODD)
    second = Kill(scope="all", set_by="ana", until=now() + timedelta(hours=1))
    with Kills(url) as kills:
        assert not has_any(url)
        kills.add(first)
        kills.add(second)
        assert kills.in_force() == [second, first]
        assert has_any(url)


def test_what_has_passed_or_was_lifted_is_only_remembered(url: str) -> None:
    past = Kill(scope="all", until=now() - timedelta(seconds=1))
    lifted, stands = Kill(scope="agent", target="codex"), Kill(scope="host", target="a.example")
    with Kills(url) as kills:
        for kill in (past, lifted, stands):
            kills.add(kill)
        assert kills.lift(lifted.id[-8:].upper(), by="bob") == lifted
        assert kills.in_force() == [stands]
        after = {kill.id: kill for kill in kills.every()}
    assert (after[lifted.id].lifted_by, after[past.id], after[stands.id]) == ("bob", past, stands)
    assert after[lifted.id].lifted_at is not None
    assert not after[lifted.id].holds(now())


def test_what_rules_set_goes_some_time_after_it_has_passed(url: str) -> None:
    past = now() - kills_module.KEPT - timedelta(days=1)
    by_rule, by_hand = (Kill(scope="session", target="s", set_by=by, until=past) for by in ("rule protocol", "ana"))
    last = Kill(scope="all")
    with Kills(url) as kills:
        for kill in (by_rule, by_hand, last):
            kills.add(kill)
        assert kills.every() == [last, by_hand]


def test_the_beginning_of_an_id_is_enough_where_no_other_has_it(url: str) -> None:
    kill = Kill(scope="all")
    twin = dataclasses.replace(kill, id=kill.id[:-1] + ("0" if kill.id[-1] != "0" else "1"))
    with Kills(url) as kills:
        kills.add(kill)
        kills.add(twin)
        with pytest.raises(Error, match="more than one kill in force has the id"):
            kills.lift(kill.id[:20], by="")
        assert kills.lift(kill.id, by="") == kill
        assert kills.lift(kill.id[:8], by="") == twin
        for id in (kill.id, "", "nothing"):
            with pytest.raises(Error, match="no kill in force has the id"):
                kills.lift(id, by="")


def test_no_more_are_in_force_than_proxies_keep(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills_module, "MOST", 2)
    with Kills(url) as kills:
        for _ in range(2):
            kills.add(Kill(scope="all"))
        with pytest.raises(Error, match="2 kills are in force, which is the most"):
            kills.add(Kill(scope="all"))


def test_what_cannot_be_asked_says_so(sqlite_url: str) -> None:
    with pytest.raises(StorageError, match="there is no log yet"), Kills(sqlite_url):
        pass
    with pytest.raises(StorageError, match="cannot open database"):
        has_any(sqlite_url)


def session(id: str, marker: str = "", parent: str = "") -> SessionRow:
    return SessionRow(id=id, started_at=now(), marker=marker, parent_id=parent)


async def test_a_session_is_named_by_any_of_its_names(url: str) -> None:
    rows = [
        session("aaaaaaaa-1111", "m-1"), session("aaaaaaaa-2222", "m-2", "aaaaaaaa-1111"),
        session("bbbbbbbb-3333", "m-1/agent", "aaaaaaaa-2222"), session("cccccccc-4444"),
        session("dddddddd-5555", "", "dddddddd-5555"),
    ]  # fmt: skip
    await remember(url, [exchange_row(), *rows])
    with Kills(url) as kills:
        whole = ("aaaaaaaa-1111", ("aaaaaaaa-1111", "m-1", "aaaaaaaa-2222", "m-2", "bbbbbbbb-3333", "m-1/agent"))
        for name in ("aaaaaaaa-1111", "m-1", "aaaa-1111", "AAAAAAAA-11"):
            assert kills.session(name) == whole, name
        assert kills.session("cccccccc") == ("cccccccc-4444", ("cccccccc-4444",))
        assert kills.session("dddddddd-5555") == ("dddddddd-5555", ("dddddddd-5555",)), "a circle that others made"
        with pytest.raises(Error, match="2 sessions have ids that begin or end with 'aaaaaaaa'"):
            kills.session("aaaaaaaa")
        for unknown in ("", "aaaa", "m-9", "%", "aaaaaaaa_1111"):
            with pytest.raises(Error, match="no session is called"):
                kills.session(unknown)


async def test_whoever_watches_hears_of_each_change(url: str) -> None:
    heard: asyncio.Queue[list[Kill]] = asyncio.Queue()
    with Kills(url) as kills, Kills(url) as other:
        signals = Signals(url)
        signals.watch(KILLS, lambda: heard.put_nowait(list(kills.in_force())))
        signals.start()
        assert await soon(heard.get()) == []
        kill = Kill(scope="all")
        await asyncio.to_thread(other.add, kill)
        while await soon(heard.get()) != [kill]:
            pass
        await asyncio.to_thread(other.lift, kill.id, "ana")
        while await soon(heard.get()) != []:
            pass
        await signals.close()


def test_projects_and_tokens_are_stopped_by_what_they_are_called(url: str) -> None:
    with Access(url, Keyring([b"k" * 32])) as access:
        access.create_project("shop")
        _, token = access.create_token("shop", lifetime=timedelta(hours=1))
    with Kills(url) as kills:
        assert kills.stop(Kill(scope="token", target=token.id[-8:])).target == token.id
        assert kills.stop(Kill(scope="project", target="shop")).target == "shop"
        with pytest.raises(Missing, match="no token is called 'nope'"):
            kills.stop(Kill(scope="token", target="nope"))
        with pytest.raises(Missing, match="no project is called 'nope'"):
            kills.stop(Kill(scope="project", target="nope"))
        assert len(kills.in_force()) == 2
