"""How a rule is asked: a hook that waits for nothing is done at once, and one that waits goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pytest

from lockgate.events import Event, TextDelta
from lockgate.exchange import Exchange
from lockgate.policies.base import Blocked, Policy
from lockgate.policies.run import Run
from lockgate.policies.secret_guard import Options, SecretGuard
from tests.policies.chains import exchange_of, passed, pipeline_of, rule_of

TEXT = TextDelta(block=0, text="x")
NAME: ContextVar[str] = ContextVar("NAME")


def run_of(policy: type[Policy], **fields: Any) -> Run:
    return Run(rule_of(policy, **fields), exchange_of())


class Waits(Policy):
    """Waits in the middle of what it does, within a time of its own."""

    tasks: tuple[object, ...] = ()

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        before = asyncio.current_task()
        NAME.set("mine")
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        self.tasks = (before, asyncio.current_task(), NAME.get())
        return (text,)


async def test_a_hook_that_waits_stays_in_its_task():
    run = run_of(Waits)
    assert await run.event(TEXT) == (TEXT,)
    assert isinstance(run.policy, Waits)
    task = asyncio.current_task()
    assert run.policy.tasks == (task, task, "mine")


class Never(Policy):
    """Waits for what never comes, and says how that ended."""

    ended: BaseException | None = None

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        try:
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            self.ended = error
            raise
        return (text,)


async def test_a_hook_that_is_late_fails():
    run = run_of(Never, deadline_seconds=0.01)
    with pytest.raises(Blocked) as caught:
        await run.event(TEXT)
    assert caught.value.reason == "no verdict within 0.01 s; on_error: block"
    assert isinstance(run.policy, Never)
    assert isinstance(run.policy.ended, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_a_client_that_leaves_cancels_the_hook():
    run = run_of(Never, on_error="forward")
    task = asyncio.ensure_future(run.event(TEXT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(run.policy, Never)
    assert isinstance(run.policy.ended, asyncio.CancelledError)
    assert run.x.decisions == []


class CleansUp(Never):
    """Waits once more when it is cancelled."""

    cleaned = False

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        try:
            return await super().on_text(text, x)
        finally:
            await asyncio.sleep(0)
            self.cleaned = True


async def test_a_hook_may_wait_for_what_it_clears_away():
    run = run_of(CleansUp, deadline_seconds=0.01)
    with pytest.raises(Blocked):
        await run.event(TEXT)
    assert isinstance(run.policy, CleansUp)
    assert run.policy.cleaned


class Cancels(Policy):
    """Is cancelled by something of its own: that is a failure of the rule."""

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        if text.text == "late":
            await asyncio.sleep(0)
        raise asyncio.CancelledError


@pytest.mark.parametrize("text", ["at once", "late"])
async def test_what_cancels_itself_fails(text: str):
    given = TextDelta(block=0, text=text)
    assert await run_of(Cancels, on_error="forward").event(given) == (given,)
    with pytest.raises(Blocked):
        await run_of(Cancels).event(given)


class NotAsync(Policy):
    def on_event(self, event: Event, x: Exchange) -> Any:
        return (event,)


async def test_a_hook_that_cannot_be_awaited_fails():
    with pytest.raises(Blocked) as caught:
        await run_of(NotAsync).event(TEXT)
    assert caught.value.reason.startswith("TypeError")


class Hears(Policy):
    """What becomes of a text stands in it; what is asked without waiting and what is awaited do the same."""

    def __init__(self, options: Any, shared: Any = None) -> None:
        super().__init__(options, shared)
        self.hear = self.answer

    async def on_text(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        return self.answer(text, x)

    def answer(self, text: TextDelta, x: Exchange) -> Iterable[Event]:
        self.moved, self.score = text.text == "moved", 0.5 if text.text == "scored" else None
        match text.text:
            case "blocked":
                raise Blocked("no", reason="why", score=0.9)
            case "broken":
                raise LookupError("gone")
            case "dropped":
                return ()
            case "changed" | "moved":
                return (TextDelta(block=0, text="other"),)
            case "two":
                return iter((text, text))
            case "odd":
                return (1,)  # pyright: ignore[reportReturnType]
            case _:
                return (text,)


@pytest.mark.parametrize("on_error", ["block", "forward"])
@pytest.mark.parametrize("text", ["same", "blocked", "broken", "dropped", "changed", "moved", "two", "odd", "scored"])
async def test_what_is_asked_without_a_coroutine_is_asked_alike(text: str, on_error: str):
    given, seen = TextDelta(block=0, text=text), list[tuple[Any, ...]]()
    for awaited in (True, False):
        run = run_of(Hears, on_error=on_error)
        try:
            out: Any = tuple(await run.event(given) if awaited else run.hear(given))
        except Blocked as refusal:
            out = (refusal.sentence, refusal.reason, refusal.score)
        told = [(one.subject, one.action, one.given, one.out, one.score, one.reason) for one in run.x.decisions]
        seen.append((out, told))
    assert seen[0] == seen[1]


class Overrides(SecretGuard):
    """Sees every event itself."""

    async def on_event(self, event: Event, x: Exchange) -> Iterable[Event]:
        return ()


async def test_a_hook_of_its_own_is_not_passed_by():
    options = Options()
    guard = replace(rule_of(Overrides), options=options, shared=SecretGuard.provision(options))
    assert await passed(pipeline_of(guard), [TEXT]) == []
