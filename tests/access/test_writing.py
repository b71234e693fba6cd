"""What is counted is written now and then, and at the end, whatever became of it before."""

from __future__ import annotations

import asyncio
import logging

import pytest

from lockgate.access.writing import Writing
from lockgate.errors import StorageError


class Counted:
    """Fails while the database is away; `more_than` waits for further tries."""

    def __init__(self) -> None:
        self.times, self.is_away = 0, False
        self._more = asyncio.Condition()

    async def write(self) -> None:
        async with self._more:
            self.times += 1
            self._more.notify_all()
        if self.is_away:
            raise StorageError("the database is away")

    async def more_than(self, times: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: self.times > times)


async def test_it_is_written_again_and_again_and_once_more_at_the_end():
    counted = Counted()
    writing = Writing("the use", counted.write, seconds=0)
    writing.start()
    await counted.more_than(3)
    before = counted.times
    await writing.close()
    assert counted.times == before + 1


async def test_what_cannot_be_written_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture):
    counted = Counted()
    counted.is_away = True
    writing = Writing("the use", counted.write, seconds=0)
    with caplog.at_level(logging.WARNING, "lockgate.access"):
        writing.start()
        await counted.more_than(5)
        counted.is_away = False
        await counted.more_than(counted.times + 1)
        await writing.close()
    assert [each.getMessage() for each in caplog.records] == [
        "the use cannot be written down: the database is away; trying again"
    ]


async def test_what_is_lost_at_the_end_is_said(caplog: pytest.LogCaptureFixture):
    counted = Counted()
    counted.is_away = True
    await Writing("the use", counted.write, seconds=0).close()
    assert "the use in the last moment could not be written down: the database is away" in caplog.text
