from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lockgate.addons.held import MADE_BYTES, Held
from tests.upstream.waiting import soon


async def test_work_that_does_not_wait_is_done_at_once() -> None:
    async def work() -> bytes:
        return b"made"

    held = Held(work())
    assert (held.task.done(), held.take()) == (True, b"made")


async def test_pieces_are_taken_as_they_are_made() -> None:
    go_on = asyncio.Event()

    async def work() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"
        await go_on.wait()
        yield b"3"

    held = Held(work())
    assert (held.task.done(), held.take()) == (False, b"12")
    go_on.set()
    await soon(held.wait())
    assert held.take() == b"3"
    assert not held.is_idle


async def test_an_iterator_runs_ahead_by_a_bounded_amount() -> None:
    made = 0

    async def work() -> AsyncIterator[bytes]:
        nonlocal made
        while made < 100 * MADE_BYTES:
            made += 1024
            yield b"x" * 1024

    held = Held(work())
    taken = len(held.take())
    assert (taken, made) == (MADE_BYTES + 1024, MADE_BYTES + 1024)
    while not held.task.done():
        await soon(held.wait())
        taken += len(held.take())
    assert taken == made == 100 * MADE_BYTES


async def test_a_wait_without_news_is_idle() -> None:
    async def work() -> bytes:
        return await asyncio.get_running_loop().create_future()

    held = Held(work())
    held.seconds = 0
    await soon(held.wait())
    assert held.is_idle
    held.abandon("the test is over")
    await soon(asyncio.wait([held.task]))
    assert held.task.cancelled()


async def test_abandoned_work_is_cancelled_and_its_iterator_closed() -> None:
    closed = asyncio.Event()

    async def work() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 2 * MADE_BYTES
        finally:
            closed.set()

    held = Held(work())
    held.abandon("the client left")
    await soon(held.wait())
    await soon(closed.wait())
    await soon(asyncio.wait([held.task]))
    assert not held.is_idle


async def test_what_the_work_raises_is_raised_by_its_task() -> None:
    async def work() -> bytes:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        Held(work()).task.result()
