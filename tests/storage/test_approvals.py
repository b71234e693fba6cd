"""What waits for a person is decided once, in time, about the call that was shown; all else is refused, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from lockgate.errors import Error, StorageError
from lockgate.records import Approval, new_id, now
from lockgate.storage import schema
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.approvals import ApprovalDesk, Decided

HOUR = timedelta(hours=1)


def approval(**changes: Any) -> Approval:
    """One that waits, each field with a value of its own."""
    values: dict[str, Any] = {
        **{"exchange_id": new_id(), "rule": "ask-first", "tool": "Bash", "arguments": '{"command": "git push"}'},
        **{"digest": "d1", "key": "k1", "deadline": now() + HOUR, "by_default": "deny", "session_id": "s-1"},
        **{"schema": '{"properties": {"command": {"type": "string"}}}'},
        **{"agent": "claude-code", "project": "p", "model": "m", "score": 0.75, "reason": "it pushes"},
        "context": (("user", "Ship it."), ("tool", "Grüße \x00 \ud800")),
    }
    return Approval(**values | changes)


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[ApprovalRows]:
    schema.upgrade(database_url)
    rows = ApprovalRows(parse(database_url))
    yield rows
    await rows.close()


@pytest.fixture
async def desk(database_url: str, rows: ApprovalRows) -> AsyncIterator[ApprovalDesk]:
    async with ApprovalDesk(database_url) as desk:
        yield desk


async def test_what_is_asked_is_what_is_shown(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval(arguments='{"command": "echo \x1a0041 \x00 \u202e"}')
    await rows.insert(asked)
    assert await desk.pending() == [asked]
    assert await desk.find(asked.id) == asked


async def test_those_that_wait_and_those_that_do_not(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = [approval() for _ in range(5)]
    for one in asked:
        await rows.insert(one)
    for one in asked[1:4]:
        await desk.decide(one.id, "approved", digest=one.digest, by="anna")
    assert [one.id for one in await desk.pending()] == [asked[0].id, asked[4].id]
    decided = await desk.decided(limit=2)
    assert [one.id for one in decided] == [asked[3].id, asked[2].id]
    assert [one.id for one in await desk.decided(before=decided[-1].id)] == [asked[1].id]


@pytest.mark.parametrize(
    ("decision", "more"),
    [
        ("approved", {}),
        ("denied", {"note": "use the mirror", "note_shown": True}),
        ("edited", {"arguments": '{"command": "git push --dry-run"}'}),
    ],
)
async def test_a_decision_says_who_when_and_why(
    rows: ApprovalRows, desk: ApprovalDesk, decision: Decided, more: dict[str, Any]
) -> None:
    asked, before = approval(), now()
    await rows.insert(asked)
    found = await desk.decide(asked.id, decision, digest=asked.digest, by="anna", **more)
    assert (found.state, found.decided_by, found.note, found.note_shown) == (
        decision, "anna", more.get("note", ""), more.get("note_shown", False)
    )  # fmt: skip
    assert found.edited == more.get("arguments")
    assert found.decided_at
    assert before <= found.decided_at <= now()
    assert found == await desk.find(asked.id)


async def test_of_two_decisions_at_once_one_wins_and_the_other_hears_of_it(
    database_url: str, rows: ApprovalRows
) -> None:
    asked = [approval() for _ in range(10)]
    for one in asked:
        await rows.insert(one)
    async with ApprovalDesk(database_url) as first, ApprovalDesk(database_url) as second:
        for one in asked:
            answers = await asyncio.gather(
                first.decide(one.id, "approved", digest=one.digest, by="anna"),
                second.decide(one.id, "denied", digest=one.digest, by="ben"),
                return_exceptions=True,
            )
            [won] = [answer for answer in answers if isinstance(answer, Approval)]
            [lost] = [answer for answer in answers if isinstance(answer, Error)]
            assert f"was {won.state} by {won.decided_by} at" in str(lost)
            assert await first.find(one.id) == won


async def test_a_call_that_has_changed_since_it_was_shown_is_not_decided(
    rows: ApprovalRows, desk: ApprovalDesk
) -> None:
    asked = approval()
    await rows.insert(asked)
    with pytest.raises(Error, match="is not the one that was shown: look at it again"):
        await desk.decide(asked.id, "approved", digest="d0", by="anna")
    assert await desk.pending() == [asked]


async def test_nothing_is_decided_after_the_deadline(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    """Also where its proxy was killed, and nobody has written that it expired."""
    asked = approval(deadline=now() - timedelta(microseconds=1))
    await rows.insert(asked)
    with pytest.raises(Error, match=r"nobody decided about .* until its deadline"):
        await desk.decide(asked.id, "approved", digest=asked.digest, by="anna")
    assert await desk.pending() == []
    assert [one.state for one in await desk.decided()] == ["expired"]


async def test_what_was_withdrawn_is_not_decided(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval()
    await rows.insert(asked)
    await rows.withdraw(asked)
    with pytest.raises(Error, match="left and did not come back"):
        await desk.decide(asked.id, "approved", digest=asked.digest, by="anna")


async def test_bad_decisions(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval()
    await rows.insert(asked)
    with pytest.raises(Error, match="no approval has the id"):
        await desk.decide(new_id(), "approved", digest="d1", by="anna")
    with pytest.raises(Error, match="say who decides"):
        await desk.decide(asked.id, "approved", digest="d1", by=" ")
    with pytest.raises(Error, match="arguments are given for an edit"):
        await desk.decide(asked.id, "edited", digest="d1", by="anna")
    with pytest.raises(Error, match="arguments are given for an edit"):
        await desk.decide(asked.id, "approved", digest="d1", by="anna", arguments="{}")
    with pytest.raises(Error, match="at most 4,000"):
        await desk.decide(asked.id, "denied", digest="d1", by="anna", note="x" * 4001)
    assert await desk.pending() == [asked]


async def test_part_of_an_id_is_enough(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    begin = "019aa0000000"
    first, second, other = (approval(id=f"{begin[:8]}-{begin[8:]}-7000-8000-0000000000{n}") for n in ("a1", "a2", "b1"))
    for one in (first, second, other):
        await rows.insert(one)
    assert await desk.find("0000b1") == other
    assert await desk.find("7000-8000-0000000000a2") == second
    with pytest.raises(Error, match="fits several approvals"):
        await desk.find(begin)
    for one in (first, other):
        await desk.decide(one.id, "denied", digest="d1", by="anna")
    assert await desk.find(begin) == second  # the only one that waits
    assert await desk.find("ffffff") is None
    with pytest.raises(Error, match="is not the id of an approval"):
        await desk.find("git push")


async def test_a_request_that_is_sent_again_takes_over_what_waits(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval()
    await rows.insert(asked)
    assert await rows.leave(asked)
    again = approval()
    taken = await rows.take_over(again)
    assert taken
    assert (taken.id, taken.exchange_id, taken.left_at) == (asked.id, again.exchange_id, None)
    assert await rows.leave(asked) is None  # it is not the first one's any more
    await rows.expire(asked)
    assert [one.state for one in await desk.pending()] == ["pending"]


async def test_an_answer_that_was_given_meanwhile_is_used_once(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval()
    await rows.insert(asked)
    await desk.decide(asked.id, "approved", digest=asked.digest, by="anna")
    second, third = approval(), approval()
    taken = await rows.take_over(second)
    assert taken
    answers = await asyncio.gather(*(rows.use(taken) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    assert await rows.take_over(third) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "k2"},
        {"digest": "d2"},
        {"arguments": '{"command": "git push", "description": ""}'},
    ],
)
async def test_only_the_very_same_call_takes_over(rows: ApprovalRows, changes: dict[str, Any]) -> None:
    await rows.insert(approval())
    assert await rows.take_over(approval(**changes)) is None


async def test_what_is_over_is_not_taken_over(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    late, withdrawn, expired = (
        approval(key=key, deadline=now() + (-HOUR if key == "late" else HOUR)) for key in ("late", "gone", "over")
    )
    for one in (late, withdrawn, expired):
        await rows.insert(one)
    await rows.withdraw(withdrawn)
    await rows.expire(expired)
    for one in (late, withdrawn, expired):
        assert await rows.take_over(approval(key=one.key)) is None


async def test_who_came_back_is_not_withdrawn(rows: ApprovalRows, desk: ApprovalDesk) -> None:
    asked = approval()
    await rows.insert(asked)
    left_at = await rows.leave(asked)
    assert left_at
    again = approval()
    await rows.take_over(again)
    await rows.withdraw(asked, left_at)
    assert [one.exchange_id for one in await desk.pending()] == [again.exchange_id]


async def test_a_database_that_is_not_there(sqlite_url: str) -> None:
    with pytest.raises(StorageError, match="there is no log yet"):
        async with ApprovalDesk(sqlite_url):
            pass
    assert not parse(sqlite_url).path.exists()


async def test_a_table_that_is_away_is_told_in_a_sentence(sqlite_url: str) -> None:
    rows = ApprovalRows(parse(sqlite_url))
    with pytest.raises(StorageError, match="cannot open database"):
        await rows.insert(approval())
    await rows.close()
