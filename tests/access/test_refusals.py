"""Refusals of access: summed up, bounded, and none of them left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from lockgate.access.audit import LogAudit
from lockgate.access.refusals import (
    BRISK_SECONDS,
    ENTRIES,
    MANY,
    SLOW_SECONDS,
    UNKNOWN,
    WINDOW_SECONDS,
    Refusals,
)
from lockgate.errors import AccessError, StorageError
from lockgate.records import AuditEntry, Record


@dataclass
class Kept:
    """A log of what was put last of each entry, and how often anything was put."""

    entries: dict[str, AuditEntry] = field(default_factory=dict[str, AuditEntry])
    puts: int = 0

    async def ready(self) -> None: ...

    def put(self, records: Sequence[Record]) -> None:
        self.puts += len(records)
        for one in records:
            assert isinstance(one, AuditEntry)
            self.entries[one.id] = one

    @property
    def counts(self) -> list[tuple[str, str, str, int]]:
        return [(one.where, one.who, one.act, one.count) for one in self.entries.values()]


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def log() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(log: Kept, clock: Clock) -> Refusals:
    return Refusals(log, clock)


EXPIRED = AccessError("it has expired", kind="expired", token="t1")


async def test_ten_thousand_are_one_entry(refusals: Refusals, log: Kept, clock: Clock) -> None:
    assert [refusals.note(EXPIRED, where="10.0.0.1", subject="host a") for _ in range(10_000)].count(True) == 1
    assert log.counts == [("10.0.0.1", "t1", "access.expired", 1)]
    await refusals.write()
    assert log.counts == [("10.0.0.1", "t1", "access.expired", 10_000)]
    [entry] = log.entries.values()
    assert (entry.outcome, entry.reason, entry.subject) == ("denied", "it has expired", "host a")
    assert entry.last_at is not None
    assert entry.last_at >= entry.at
    await refusals.write()
    assert log.puts == 2  # nothing new, nothing written


async def test_address_token_and_kind_are_told_apart(refusals: Refusals, log: Kept) -> None:
    for error, where, token in (
        (EXPIRED, "10.0.0.1", ""),
        (EXPIRED, "10.0.0.2", ""),
        (AccessError("x", kind="revoked", token="t1"), "10.0.0.1", ""),
        (AccessError("x", kind="limit"), "10.0.0.1", "t2"),
        (AccessError("x", kind="unknown"), "10.0.0.1", ""),
        (StorageError("the database is away"), "10.0.0.1", ""),
    ):
        assert refusals.note(error, where=where, subject="host a", token=token)
    assert log.counts == [
        ("10.0.0.1", "t1", "access.expired", 1),
        ("10.0.0.2", "t1", "access.expired", 1),
        ("10.0.0.1", "t1", "access.revoked", 1),
        ("10.0.0.1", "t2", "access.limit", 1),
        ("10.0.0.1", UNKNOWN, "access.unknown", 1),
        ("10.0.0.1", UNKNOWN, "access.unchecked", 1),
    ]
    assert [one.outcome for one in log.entries.values()] == ["denied"] * 5 + ["error"]


async def test_what_is_about_another_subject_is_said(refusals: Refusals, log: Kept) -> None:
    for host in "aabca":
        refusals.note(EXPIRED, where="10.0.0.1", subject=f"host {host}")
    await refusals.write()
    [entry] = log.entries.values()
    assert (entry.subject, entry.count) == ("host a, and others", 5)


async def test_a_window_ends(refusals: Refusals, log: Kept, clock: Clock) -> None:
    for _ in range(3):
        refusals.note(EXPIRED, where="10.0.0.1", subject="host a")
    clock.at = WINDOW_SECONDS + 1
    assert refusals.note(EXPIRED, where="10.0.0.1", subject="host a")
    assert [count for *_, count in log.counts] == [3, 1]


async def test_more_addresses_than_are_kept_apart_are_counted_together(refusals: Refusals, log: Kept) -> None:
    for number in range(10_000):
        error = AccessError("x", kind="unknown" if number % 2 else "malformed")
        refusals.note(error, where=f"10.{number // 256}.{number % 256}.1", subject=f"host {number}")
    await refusals.close()
    assert len(log.entries) == ENTRIES + 2
    assert sum(count for *_, count in log.counts) == 10_000
    assert {who for where, who, *_ in log.counts if where == MANY} == {MANY}


async def test_a_long_flood_is_written_less_often(refusals: Refusals, log: Kept, clock: Clock) -> None:
    def come() -> None:
        refusals.note(EXPIRED, where="10.0.0.1", subject="host a")

    come()
    while clock.at < 2 * BRISK_SECONDS:
        clock.at += 0.5
        come()
        await refusals.write()
    brisk, slow = 2 * BRISK_SECONDS, BRISK_SECONDS / SLOW_SECONDS
    assert log.puts == pytest.approx(brisk + slow, abs=2)
    clock.at += 0.5
    come()
    await refusals.close()
    [(*_, count)] = log.counts
    assert count == 4 * BRISK_SECONDS + 2


async def test_what_else_is_denied_is_summed_up_too(refusals: Refusals, log: Kept) -> None:
    audit = LogAudit(log, refusals)
    for number in range(3):
        outcome = "denied" if number else "error"
        audit.note(who="", where="10.0.0.1", act="session.create", subject="", outcome=outcome, reason=f"{number}")
        audit.note(
            who="ada", where="10.0.0.1", act="token.create", subject="token 1", outcome="success", after={"a": 1}
        )
    await refusals.close()
    assert log.counts == [
        ("10.0.0.1", UNKNOWN, "session.create", 3),
        *([("10.0.0.1", "ada", "token.create", 1)] * 3),
    ]


async def test_without_a_log_nothing_is_kept() -> None:
    refusals = Refusals()
    assert refusals.note(EXPIRED, where="", subject="")
    await refusals.close()
