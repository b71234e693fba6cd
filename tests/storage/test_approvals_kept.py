"""Approvals go with their exchanges: into archives and out of the log; and they are in a backup."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lockgate.records import Approval, new_id, now
from lockgate.storage.address import parse
from lockgate.storage.approval_rows import ApprovalRows
from lockgate.storage.approvals import ApprovalDesk
from lockgate.storage.backup import opened, restore
from lockgate.storage.pace import Pace
from lockgate.storage.prune import Plan, Pruner
from tests.storage.records import whole_exchange
from tests.storage.talks import remember
from tests.storage.test_approvals import approval
from tests.storage.test_prune import DAY, aged


async def put(url: str, *asked: Approval) -> None:
    rows = ApprovalRows(parse(url))
    for one in asked:
        await rows.insert(one)
    await rows.close()


async def those_in(url: str) -> list[Approval]:
    async with ApprovalDesk(url) as desk:
        return await desk.pending()


async def test_an_approval_goes_with_its_exchange(database_url: str, tmp_path: Path) -> None:
    old, new = aged(whole_exchange(), 40), aged(whole_exchange(), 1)
    await remember(database_url, old, new)
    gone, kept = approval(exchange_id=old[0].id), approval(exchange_id=new[0].id)
    await put(database_url, gone, kept)
    with opened(parse(database_url)) as engine:
        done = Pruner(engine, Plan(until=now() - 30 * DAY, archive=tmp_path / "kept"), Pace(rest=0.0)).run()
    assert await those_in(database_url) == [kept]
    assert done.sizes.rows["approval"] == 1
    [archive] = done.archives
    restore(f"sqlite:///{tmp_path / 'other.db'}", archive)
    assert await those_in(f"sqlite:///{tmp_path / 'other.db'}") == [gone]


async def test_an_approval_may_be_there_before_its_exchange(database_url: str) -> None:
    new = whole_exchange()
    await remember(database_url, new)
    early = approval(exchange_id=new_id(), asked_at=now() - timedelta(minutes=1))
    await put(database_url, early)
    with opened(parse(database_url)) as engine:
        Pruner(engine, Plan(until=now() - 30 * DAY), Pace(rest=0.0)).run()
    assert await those_in(database_url) == [early]
