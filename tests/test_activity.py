"""What goes on now is told to all who watch, in order, once, and never without a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lockgate import activity
from lockgate.activity import Activity, Approvals, Gap, Growth, Happening, batches
from lockgate.errors import Error, StorageError
from lockgate.records import Decision, ExchangeRow, Record, new_id, now


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.is_away = False

    async def ready(self) -> None:
        pass

    def put(self, records: Sequence[Record]) -> None:
        if self.is_away:
            raise StorageError("the log is away")
        self.records.extend(records)


def row(model: str = "m") -> ExchangeRow:
    return ExchangeRow(
        id=new_id(),
        started_at=now(),
        kind="model",
        provider="anthropic",
        host="h",
        endpoint="/v1/messages",
        model=model,
    )


def decision(action: str = "blocked") -> Decision:
    return Decision(
        exchange_id=new_id(),
        rule="r",
        policy="p",
        policy_set="1",
        mode="enforce",
        subject="toolcall",
        action=action,  # pyright: ignore[reportArgumentType]
    )


def told(news: Sequence[Happening | Gap]) -> list[object]:
    return [one.what if isinstance(one, Happening) else one for one in news]


async def test_what_the_log_gets_is_told_in_order_and_what_only_passed_is_not() -> None:
    log = Kept()
    seen = Activity(log)
    first, blocked, passed = row(), decision(), decision("forwarded")
    with seen.watch() as watcher:
        seen.put((first, blocked, passed))
        seen.tell(Approvals())
        assert told(watcher.read()) == [first, blocked, Approvals()]
        assert watcher.read() == []
    assert log.records == [first, blocked, passed]


async def test_what_the_log_refuses_did_not_happen() -> None:
    log = Kept()
    seen = Activity(log)
    log.is_away = True
    with seen.watch() as watcher:
        with pytest.raises(StorageError):
            seen.put((row(),))
        assert watcher.read() == []


async def test_who_comes_back_is_told_what_it_missed() -> None:
    seen = Activity(Kept())
    rows = [row(str(number)) for number in range(5)]
    seen.put(rows)
    with seen.watch(after=2) as watcher:
        assert told(watcher.read()) == rows[2:]
    with seen.watch(after=5) as watcher:
        assert watcher.read() == []
    with seen.watch() as watcher:
        assert watcher.read() == []


async def test_numbers_of_an_earlier_process_are_told_from_ours() -> None:
    earlier, seen = Activity(Kept()), Activity(Kept(), before=1_000)
    rows = [row(str(number)) for number in range(5)]
    earlier.put(rows)
    seen.put(rows)
    with seen.watch(after=3) as watcher:
        assert told(watcher.read()) == [Gap(missed=0), *rows]
    with seen.watch(after=1_003) as watcher:
        assert told(watcher.read()) == rows[3:]


@pytest.mark.parametrize("after", [0, 9999])
async def test_who_was_away_too_long_is_told_that_something_is_missing(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "KEPT", 3)
    seen = Activity(Kept())
    rows = [row(str(number)) for number in range(5)]
    seen.put(rows)
    with seen.watch(after=after) as watcher:
        assert told(watcher.read()) == [Gap(missed=0), *rows[2:]]


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "UNREAD", 2)
    seen = Activity(Kept())
    rows = [row(str(number)) for number in range(5)]
    with seen.watch() as slow, seen.watch() as quick:
        for each in rows:
            seen.put((each,))
            assert told(quick.read()) == [each]
        assert told(slow.read()) == [Gap(missed=3), *rows[3:]]


async def test_only_so_many_watch_and_a_place_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "WATCHERS", 1)
    seen = Activity(Kept())
    with seen.watch():
        with pytest.raises(Error, match="1 watch already"), seen.watch():
            pass
    with seen.watch():
        pass


async def test_open_replies_are_looked_at_while_somebody_watches_and_told_when_they_grew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activity, "GROWTH_SECONDS", 0.001)
    looks = 0

    def growing() -> Sequence[Growth]:
        nonlocal looks
        looks += 1
        return (Growth(exchange_id="a", characters=min(looks, 2), tool_calls=0, held=False),)

    seen = Activity(Kept(), growing)
    news: list[Happening | Gap] = []
    with seen.watch() as watcher:
        while looks < 5:
            await watcher.wait(0.001)
            news += watcher.read()
    assert [what.characters for what in told(news) if isinstance(what, Growth)] == [1, 2]
    at_end = looks
    for _ in range(5):
        await asyncio.sleep(0)
    assert looks == at_end


async def test_what_happens_at_once_comes_as_one_batch_and_silence_is_told() -> None:
    seen = Activity(Kept())
    with seen.watch() as watcher:
        news = batches(watcher, seconds=0.0, quiet_seconds=0.001)
        assert await anext(news) == []
        rows = [row("1"), row("2")]
        seen.put(rows)
        assert told(await anext(news)) == rows
        await news.aclose()


async def test_who_watches_is_let_go_at_the_end() -> None:
    seen = Activity(Kept())
    with seen.watch() as watcher:
        last = row()
        seen.put((last,))
        await seen.close()
        assert [told(news) async for news in batches(watcher, seconds=60.0, quiet_seconds=60.0)] == [[last]]
    with seen.watch() as watcher:
        assert [news async for news in batches(watcher, seconds=60.0, quiet_seconds=60.0)] == []
