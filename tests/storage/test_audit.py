"""The audit trail on both databases: kept, sealed, asked, and removed by its own age only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate.access.audit import LogAudit
from lockgate.access.keyring import Keyring
from lockgate.access.refusals import Refusals
from lockgate.config import Retention
from lockgate.errors import AccessError, Error, StorageError
from lockgate.records import AuditEntry, Kill, new_id, now
from lockgate.storage import schema
from lockgate.storage.access import Access
from lockgate.storage.acts import Acts
from lockgate.storage.audit import Book
from lockgate.storage.backup import backup, restore
from lockgate.storage.kills import Kills
from lockgate.storage.log import SqlLog
from lockgate.storage.provider_keys import ProviderKeys
from lockgate.storage.trail import AuditFilter, Trail
from lockgate.storage.upkeep import Upkeep
from lockgate.storage.verify import Wanted, verify
from tests.storage.logs import locked, remember, spilled, until, written
from tests.storage.records import START, audit_entry, whole_exchange
from tests.storage.talks import execute
from tests.storage.test_never_lost import Loaded
from tests.storage.test_prune import pruned
from tests.storage.verifying import KEYS, SIGNER, record

RING = Keyring([b"r" * 32])
DAY = timedelta(days=1)
HOSTILE = '\'; DROP TABLE audit; --<script>alert(1)</script>\x1b]0;x\x07\x1b[2J\r\n\u202e\x00%_\\ {"a":1}'
"""Each field may be somebody else's words."""


@pytest.fixture
def url(database_url: str) -> str:
    schema.upgrade(database_url)
    return database_url


async def entries(url: str, **where: Any) -> list[AuditEntry]:
    async with Trail(url) as trail:
        return await trail.entries(limit=10_000, where=AuditFilter(**where))


def listed(url: str) -> list[AuditEntry]:
    return asyncio.run(entries(url))


def acts(url: str) -> list[tuple[str, str, str]]:
    """The oldest first."""
    return [(one.act, one.outcome, one.subject) for one in reversed(listed(url))]


# Through the log.


async def test_what_a_proxy_notes_goes_the_way_of_all_that_is_logged(
    url: str, tmp_path: Path, start: Callable[..., SqlLog]
) -> None:
    log = start(url, spill=tmp_path)
    noted = {"who": "ada", "where": "10.0.0.1", "act": "token.create", "subject": HOSTILE, "reason": HOSTILE}
    async with locked(url):
        LogAudit(log).note(**noted, outcome="denied", after={HOSTILE: [HOSTILE]})
        log.put(whole_exchange())
        await until(lambda: spilled(tmp_path))
        assert await log.close(drain_seconds=0.05) == []
    assert await start(url, spill=tmp_path).close() == []
    [found] = await entries(url)
    assert {name: getattr(found, name) for name in noted} == noted
    assert HOSTILE[:20] in found.after
    assert verify(url).found == 0


async def test_a_flood_of_refusals_leaves_few_rows_with_the_right_sum(url: str, start: Callable[..., SqlLog]) -> None:
    log = start(url)
    refusals = Refusals(log)
    for number in range(10_000):
        kind = ("unknown", "malformed")[number % 2]
        refusals.note(AccessError("no", kind=kind), where=f"10.0.0.{number % 8}", subject=f"host {number}")
        if number % 1_000 == 0:
            await refusals.write()
            await written(log)
    await refusals.close()
    assert await log.close() == []
    found = await entries(url)
    assert (len(found), sum(one.count for one in found)) == (8, 10_000)
    report = verify(url)
    assert (report.found, report.rows) == (0, 8)


async def test_a_sum_is_as_its_last_seal_says(url: str) -> None:
    first = audit_entry()
    record(url, [first], [replace(first, count=2), replace(first, count=3)])
    record(url, [replace(first, count=9)])  # another process, out of a spill
    assert [one.count for one in await entries(url)] == [9]
    assert verify(url).found == 0
    execute(url, "UPDATE audit SET count = 3")
    assert [one.kind for one in verify(url).findings] == ["changed"]


@pytest.mark.parametrize("column", ["who", '"where"', "act", "subject", "outcome", "reason", "before", "after"])
def test_a_row_that_was_changed_is_named(url: str, column: str) -> None:
    entry = audit_entry(reason="r", before="{}")
    record(url, whole_exchange(), [entry, audit_entry()])
    execute(url, f"UPDATE audit SET {column} = 'x' WHERE id = '{_id(url, entry)}'")
    [finding] = verify(url).findings
    assert (finding.kind, finding.table, finding.id, finding.exchange_id) == ("changed", "audit", entry.id, "")
    assert finding.sentence.startswith(f"audit {entry.id} was changed: it is not what seal 2 of chain 1")


def test_a_row_that_was_removed_is_named(url: str) -> None:
    entry = audit_entry()
    record(url, [*whole_exchange(), entry])
    execute(url, "DELETE FROM audit")
    [finding] = verify(url).findings
    assert finding.sentence == f"audit {entry.id} was removed: seal 1 of chain 1 covers it"


def _id(url: str, entry: AuditEntry) -> str:
    return entry.id.replace("-", "") if url.startswith("sqlite") else entry.id


