"""Work that does not notice its cancellation is not waited for."""

from __future__ import annotations

import asyncio

import pytest

from lockgate.routing.bounded import go_on, within


class Deaf:
    """Swallows the first cancellation and waits on; `left` tells that it ended, and how."""

    def __init__(self) -> None:
        self.cancelled, self.left, self.heard = asyncio.Event(), asyncio.Event(), False

    async def work(self) -> None:
        try:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
            go_on()
        except asyncio.CancelledError:
            self.heard = True
            raise
        finally:
            self.left.set()


async def test_what_is_done_in_time_is_given():
    async def work() -> int:
        return 7

    assert await within(20, work()) == 7


async def test_an_error_of_the_work_is_raised():
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await within(20, work())


async def test_work_that_swallows_its_cancellation_is_left_and_told_later():
    deaf = Deaf()
    with pytest.raises(TimeoutError):
        await within(0, deaf.work())
    await deaf.left.wait()
    assert deaf.heard


async def test_who_waits_is_cancelled_at_once_though_the_work_is_deaf():
    deaf = Deaf()
    waits = asyncio.create_task(within(20, deaf.work()))
    await asyncio.sleep(0)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    await deaf.left.wait()
    assert deaf.cancelled.is_set()
