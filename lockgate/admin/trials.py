"""Rules tried before they are in force: on a request that was pasted, on one logged exchange, or on traffic.

They run on a thread of their own, one trial at a time, so that live exchanges do not wait for them. No model and no
person is asked: what depends on that is said to be not sure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from lockgate.errors import Error, told
from lockgate.events import Turn
from lockgate.exchange import Exchange, Ports
from lockgate.policies import trial
from lockgate.policies.registry import PolicySet
from lockgate.ports import Resend
from lockgate.records import Approval, ExchangeRow

SECONDS = 5.0
"""For one exchange."""
ALL_SECONDS = 20.0
"""For all of a trial."""
WAIT_SECONDS = 2.0
"""For the trial before."""


class Busy(Error):
    """Another trial runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What rules did with one exchange."""

    result: dict[str, Any]
    """As `lockgate.policies.trial.run` gives it; {} where that failed."""
    outcome: str
    rules: tuple[str, ...]
    """The enforced rules that held, changed or blocked something."""
    shadow: tuple[str, ...]
    is_sure: bool
    """Whether no rule wanted to ask a model or a person."""
    problem: str = ""


class _Asked:
    """Whether anything was asked that a trial does not ask."""

    def __init__(self) -> None:
        self.was = False

    async def ask(self, *given: Any) -> Any:
        self.was = True
        if isinstance(given[0], Approval):
            return replace(given[0], state="expired", decided_at=given[0].deadline)
        raise Error("no model is asked in a trial")

    async def resend(self, resend: Resend, x: Exchange) -> Turn:
        self.was = True
        raise Error("nothing is sent in a trial")


class Trials:
    """One at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lockgate-trial")
        self._turn = asyncio.Lock()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[Callable[..., Any]], Any]) -> Any:
        """Have `work` done with what runs a function on the trials' thread. Raises Busy."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise Busy("another trial runs: wait until it is over") from error
        try:
            async with asyncio.timeout(ALL_SECONDS + SECONDS):
                return await work(self._on_thread)
        finally:
            self._turn.release()

    async def _on_thread(self, act: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, *given)


def tried(
    policy_set: PolicySet, body: bytes, reply: bytes | None, format: str | None, row: ExchangeRow | None = None
) -> Tried:
    """On a thread. What fails is told in `problem`."""
    asked: Any = _Asked()
    ports = Ports(log=trial.NoLog(), models=asked, approvals=asked)
    known: dict[str, Any] = {} if row is None else {
        name: getattr(row, name)
        for name in ("provider", "host", "endpoint", "agent", "project", "session_id", "token", "client", "started_at")
    }  # fmt: skip

    async def run() -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            return await trial.run(policy_set, body, reply, format, ports, **known)

    try:
        result = asyncio.run(run())
    except TimeoutError:
        return Tried(result={}, outcome="", rules=(), shadow=(), is_sure=False, problem=f"not done in {SECONDS:g} s")
    except Exception as error:
        return Tried(result={}, outcome="", rules=(), shadow=(), is_sure=False, problem=told(error))
    return Tried(
        result=result, outcome=_outcome(result), rules=_rules(result, "enforce"), shadow=_rules(result, "shadow"),
        is_sure=not asked.was,
    )  # fmt: skip


def _outcome(result: dict[str, Any]) -> str:
    if any(one["mode"] == "enforce" and one["action"] == "blocked" for one in result["decisions"]):
        return "blocked"
    found = [result[part]["outcome"] for part in ("request", "reply") if result[part] is not None]
    return next((outcome for outcome in ("blocked", "changed") if outcome in found), "passed")


def _rules(result: dict[str, Any], mode: str) -> tuple[str, ...]:
    did = [
        one["rule"]
        for one in result["decisions"]
        if one["mode"] == mode and one["action"] not in ("forwarded", "failed")
    ]
    return tuple(dict.fromkeys(did))


def deadline() -> float:
    """Until when a trial of many begins with another one, on the monotonic clock."""
    return time.monotonic() + ALL_SECONDS