@pytest.mark.parametrize("fixture", ["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def test_a_proxy_that_is_killed_loses_no_refusal_that_is_older_than_a_second(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Once as usual, and once with a database that is locked."""
    url: str = request.getfixturevalue(fixture)
    schema.upgrade(url)
    for is_away in (False, True):
        before = sum(one.count for one in await entries(url))
        load = Loaded(url, tmp_path / "spill", 1.6, "tests.storage.refusing")
        if is_away:
            await until(lambda load=load: load.ended)
            async with locked(url):
                safe = await asyncio.to_thread(load.safe)
        else:
            safe = await asyncio.to_thread(load.safe)
        log = SqlLog(url, spill=tmp_path / "spill")
        log.start()
        await written(log)
        assert await log.close() == []
        count = sum(one.count for one in await entries(url)) - before
        assert count >= max(map(int, safe)) > 0
        assert verify(url).found == 0


# Beside the proxies.


@pytest.fixture
def book() -> Book:
    return Book("cli:ada")


@pytest.fixture
def access(url: str, book: Book) -> Iterator[Access]:
    with Access(url, RING, book) as access:
        yield access


def test_each_act_is_noted_in_its_own_transaction(access: Access) -> None:
    url = access.address.url
    access.create_project("shop", notes="n")
    access.update_project("shop", active=False)
    secret, made = access.create_token("shop", lifetime=DAY, name="nightly")
    refreshed, _ = access.refresh_token(made.id, lifetime=2 * DAY)
    access.update_token(made.id, request_quota=5)
    access.revoke_token(made.id)
    access.revoke_tokens(project="shop")
    access.clean_up(ended_before=now() + DAY)
    token = f"token {made.id}"
    assert acts(url) == [
        ("project.create", "success", "project shop"),
        ("project.update", "success", "project shop"),
        *(
            (f"token.{act}", "success", token) for act in ("create", "refresh", "update", "revoke")
        ),
        ("token.revoke", "success", "tokens of project shop"),
        ("token.clean", "success", "tokens"),
    ]  # fmt: skip
    found = {one.act: one for one in listed(url) if one.subject == token}
    assert (found["token.update"].before, found["token.update"].after) == (
        '{"name":"nightly","project":"shop"}',
        '{"name":"nightly","project":"shop","request_quota":5}',
    )
    assert '"revoked_at"' in found["token.revoke"].after
    assert {(one.who, one.where) for one in listed(url)} == {("cli:ada", "local")}
    assert not any(one[:11] in repr(listed(url)) for one in (secret, refreshed))
    report = verify(url)
    assert (report.found, report.rows, report.chains) == (0, 8, 8)


def test_keys_and_kills_are_noted(url: str, book: Book) -> None:
    with ProviderKeys(url, RING, book) as keys, Kills(url, book) as kills:
        made = keys.add("anthropic", "sk-ant-api03-" + "k" * 30, name="main")
        keys.set_active(made.id, active=False)
        keys.set_active(made.id, active=True)
        keys.reencrypt()
        keys.remove(made.id)
        kill = Kill(scope="agent", target="claude-code", set_by="ada", reason=HOSTILE)
        kills.add(kill)
        kills.lift(kill.id, "eve")
        with pytest.raises(Error, match="no kill in force"):
            kills.lift(kill.id, "eve")
    assert acts(url) == [
        *((f"key.{act}", "success", f"key {made.id}") for act in ("create", "disable", "enable")),
        ("key.reencrypt", "success", "keys"),
        ("key.remove", "success", f"key {made.id}"),
        ("kill.create", "success", f"kill {kill.id}"),
        ("kill.lift", "success", f"kill {kill.id}"),
        ("kill.lift", "error", f"kill {kill.id}"),
    ]
    assert "kkkkk" not in repr(listed(url))
    assert verify(url).found == 0


def test_an_act_that_fails_is_noted_and_changes_nothing(access: Access) -> None:
    access.create_project("shop")
    with pytest.raises(Error, match="there is a project named"):
        access.create_project("shop")
    with pytest.raises(Error, match="no token is called"):
        access.revoke_token("123456")
    found = listed(access.address.url)
    assert [(one.act, one.outcome, one.subject) for one in found[:2]] == [
        ("token.revoke", "error", "token 123456"),
        ("project.create", "error", "project shop"),
    ]
    assert "no token is called '123456'" in found[0].reason
    assert [one.name for one in access.projects()] == ["shop"]


def test_an_act_that_cannot_be_noted_is_not_done(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise StorageError("no seal")

    monkeypatch.setattr("lockgate.storage.sealer.Sealer.write", fail)
    with pytest.raises(StorageError, match="no seal"):
        access.create_project("shop")
    assert access.projects() == []


def test_without_a_book_nothing_is_noted(url: str) -> None:
    with Access(url, RING) as access:
        access.create_project("shop")
    assert listed(url) == []


def test_acts_at_the_same_time_are_all_noted(url: str, book: Book) -> None:
    """Each begins a chain, and each chain has a number."""

    def act(number: int) -> None:
        with Acts(url, book) as acts:
            acts.do(lambda at: acts.noted(at, "test.act", f"number {number}"))

    record(url, whole_exchange())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(24)))
    assert {one.subject for one in listed(url)} == {f"number {number}" for number in range(24)}
    report = verify(url)
    assert (report.found, report.chains) == (0, 25)


def test_what_is_signed_is_signed_here_too(url: str) -> None:
    record(url, whole_exchange(), signer=SIGNER)
    with Acts(url, Book("cli:ada", signer=SIGNER)) as signed:
        signed.do(lambda at: signed.noted(at, "test.act", "x"))
    assert verify(url, Wanted(keys=KEYS, signed=True)).found == 0
    with Acts(url, Book("cli:ada")) as unsigned:
        unsigned.do(lambda at: unsigned.noted(at, "test.act", "x"))
    assert verify(url, Wanted(keys=KEYS, signed=True)).found == 1


# Asking.


async def test_entries_are_filtered(url: str) -> None:
    made = audit_entry(at=START, subject="token " + new_id())
    refused = audit_entry(
        who="t1", where="10.0.0.9", act="access.limit", subject="host api", outcome="denied", reason="Too FAST: 50%",
        count=7, at=START, last_at=START + DAY,
    )  # fmt: skip
    later = audit_entry(act="tokens.odd", at=START + 2 * DAY, before='{"name":"Grüße_x"}', who=HOSTILE)
    record(url, [made, refused, later])
    for where, expected in (
        ({}, [later, refused, made]),
        ({"who": "t1"}, [refused]),
        ({"who": HOSTILE}, [later]),
        ({"where": "10.0.0.9"}, [refused]),
        ({"act": "token"}, [made]),
        ({"act": "access.limit"}, [refused]),
        ({"act": "access"}, [refused]),
        ({"act": "access."}, []),
        ({"act": "acces_"}, []),
        ({"subject": made.subject[-8:]}, [made]),
        ({"outcome": "denied"}, [refused]),
        ({"text": "too fast"}, [refused]),
        ({"text": "50%"}, [refused]),
        ({"text": "%"}, [later, refused]),
        ({"text": "Grüße_X"}, [later]),
        ({"text": "e_x"}, [later]),
        ({"text": "\\"}, [later]),
        ({"text": HOSTILE}, [later]),
        ({"text": "' OR '1'='1"}, []),
        ({"since": START + DAY}, [later, refused]),
        ({"since": START + 1.5 * DAY}, [later]),
        ({"until": START + DAY}, [refused, made]),
        ({"until": START}, []),
    ):
        assert await entries(url, **where) == expected, where


async def test_pages_neither_miss_nor_repeat_one(url: str) -> None:
    every = [audit_entry() for _ in range(25)]
    record(url, every)
    newest = every[::-1]
    async with Trail(url) as trail:
        first = await trail.entries(limit=10)
        second = await trail.entries(limit=10, before=first[-1].id)
        assert [*first, *second, *await trail.entries(limit=10, before=second[-1].id)] == newest
        assert await trail.entries(limit=30, after=every[4].id) == every[5:]
        assert await trail.find(every[3].id[-8:]) == every[3]
        assert await trail.find("0" * 8) is None
        with pytest.raises(Error, match="is not the id of an entry"):
            await trail.entries(before="1'; DROP TABLE audit; --")


# Retention, backups.


def test_only_their_own_age_removes_entries(url: str) -> None:
    old, sum_, new = (
        audit_entry(at=now() - 100 * DAY),
        audit_entry(at=now() - 100 * DAY, last_at=now() - DAY, count=2),
        audit_entry(),
    )
    record(url, [old, sum_, new], whole_exchange())
    assert pruned(url, until=now()).audit == 0
    assert len(listed(url)) == 3
    assert pruned(url, audit_until=now() - 30 * DAY).audit == 1
    assert listed(url) == [new, sum_]
    report = verify(url)
    assert report.found == 0
    assert report.retired > 1
    execute(url, "DELETE FROM audit")
    assert verify(url).found == 2


async def test_a_proxy_looks_after_their_age_and_notes_it(url: str) -> None:
    record(url, [audit_entry(at=now() - 100 * DAY)])
    keep = Upkeep(url, Retention(audit_days=30), every_seconds=0.01)
    keep.start()
    while [(one.act, one.who) for one in await entries(url)] != [("log.prune", "retention")]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await keep.close()
    assert verify(url).found == 0


async def test_a_backup_has_the_trail_and_is_not_mixed_with_another(url: str, tmp_path: Path) -> None:
    source, entry = f"sqlite:///{tmp_path / 'source.db'}", audit_entry(subject=HOSTILE)
    await remember(source, [*whole_exchange(), entry])
    backup(source, tmp_path / "log.jsonl.zst")
    restore(url, tmp_path / "log.jsonl.zst")
    assert await entries(url) == [entry]
    assert verify(url).found == 0
    other = f"sqlite:///{tmp_path / 'other.db'}"
    record(other, [audit_entry()])
    with pytest.raises(StorageError, match="holds a sealed audit trail, which a backup would be mixed with"):
        restore(other, tmp_path / "log.jsonl.zst")
