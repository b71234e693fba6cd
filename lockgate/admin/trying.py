"""`/api/policy-set/try`: what rules would do, before they are in force."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, model_validator

from lockgate.admin.acts import ActRoute, act_of
from lockgate.admin.desk import Desk
from lockgate.admin.identity import AtDesk, ForOperators
from lockgate.admin.policy_set import Yaml
from lockgate.admin.problems import CHANGES, Problem, answers
from lockgate.admin.trials import Busy, Tried, deadline, tried
from lockgate.errors import Missing
from lockgate.policies.registry import PolicySet
from lockgate.policies.trial import FORMATS
from lockgate.records import ExchangeRow, now
from lockgate.sections import Section
from lockgate.storage.answers import Filter

router = APIRouter(prefix="/policy-set", route_class=ActRoute, tags=["policies"])

MOST = 500
PAGE = 50
JUDGED = ("passed", "changed", "blocked")


class Trial(Section):
    """The rules, and one of: a request with its reply, one logged exchange, or the traffic of some hours."""

    yaml: Yaml | None = None
    """The policy set; the one in force, where none is given."""
    request: str | None = Field(default=None, max_length=200_000)
    """The body of a request."""
    reply: str | None = Field(default=None, max_length=200_000)
    """The body of its reply: JSON or server-sent events."""
    format: str | None = Field(default=None, max_length=40, examples=["anthropic"])
    exchange_id: Annotated[str | None, Field(max_length=36)] = None
    hours: int | None = Field(default=None, ge=1, le=24)
    limit: int = Field(default=200, ge=1, le=MOST)
    """At most so many exchanges, the newest."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.request, self.exchange_id, self.hours)) != 1:
            raise ValueError("give a request, an exchange's id, or hours: one of them")
        if self.format is not None and self.format not in FORMATS:
            raise ValueError(f"the format is one of {', '.join(FORMATS)}")
        return self


class DecisionView(BaseModel):
    """What a rule did."""

    rule: str
    policy: str
    mode: str
    subject: str
    action: str
    score: float | None
    reason: str
    milliseconds: float


class TriedView(BaseModel):
    """One exchange: what became of it, and what would have."""

    exchange_id: str = ""
    started_at: datetime | None = None
    agent: str = ""
    model: str = ""
    was: str = ""
    """"" where it is no logged exchange."""
    was_rules: list[str] = []
    would: str
    """"" where it could not be tried."""
    rules: list[str]
    shadow: list[str]
    """Rules in shadow mode that would have done something."""
    changed: bool
    is_sure: bool
    """Whether no rule wanted to ask a model or a person, which a trial does not."""
    problem: str = ""
    decisions: list[DecisionView]
    request: dict[str, Any] | None = None
    """What would go on; only where one exchange is tried."""
    reply: dict[str, Any] | None = None


class TrialResult(BaseModel):
    """What would have changed."""

    version: str
    tried: int
    changed: int
    complete: bool
    """Whether all of the time asked for was looked at, within the bounds of number and time."""
    items: list[TriedView]
    """One exchange; or, of traffic, those for which something would be different, the newest first."""


@router.post("/try", name="policy_set.try", summary="Try rules", responses=answers(*CHANGES))
async def try_(given: Trial, caller: ForOperators, desk: AtDesk, request: Request) -> TrialResult:
    """Nothing is sent or logged, and no model or person is asked."""
    act_of(request).is_question = True
    policy_set = await desk.rules.do(lambda rules: rules.policy_set(given.yaml))
    try:
        return await desk.trials.run(lambda on: _result(given, desk, policy_set, on))
    except Busy as error:
        raise Problem(409, str(error)) from error
    except TimeoutError as error:
        raise Problem(409, "the trial took too long: try fewer exchanges") from error


async def _result(given: Trial, desk: Desk, policy_set: PolicySet, on: Callable[..., Any]) -> TrialResult:
    if given.hours is not None:
        return await _traffic(given, desk, policy_set, on)
    if given.exchange_id is not None:
        row = await desk.log.find(given.exchange_id)
        if row is None:
            raise Missing("no exchange has this id")
        item = await _exchange(desk, policy_set, row, on, whole=True)
    else:
        reply = None if not given.reply else _bytes(given.reply)
        found: Tried = await on(tried, policy_set, _bytes(given.request or ""), reply, given.format)
        item = _view(found, None, whole=True)
    return TrialResult(version=policy_set.version, tried=1, changed=int(item.changed), complete=True, items=[item])


async def _traffic(given: Trial, desk: Desk, policy_set: PolicySet, on: Callable[..., Any]) -> TrialResult:
    until, count, items, complete = deadline(), 0, list[TriedView](), True
    async for row in _rows(desk, given.hours or 1):
        if count == given.limit or time.monotonic() > until:
            complete = False
            break
        count += 1
        item = await _exchange(desk, policy_set, row, on)
        if item.changed or item.problem:
            items.append(item)
    changed = sum(each.changed for each in items)
    return TrialResult(version=policy_set.version, tried=count, changed=changed, complete=complete, items=items)


async def _rows(desk: Desk, hours: int) -> AsyncIterator[ExchangeRow]:
    """What clients said to models, the newest first; what is still under way is left out."""
    before, where = None, Filter(kind="model", trigger="", since=now() - timedelta(hours=hours))
    while rows := await desk.log.exchanges(limit=PAGE, before=before, where=where):
        for row in rows:
            if row.outcome != "open":
                yield row
        before = rows[-1].id


async def _exchange(
    desk: Desk, policy_set: PolicySet, row: ExchangeRow, on: Callable[..., Any], *, whole: bool = False
) -> TriedView:
    detail = await desk.large.do(lambda log: log.exchange(row.id))
    asked, replied = (detail.chain("REQUEST"), detail.chain("RESPONSE")) if detail else ((), ())
    if not asked or not asked[0].content:
        return TriedView(
            **_known(row), would="", rules=[], shadow=[], changed=False, is_sure=False, decisions=[],
            problem="the log has not kept its request",
        )  # fmt: skip
    reply = replied[0].content if replied and row.status == 200 else None
    return _view(await on(tried, policy_set, asked[0].content, reply or None, None, row), row, whole=whole)


def _view(found: Tried, row: ExchangeRow | None, *, whole: bool = False) -> TriedView:
    known = _known(row) if row else {}
    decided = [DecisionView(**each) for each in found.result.get("decisions", ())]
    is_other = bool(row and found.outcome and row.outcome in JUDGED) and (
        (found.outcome, set(found.rules)) != (known["was"], set(known["was_rules"]))
    )
    return TriedView(
        **known, would=found.outcome, rules=list(found.rules), shadow=list(found.shadow), changed=is_other,
        is_sure=found.is_sure, problem=found.problem, decisions=decided[:200],
        request=found.result.get("request") if whole else None, reply=found.result.get("reply") if whole else None,
    )  # fmt: skip


def _known(row: ExchangeRow) -> dict[str, Any]:
    return {
        "exchange_id": row.id, "started_at": row.started_at, "agent": row.agent, "model": row.model,
        "was": row.outcome, "was_rules": list(row.rules),
    }  # fmt: skip


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
